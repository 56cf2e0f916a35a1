"""The eight methods: what they answer, what they send, who served."""

from __future__ import annotations

import copy
import json
from itertools import pairwise
from typing import Any

import pytest
from llama_asking import CHATS, METHODS, STREAMS, ask, text_of
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

from gonka_integrations.devnet import Devnet, Fault, Reply
from gonka_integrations.errors import (
    GonkaBadRequestError,
    GonkaConfigError,
    GonkaEndpointsExhaustedError,
    StreamInterruptedError,
)
from gonka_integrations.llama_index import GonkaLLM


def test_it_is_an_llm_of_the_framework(llm: GonkaLLM) -> None:
    assert isinstance(llm, FunctionCallingLLM)
    assert BaseLLM.__name__ in [base.__name__ for base in GonkaLLM.__mro__]
    assert llm.class_name() == "gonka_llm"


@pytest.mark.parametrize("method", METHODS)
async def test_every_method_answers(llm: GonkaLLM, method: str) -> None:
    responses = await ask(llm, method, "Hello there")

    assert text_of(responses[-1]) == "You said: Hello there"


@pytest.mark.parametrize("method", STREAMS)
async def test_streams_grow_and_their_deltas_join_to_the_text(llm: GonkaLLM, method: str) -> None:
    responses = await ask(llm, method, "one two three four")
    texts = [text_of(response) for response in responses]

    assert len(responses) > 4
    assert "".join(response.delta for response in responses) == texts[-1]
    assert all(later.startswith(sooner) for sooner, later in pairwise(texts))
    assert texts[-1] == "You said: one two three four"


@pytest.mark.parametrize("method", METHODS)
async def test_responses_say_who_served_in_plain_json(
    net: Devnet, llm: GonkaLLM, method: str
) -> None:
    last = (await ask(llm, method))[-1]
    served = last.additional_kwargs["gonka"]

    assert served["endpoint"].removesuffix("/v1") in net.source_urls
    assert served["kind"] == "participant"
    assert served["epoch"] == net.epoch
    assert last.additional_kwargs["finish_reason"] == "stop"
    assert json.loads(json.dumps(served)) == served
    if hasattr(last, "message"):
        assert "gonka" not in last.message.additional_kwargs


@pytest.mark.parametrize("method", METHODS)
async def test_nothing_is_sent_that_was_not_given(llm: GonkaLLM, sent: Any, method: str) -> None:
    await ask(llm, method, "Hello")
    payload = sent()[-1]

    assert payload.keys() - {"stream", "stream_options"} == {"model", "messages"}
    assert payload["messages"] == [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize("method", METHODS)
async def test_arguments_of_the_call_win(make: Any, sent: Any, method: str) -> None:
    llm = make(max_tokens=50, temperature=0.5, seed=1, additional_kwargs={"user": "a", "seed": 2})
    await ask(llm, method, "Hello")
    await ask(llm, method, "Hello", max_tokens=7, seed=3, user="b", temperature=None)
    first, second = sent()[-2:]

    assert [first[k] for k in ("max_tokens", "temperature", "seed", "user")] == [50, 0.5, 2, "a"]
    assert [second[k] for k in ("max_tokens", "temperature", "seed", "user")] == [7, 0.5, 3, "b"]


async def test_two_names_for_the_token_limit_are_not_both_sent(net: Devnet, make: Any) -> None:
    llm = GonkaLLM(
        "m",
        max_tokens=50,
        fallbacks=[{"base_url": net.provider.base_url, "api_key": net.provider.api_key}],
    )
    llm.complete("Hello", max_completion_tokens=7)
    payload = net.provider.requests[-1].json

    assert payload is not None
    assert payload["max_completion_tokens"] == 7
    assert "max_tokens" not in payload


def test_the_model_can_be_chosen_for_a_call(llm: GonkaLLM, sent: Any) -> None:
    with pytest.raises(Exception, match="another/model"):
        llm.complete("Hello", model="another/model")

    assert sent() == []


def test_extra_body_is_unwrapped_and_options_stay_out_of_the_body(llm: GonkaLLM, sent: Any) -> None:
    llm.complete("Hello", extra_body={"min_p": 0.1}, timeout=30.0, max_retries=0)
    payload = sent()[-1]

    assert payload["min_p"] == 0.1
    assert not payload.keys() & {"extra_body", "timeout", "max_retries"}


def test_stop_and_limits_reach_the_model(make: Any) -> None:
    assert make(stop=["two"]).complete("one two").text == "You said: one "
    limited = make(max_tokens=3).complete("one two")
    assert limited.text == "You said: one"
    assert limited.additional_kwargs["finish_reason"] == "length"


@pytest.mark.parametrize("method", CHATS)
async def test_log_probabilities_come_when_asked_for(llm: GonkaLLM, method: str) -> None:
    without = (await ask(llm, method))[-1]
    last = (await ask(llm, method, logprobs=True, top_logprobs=2))[-1]

    assert without.logprobs is None
    assert last.logprobs
    assert all(isinstance(top.logprob, float) for position in last.logprobs for top in position)


def test_no_model_is_a_clear_error(net: Devnet, sent: Any) -> None:
    llm = GonkaLLM(source_url=net.source_url, private_key=net.private_key)

    with pytest.raises(GonkaConfigError, match="GONKA_MODEL") as caught:
        llm.complete("Hello")
    assert caught.value.field == "model"
    assert llm.metadata.model_name == "unknown"


def test_unknown_arguments_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(GonkaConfigError, match="did you mean 'temperature'") as caught:
        GonkaLLM("m", temprature=0.1)
    assert caught.value.field == "temprature"


def test_everything_can_come_from_the_environment(
    net: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONKA_MODEL", net.models[0])
    monkeypatch.setenv("GONKA_SOURCE_URL", net.source_url)
    monkeypatch.setenv("GONKA_PRIVATE_KEY", net.private_key)
    llm = GonkaLLM()

    assert llm.model == net.models[0]
    assert llm.complete("Hello").text == "You said: Hello"


def test_equal_connections_share_a_session(make: Any) -> None:
    first, second, other = make(), make(temperature=1.0), make(timeout=5.0)

    assert first.session is second.session
    assert first.session is not other.session


@pytest.mark.parametrize("method", METHODS)
async def test_errors_are_those_of_the_openai_sdk(net: Devnet, llm: GonkaLLM, method: str) -> None:
    import openai

    net.responder = lambda request: Reply(error=(400, "no such thing"))
    with pytest.raises(GonkaBadRequestError, match="no such thing") as caught:
        await ask(llm, method)
    assert isinstance(caught.value, openai.BadRequestError)
    assert caught.value.attempts


@pytest.mark.parametrize("method", METHODS)
async def test_one_retry_budget_holds_for_a_call(net: Devnet, make: Any, method: str) -> None:
    for host in net.hosts:
        host.fault = Fault("status", status=500)
    llm = make(max_retries=3)
    with pytest.raises(Exception, match="500"):
        await ask(llm, method)

    assert sum(len(host.requests) for host in net.hosts) <= 4


@pytest.mark.parametrize("method", STREAMS)
async def test_a_stream_that_breaks_off_has_its_partial_text(
    net: Devnet, llm: GonkaLLM, method: str
) -> None:
    import openai

    for host in net.hosts:
        host.fault = Fault("cut", after_tokens=3)
    with pytest.raises(StreamInterruptedError) as caught:
        await ask(llm, method, "one two three four")
    assert isinstance(caught.value, openai.OpenAIError)
    assert caught.value.partial_text == "You said: one"


@pytest.mark.parametrize("method", METHODS)
async def test_nobody_there_is_a_connection_error(method: str) -> None:
    llm = GonkaLLM("m", base_url="http://127.0.0.1:9/v1", api_key="k", max_retries=0)

    with pytest.raises(GonkaEndpointsExhaustedError):
        await ask(llm, method)


@pytest.mark.parametrize("method", METHODS)
async def test_odd_chunks_are_tolerated(net: Devnet, llm: GonkaLLM, method: str) -> None:
    net.responder = lambda request: Reply(
        chunks=[
            {"choices": []},
            {"choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": None}]},
            {"choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": None}]},
            {"choices": [{"index": 1, "delta": {"content": "X"}, "finish_reason": "stop"}]},
            {"choices": [{"index": 0, "delta": {"content": "B"}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        ]
    )
    responses = await ask(llm, method)

    assert text_of(responses[-1]) == "AB"
    assert responses[-1].raw["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("method", CHATS)
async def test_the_messages_given_are_not_changed(llm: GonkaLLM, method: str) -> None:
    messages = [ChatMessage(role="system", content="s"), ChatMessage(content="Hello")]
    before = copy.deepcopy(messages)
    await ask(llm, method, messages)

    assert messages == before


def test_a_prompt_is_formatted_unless_it_is(make: Any) -> None:
    llm = make(completion_to_prompt=lambda prompt: f"<{prompt}>")

    assert llm.complete("Hello").text == "You said: <Hello>"
    assert llm.complete("Hello", formatted=True).text == "You said: Hello"


def test_refusals_are_told(net: Devnet, llm: GonkaLLM) -> None:
    net.responder = lambda request: Reply(text=None, refusal="I will not.")

    assert llm.chat([ChatMessage(content="x")]).additional_kwargs["refusal"] == "I will not."
    last = list(llm.stream_chat([ChatMessage(content="x")]))[-1]
    assert last.additional_kwargs["refusal"] == "I will not."
