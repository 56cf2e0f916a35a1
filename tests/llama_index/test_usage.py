"""Tokens are counted exactly, once, and the same whether the answer streams or not."""

from __future__ import annotations

from typing import Any

import pytest
from llama_asking import COMPLETIONS, METHODS, PREDICTIONS, ask, everything
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from gonka_integrations.devnet import Devnet, Reply

USAGE = {"prompt_tokens": 11, "completion_tokens": 200, "total_tokens": 211}


class Name(BaseModel):
    """A name."""

    name: str


@pytest.fixture
def counter() -> TokenCountingHandler:
    return TokenCountingHandler(tokenizer=str.split)


@pytest.fixture
def counted(net: Devnet, make: Any, counter: TokenCountingHandler) -> Any:
    net.responder = lambda request: Reply("some words that are not two hundred", usage=USAGE)
    return make(callback_manager=CallbackManager([counter]))


def _counts(counter: TokenCountingHandler) -> list[tuple[int, int]]:
    return [(e.prompt_token_count, e.completion_token_count) for e in counter.llm_token_counts]


@pytest.mark.parametrize("method", METHODS)
async def test_counts_are_exact_and_the_same_for_every_method(
    counted: Any, counter: TokenCountingHandler, method: str
) -> None:
    last = (await ask(counted, method))[-1]

    assert _counts(counter) == [(11, 200)]
    assert last.raw["usage"] == USAGE
    assert {name: last.additional_kwargs[name] for name in USAGE} == USAGE


@pytest.mark.parametrize("method", COMPLETIONS)
async def test_a_completion_is_one_event(
    counted: Any, counter: TokenCountingHandler, method: str
) -> None:
    await ask(counted, method)
    await ask(counted, method)

    assert len(counter.llm_token_counts) == 2
    assert counter.total_llm_token_count == 2 * 211


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_usage_is_asked_for_unless_the_caller_decides(
    counted: Any, sent: Any, method: str
) -> None:
    await ask(counted, method)
    await ask(counted, method, stream_options={"include_usage": False})

    assert sent()[0]["stream_options"] == {"include_usage": True}
    assert sent()[1]["stream_options"] == {"include_usage": False}


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_a_structured_prediction_is_counted_once(
    net: Devnet, counted: Any, counter: TokenCountingHandler, method: str
) -> None:
    net.responder = lambda request: Reply('{"name": "Ada"}', usage=USAGE)
    found = (await everything(getattr(counted, method)(Name, PromptTemplate("Who?"))))[-1]

    assert found == Name(name="Ada")
    assert _counts(counter) == [(11, 200)]


@pytest.mark.parametrize("method", METHODS)
async def test_a_structured_llm_is_counted_once(
    net: Devnet, counted: Any, counter: TokenCountingHandler, method: str
) -> None:
    net.responder = lambda request: Reply('{"name": "Ada"}', usage=USAGE)
    structured = counted.as_structured_llm(Name, callback_manager=counted.callback_manager)
    last = (await ask(structured, method))[-1]

    assert last.raw == Name(name="Ada")
    assert _counts(counter) == [(11, 200)]


async def test_an_abandoned_stream_is_counted_by_what_came(
    net: Devnet, counted: Any, counter: TokenCountingHandler
) -> None:
    net.responder = lambda request: Reply("one two three four five six")
    stream = counted.stream_chat([ChatMessage(content="a b c")])
    next(stream), next(stream)
    stream.close()
    astream = await counted.astream_chat([ChatMessage(content="a b c")])
    await anext(astream)
    await anext(astream)
    await astream.aclose()

    sync, asynchronous = counter.llm_token_counts
    assert sync.completion == asynchronous.completion == "assistant: one two"
    assert sync.completion_token_count == 3
    assert sync.prompt_token_count > 0


async def test_a_server_without_usage_is_estimated_as_the_framework_does(
    net: Devnet, counted: Any, counter: TokenCountingHandler
) -> None:
    ending = {"index": 0, "delta": {"content": "two words"}, "finish_reason": "stop"}
    net.responder = lambda request: Reply(chunks=[{"choices": [ending]}])
    await ask(counted, "stream_chat")

    assert counter.llm_token_counts[0].completion_token_count == 3
