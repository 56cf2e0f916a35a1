"""Spans and events: the framework's own, each once, and those of the network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from llama_asking import METHODS, STREAMS, ask, everything
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatStartEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault, Reply
from gonka_integrations.llama_index import GonkaEpochChangeEvent, GonkaFailoverEvent, GonkaLLM


class Recorder(BaseEventHandler):
    """Keeps every event."""

    events: list[BaseEvent] = Field(default_factory=list)

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.events.append(event)

    def names(self) -> list[str]:
        return [event.class_name() for event in self.events]

    def of(self, kind: type[BaseEvent]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    root, recorder = get_dispatcher(), Recorder(events=[])
    before = list(root.event_handlers)
    root.add_event_handler(recorder)
    yield recorder
    root.event_handlers = before


@pytest.fixture
def spans() -> Iterator[SimpleSpanHandler]:
    root, handler = get_dispatcher(), SimpleSpanHandler()
    before = list(root.span_handlers)
    root.add_span_handler(handler)
    yield handler
    root.span_handlers = before


def _shape(names: list[str]) -> list[str]:
    """The sequence with repeated neighbours as one."""
    return [name for i, name in enumerate(names) if i == 0 or name != names[i - 1]]


@pytest.mark.parametrize("method", METHODS)
async def test_events_are_those_of_the_frameworks_own_models(
    llm: GonkaLLM, recorder: Recorder, method: str
) -> None:
    await ask(MockLLM(max_tokens=4), method, "one two three four")
    theirs = recorder.names()
    recorder.events.clear()
    await ask(llm, method, "one two three four")

    # MockLLM's chat is made of its complete, and reports both.
    kind = "Completion" if "complete" in method else "Chat"
    assert _shape(recorder.names()) == _shape([name for name in theirs if kind in name])


@pytest.mark.parametrize("method", METHODS)
async def test_the_call_is_told_once_with_its_answer(
    llm: GonkaLLM, recorder: Recorder, method: str
) -> None:
    responses = await ask(llm, method)
    first, last = recorder.events[0], recorder.events[-1]

    assert first.class_name().endswith("StartEvent")
    assert last.class_name().endswith("EndEvent")
    assert last.response == responses[-1]  # type: ignore[attr-defined]
    assert first.span_id == last.span_id
    assert first.span_id is not None
    assert first.span_id.startswith(f"GonkaLLM.{method}-")
    progress = [name for name in recorder.names() if "InProgress" in name]
    assert len(progress) == (len(responses) if method in STREAMS else 0)


@pytest.mark.parametrize("method", METHODS)
async def test_a_call_is_one_span(llm: GonkaLLM, spans: SimpleSpanHandler, method: str) -> None:
    await ask(llm, method)

    assert [span.id_.partition("-")[0] for span in spans.completed_spans] == [f"GonkaLLM.{method}"]
    assert spans.open_spans == {}
    assert spans.dropped_spans == []


@pytest.mark.parametrize("method", METHODS)
async def test_a_failed_call_is_told_as_failed(
    net: Devnet, llm: GonkaLLM, recorder: Recorder, method: str
) -> None:
    net.responder = lambda request: Reply(error=(400, "no"))
    with pytest.raises(Exception, match="no"):
        await ask(llm, method)

    assert recorder.names()[0].endswith("StartEvent")
    assert not any(name.endswith("EndEvent") for name in recorder.names())
    wanted = "ExceptionEvent" if method in STREAMS else "SpanDropEvent"
    assert wanted in recorder.names()


@pytest.mark.parametrize("method", METHODS)
async def test_handlers_of_the_older_kind_are_told_once(make: Any, method: str) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    await ask(make(callback_manager=CallbackManager([debug])), method)
    (pair,) = debug.get_event_pairs(CBEventType.LLM)
    answer = EventPayload.COMPLETION if "complete" in method else EventPayload.RESPONSE

    assert pair[0].payload is not None
    assert pair[1].payload is not None
    assert pair[0].payload[EventPayload.SERIALIZED]["class_name"] == "gonka_llm"
    assert "You said" in str(pair[1].payload[answer])


async def test_an_abandoned_stream_is_told_with_what_came(
    llm: GonkaLLM, recorder: Recorder
) -> None:
    stream = llm.stream_chat([ChatMessage(content="one two three four")])
    next(stream)
    response = next(stream)
    stream.close()
    astream = await llm.astream_chat([ChatMessage(content="one two three four")])
    await anext(astream)
    await astream.aclose()

    ends = recorder.of(LLMChatEndEvent)
    assert len(ends) == 2
    assert ends[0].response.message.content in (response.message.content or "")


def test_per_call_headers_are_not_told(
    net: Devnet, at_gateway: GonkaLLM, recorder: Recorder
) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    at_gateway.callback_manager = CallbackManager([debug])
    at_gateway.chat([ChatMessage(content="x")], extra_headers={"X-Sig": "s3cret"}, seed=1)
    (start,) = recorder.of(LLMChatStartEvent)
    told = debug.get_event_pairs(CBEventType.LLM)[0][0].payload

    assert net.gateway.requests[-1].headers["x-sig"] == "s3cret"
    assert start.additional_kwargs["seed"] == 1
    assert "s3cret" not in str(start.model_dump()) + str(told)


async def test_the_frameworks_rate_limiter_holds(make: Any) -> None:
    limiter = TokenBucketRateLimiter(requests_per_minute=10_000)
    taken: list[str] = []

    class Counting(TokenBucketRateLimiter):
        def acquire(self, num_tokens: int = 0) -> None:
            taken.append("sync")

        async def async_acquire(self, num_tokens: int = 0) -> None:
            taken.append("async")

    llm = make(rate_limiter=Counting(requests_per_minute=10_000))
    for method in METHODS:
        await ask(llm, method)

    assert limiter is not None
    assert taken.count("sync") == taken.count("async") == 4


@pytest.mark.parametrize("method", METHODS)
async def test_failovers_are_events_of_the_call(
    net: Devnet, make: Any, recorder: Recorder, method: str
) -> None:
    llm = make(session=GonkaSession(make().config))  # with no memory of other tests' faults
    llm.complete("warm up")
    recorder.events.clear()
    for host in net.hosts:
        host.fault = Fault("status", status=503, times=1)
    served = (await ask(llm, method))[-1].additional_kwargs["gonka"]
    events = recorder.of(GonkaFailoverEvent)

    assert len(events) == served["failovers"] >= 1
    assert events[0].status == 503
    assert events[0].kind == "participant"
    assert events[0].endpoint != events[0].next_endpoint
    assert events[-1].next_endpoint == served["endpoint"]
    if method not in STREAMS:  # a stream's span is over when it is handed out
        assert events[0].span_id is not None
        assert events[0].span_id.startswith(f"GonkaLLM.{method}-")
    assert json.loads(events[0].model_dump_json())["outcome"] == events[0].outcome
    llm.session.close()


async def test_a_call_that_fails_altogether_tells_its_attempts(
    net: Devnet, make: Any, recorder: Recorder
) -> None:
    for host in net.hosts:
        host.fault = Fault("status", status=500)
    with pytest.raises(Exception, match="500"):
        make(max_retries=2).complete("x")

    assert 1 <= len(recorder.of(GonkaFailoverEvent)) <= 2


def test_an_epoch_change_is_one_event(recorder: Recorder) -> None:
    with Devnet(hosts=2, gateways=0, epoch=7) as net:
        place = {"source_url": net.source_url, "private_key": net.private_key}
        one, two = GonkaLLM(net.models[0], **place), GonkaLLM(net.models[0], seed=1, **place)
        assert one.complete("x").additional_kwargs["gonka"]["epoch"] == 7
        assert two.session is one.session
        assert recorder.of(GonkaEpochChangeEvent) == []
        net.advance_epoch(join=1)
        one.session.refresh()
        again = two.complete("x").additional_kwargs["gonka"]
        one.session.close()

    (event,) = recorder.of(GonkaEpochChangeEvent)
    assert (event.previous, event.epoch) == (7, 8)
    assert again["epoch"] == 8


class Name(BaseModel):
    """A name."""

    name: str


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("prefix", ["", "a"])
async def test_structured_predictions_are_told_once(
    net: Devnet, llm: GonkaLLM, recorder: Recorder, prefix: str, streaming: bool
) -> None:
    net.responder = lambda request: Reply('{"name": "Ada"}')
    method = f"{prefix}{'stream_' if streaming else ''}structured_predict"
    await everything(getattr(llm, method)(Name, PromptTemplate("x")))
    names = _shape([name for name in recorder.names() if "Structured" in name])

    middle = ["LLMStructuredPredictInProgressEvent"] if streaming else []
    assert names == ["LLMStructuredPredictStartEvent", *middle, "LLMStructuredPredictEndEvent"]
    assert recorder.names().count("LLMChatEndEvent") == 1


async def test_no_event_shows_a_secret_and_each_is_json(
    net: Devnet, recorder: Recorder, spans: SimpleSpanHandler
) -> None:
    provider = {"base_url": net.provider.base_url, "api_key": "sk-secret-provider"}
    llm = GonkaLLM(
        "gonka/test-model",
        source_url=net.source_url,
        private_key=net.private_key,
        fallbacks=[provider],
    )
    for host in net.hosts:
        host.fault = Fault("status", status=500, times=1)
    tool = FunctionTool.from_defaults(lambda a: a, name="f.g", description="x")
    for method in METHODS:
        await ask(llm, method)
    await everything(llm.chat_with_tools([tool], user_msg="x"))
    await everything(await llm.astream_chat_with_tools([tool], user_msg="x"))
    told = [event.model_dump_json() for event in recorder.events]
    told += [str(span.model_dump()) for span in spans.completed_spans]

    assert len(told) > 50
    for secret in (net.private_key.removeprefix("0x"), "sk-secret-provider"):
        assert not any(secret in text for text in told)
