"""Fallback chaining: providers in the pool, then any other LLM of the framework."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from llama_asking import (
    CHATS,
    METHODS,
    PREDICTIONS,
    STREAMS,
    TOOL_METHODS,
    ask,
    everything,
    text_of,
)
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from gonka_integrations.devnet import Devnet, Fault, Reply
from gonka_integrations.errors import (
    GonkaConfigError,
    GonkaDiscoveryError,
    GonkaServerError,
    StreamInterruptedError,
)
from gonka_integrations.llama_index import GonkaFailoverEvent, GonkaLLM


class Echo(MockLLM):
    """Another LLM: says what it is asked, and may fail before or after its first word."""

    fails: str | None = None

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if self.fails:
            raise RuntimeError(self.fails)
        return super().chat(messages, **kwargs)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        if self.fails:
            raise RuntimeError(self.fails)
        return super().complete(prompt, formatted=formatted, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        yield ChatResponse(message=ChatMessage(role="assistant", content=""), delta="")
        if self.fails:
            raise RuntimeError(self.fails)
        yield from super().stream_chat(messages, **kwargs)

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        async def chunks() -> Any:
            for response in self.stream_chat(messages, **kwargs):
                yield response

        return chunks()

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        if self.fails:
            raise RuntimeError(self.fails)
        return super().stream_complete(prompt, formatted=formatted, **kwargs)


def failing(reason: str) -> Echo:
    llm = Echo()
    llm.fails = reason
    return llm


@pytest.fixture
def broken(net: Devnet) -> Devnet:
    for host in net.hosts:
        host.fault = Fault("status", status=500)
    return net


@pytest.mark.parametrize("method", METHODS)
async def test_providers_in_the_pool_take_over(broken: Devnet, make: Any, method: str) -> None:
    provider = {"base_url": broken.provider.base_url, "api_key": broken.provider.api_key}
    last = (await ask(make(fallbacks=[provider]), method))[-1]

    assert text_of(last) == "You said: Hello there"
    assert last.additional_kwargs["gonka"]["kind"] == "provider"


@pytest.mark.parametrize("method", METHODS)
async def test_any_other_llm_takes_over(broken: Devnet, make: Any, method: str) -> None:
    llm = make(max_retries=1, fallback_llms=[failing("first is down"), Echo()])
    responses = await ask(llm, method)
    served = responses[-1].additional_kwargs["gonka"]

    assert "Hello there" in text_of(responses[-1])
    assert served["kind"] == "fallback_llm"
    assert served["fallback"] == 1
    assert served["failovers"] == 2
    assert served["attempts"][0]["status"] == 500
    assert json.loads(json.dumps(served)) == served


@pytest.mark.parametrize("method", METHODS)
async def test_the_network_comes_first(llm: GonkaLLM, make: Any, method: str) -> None:
    last = (await ask(make(max_retries=2, fallback_llms=[failing("never asked")]), method))[-1]

    assert text_of(last) == "You said: Hello there"
    assert last.additional_kwargs["gonka"]["kind"] == "participant"


@pytest.mark.parametrize("method", METHODS)
async def test_when_nobody_answers_the_networks_error_stands(
    broken: Devnet, make: Any, method: str
) -> None:
    llm = make(max_retries=2, fallback_llms=[failing("out of words"), failing("asleep")])
    with pytest.raises(GonkaServerError) as caught:
        await ask(llm, method)

    notes = " ".join(caught.value.__notes__)
    assert "out of words" in notes
    assert "asleep" in notes


@pytest.mark.parametrize("method", ["chat", "astream_chat"])
async def test_a_source_that_is_down_is_no_end(net: Devnet, method: str) -> None:
    llm = GonkaLLM(
        "m",
        source_url=net.provider.url,  # answers, but knows of no participants
        private_key="11" * 32,
        fallback_llms=[Echo()],
    )
    last = (await ask(llm, method))[-1]

    assert last.additional_kwargs["gonka"]["kind"] == "fallback_llm"
    with pytest.raises(GonkaDiscoveryError):
        await ask(llm, method, use_fallbacks=False)


@pytest.mark.parametrize("method", METHODS)
async def test_what_cannot_be_sent_is_nobody_elses_business(make: Any, method: str) -> None:
    llm = make("moonshotai/Kimi-K2.6", fallback_llms=[Echo()])
    with pytest.raises(GonkaConfigError):
        await ask(llm, method, thinking=True, model="MiniMaxAI/MiniMax-M2.7")


@pytest.mark.parametrize("method", STREAMS)
async def test_after_the_first_word_nobody_takes_over(net: Devnet, make: Any, method: str) -> None:
    for host in net.hosts:
        host.fault = Fault("cut", after_tokens=2)
    with pytest.raises(StreamInterruptedError):
        await ask(make(max_retries=2, fallback_llms=[Echo()]), method, "one two three")


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_an_llm_that_opens_a_stream_and_fails_is_replaced_unseen(
    broken: Devnet, make: Any, method: str
) -> None:
    llm = make(max_retries=2, fallback_llms=[failing("after the role"), Echo()])
    responses = await ask(llm, method)

    assert {r.additional_kwargs["gonka"]["fallback"] for r in responses} == {1}
    assert "".join(r.delta or "" for r in responses) == "user: Hello there\nassistant: "


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


class Caller(MockFunctionCallingLLM):
    """Calls the first tool it is given; notes how it was asked."""

    asked: list[dict[str, Any]] = Field(default_factory=list)

    def _prepare_chat_with_tools(
        self, tools: Any, tool_required: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        names = [tool.metadata.name for tool in tools]
        self.asked.append({"tools": names, "tool_required": tool_required, **kwargs})
        return {"messages": kwargs["chat_history"]}

    def _reply(self) -> ChatResponse:
        call = ToolCallBlock(tool_call_id="x", tool_name="add", tool_kwargs={"a": 1, "b": 2})
        return ChatResponse(message=ChatMessage(role="assistant", blocks=[call]))

    def chat(self, messages: Any, **kwargs: Any) -> Any:
        return self._reply()

    async def achat(self, messages: Any, **kwargs: Any) -> Any:
        return self._reply()

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        yield self._reply()

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        async def chunks() -> Any:
            yield self._reply()

        return chunks()


@pytest.mark.parametrize("method", TOOL_METHODS)
async def test_tools_are_handed_on_as_tools(broken: Devnet, make: Any, method: str) -> None:
    caller = Caller()
    llm = make(max_retries=2, fallback_llms=[MockLLM(), caller])
    answer = getattr(llm, method)(
        [ADD], user_msg="1 + 2?", tool_required=True, allow_parallel_tool_calls=True
    )
    last = (await everything(answer))[-1]
    (asked,) = caller.asked

    assert llm.get_tool_calls_from_response(last)[0].tool_kwargs == {"a": 1, "b": 2}
    assert asked["tools"] == ["add"]
    assert asked["tool_required"] is True
    assert asked["allow_parallel_tool_calls"] is True
    assert asked["chat_history"][-1].content == "1 + 2?"


def test_another_gonka_can_be_the_fallback(broken: Devnet, make: Any) -> None:
    provider = {"base_url": broken.provider.base_url, "api_key": broken.provider.api_key}
    other = GonkaLLM("other", fallbacks=[provider])
    answer = make(max_retries=2, fallback_llms=[other]).chat_with_tools(
        [ADD], user_msg="x", tool_required=True
    )

    assert other.get_tool_calls_from_response(answer)[0].tool_name == "add"
    assert answer.additional_kwargs["gonka"]["model"] == "other"
    assert answer.additional_kwargs["gonka"]["served"]["kind"] == "provider"


class Name(BaseModel):
    """A name."""

    name: str = "nobody"


class Predictor(MockLLM):
    """Predicts a name in every way."""

    def structured_predict(self, output_cls: Any, prompt: Any, *args: Any, **kwargs: Any) -> Any:
        return output_cls(name=kwargs["who"])

    async def astructured_predict(
        self, output_cls: Any, prompt: Any, *args: Any, **kwargs: Any
    ) -> Any:
        return output_cls(name=kwargs["who"])

    def stream_structured_predict(
        self, output_cls: Any, prompt: Any, *args: Any, **kwargs: Any
    ) -> Any:
        yield output_cls(name=kwargs["who"])

    async def astream_structured_predict(
        self, output_cls: Any, prompt: Any, *args: Any, **kwargs: Any
    ) -> Any:
        async def growing() -> Any:
            yield output_cls(name=kwargs["who"])

        return growing()


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_structured_predictions_are_handed_on_whole(
    broken: Devnet, make: Any, method: str
) -> None:
    llm = make(max_retries=2, fallback_llms=[Predictor()])
    answer = getattr(llm, method)(Name, PromptTemplate("Who is {who}?"), who="Ada")

    assert (await everything(answer))[-1] == Name(name="Ada")


@pytest.mark.parametrize("method", CHATS)
async def test_tokens_are_counted_once_also_when_both_report_to_the_same(
    broken: Devnet, make: Any, method: str
) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 200}
    provider = {"base_url": broken.provider.base_url, "api_key": broken.provider.api_key}
    broken.responder = lambda request: Reply("words", usage=usage)
    for shared in (True, False):
        counter = TokenCountingHandler(tokenizer=str.split)
        manager = CallbackManager([counter])
        other = GonkaLLM("other", fallbacks=[provider])
        if shared:
            other.callback_manager = manager
        await ask(make(max_retries=2, callback_manager=manager, fallback_llms=[other]), method)
        total = (counter.prompt_llm_token_count, counter.completion_llm_token_count)
        assert total == (11, 200)


class _Handler(BaseEventHandler):
    seen: list[Any] = Field(default_factory=list)

    def handle(self, event: Any, **kwargs: Any) -> None:
        if isinstance(event, GonkaFailoverEvent):
            self.seen.append(event)


@pytest.mark.parametrize("method", ["chat", "astream_complete"])
async def test_taking_over_is_an_event(broken: Devnet, make: Any, method: str) -> None:
    root, handler = get_dispatcher(), _Handler()
    before = list(root.event_handlers)
    root.add_event_handler(handler)
    try:
        await ask(make(max_retries=0, fallback_llms=[failing("x"), Echo()]), method)
    finally:
        root.event_handlers = before

    assert [(event.kind, event.next_endpoint) for event in handler.seen] == [
        ("network", "MockLLM"),
        ("fallback_llm", "MockLLM"),
    ]
    assert handler.seen[0].status == 500


def test_headers_are_not_handed_on(broken: Devnet, make: Any) -> None:
    class Curious(Echo):
        def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
            seen.update(kwargs)
            return super().chat(messages)

    seen: dict[str, Any] = {}
    llm = make(max_retries=2, fallback_llms=[Curious()])
    llm.chat([ChatMessage(content="x")], extra_headers={"X-Sig": "s"}, temperature=0.5, timeout=9.0)

    assert seen == {"temperature": 0.5}
