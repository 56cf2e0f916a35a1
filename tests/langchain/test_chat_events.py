"""Callbacks and custom events: what an application hears while a run goes on."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    BaseCallbackHandler,
    UsageMetadataCallbackHandler,
)
from langchain_core.runnables import RunnableLambda

from gonka_integrations import GonkaError
from gonka_integrations.devnet import Devnet, Fault


class Heard(BaseCallbackHandler):
    """Notes custom events and tokens."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.tokens: list[str] = []

    def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
        self.events.append((name, data))

    def on_llm_new_token(self, token: Any, **_: Any) -> None:
        self.tokens.append(token)

    def on_llm_error(self, error: BaseException, **_: Any) -> None:
        self.events.append(("error", type(error).__name__))


class HeardAsync(AsyncCallbackHandler):
    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    async def on_custom_event(self, name: str, data: Any, **_: Any) -> None:
        self.events.append((name, data))


@pytest.fixture
def broken(devnet: Devnet) -> Devnet:
    """A network of which one host answers."""
    devnet.hosts[0].fault = devnet.hosts[1].fault = Fault("status", status=503)
    return devnet


@pytest.fixture
def failing(broken, model):
    """A model whose first request fails."""

    def make(**more):
        chat = model(**more)
        chat.session.prepare()
        for _ in range(20):
            if chat.invoke("warm up").response_metadata["gonka"]["failovers"]:
                break
        for host in broken.hosts:
            host.fault = Fault("status", status=500, times=1)
        return chat

    return make


def check(events):
    """One failover or more, each with who failed, why, and who came next."""
    assert events
    for name, data in events:
        assert name == "gonka_failover"
        assert data["outcome"] == "status"
        assert data["status"] in (500, 503)
        assert data["next"].startswith("http://127.0.0.1:")
        assert data["address"].startswith("gonka1")


async def test_failovers_are_told_to_the_calls_own_handlers(failing):
    heard, heard_async = Heard(), HeardAsync()
    failing().invoke("q", {"callbacks": [heard]})
    check(heard.events)
    await failing().ainvoke("q", {"callbacks": [heard_async]})
    check(heard_async.events)


async def test_failovers_of_streams_are_told_to_the_run_around(failing):
    """A stream has no run manager of its own; the chain or graph it is part of hears of it."""
    heard, heard_async = Heard(), HeardAsync()
    chain = RunnableLambda(lambda text: text) | failing()
    assert list(chain.stream("q", {"callbacks": [heard]}))
    check([event for event in heard.events if event[0] != "error"])
    chain = RunnableLambda(lambda text: text) | failing()
    assert [piece async for piece in chain.astream("q", {"callbacks": [heard_async]})]
    check(heard_async.events)


async def test_failovers_are_part_of_astream_events(failing):
    chain = RunnableLambda(lambda text: text) | failing()
    names = [event["name"] async for event in chain.astream_events("q", version="v2")
             if event["event"] == "on_custom_event"]  # fmt: skip
    assert names
    assert set(names) == {"gonka_failover"}


async def test_where_no_run_exists_nobody_is_told(failing):
    """And nothing breaks."""
    assert list(failing().stream("q"))
    assert [piece async for piece in failing().astream("q")]
    assert failing().invoke("q").content


async def test_a_call_that_fails_tells_its_failovers_too(devnet, model):
    for host in devnet.hosts:
        host.fault = Fault("status", status=500)
    heard = Heard()
    with pytest.raises(GonkaError):
        model(max_retries=2).invoke("q", {"callbacks": [heard]})
    assert [name for name, _ in heard.events] == ["gonka_failover"] * 2 + ["error"]


async def test_a_new_epoch_is_told_once(devnet, model):
    """By the first call that is served by it, to whoever makes that call."""
    chat = model(refresh_enabled=False)
    first, second, third = Heard(), Heard(), Heard()
    chat.invoke("q", {"callbacks": [first]})
    devnet.advance_epoch()
    chat.session.refresh()
    model(refresh_enabled=False).invoke("q", {"callbacks": [second]})
    chat.invoke("q", {"callbacks": [third]})
    assert first.events == third.events == []
    assert second.events == [("gonka_epoch_change", {"previous": 1, "epoch": 2})]


async def test_tokens_are_told_as_they_come(model):
    for chat in (model(streaming=True), model()):
        heard = Heard()
        if chat.streaming:
            chat.invoke("a b", {"callbacks": [heard]})
        else:
            list(chat.stream("a b", {"callbacks": [heard]}))
        assert heard.tokens == ["You", " said:", " a", " b", ""]
    heard = Heard()
    model(streaming=False).invoke("a b", {"callbacks": [heard]})
    assert heard.tokens == []


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_tokens_are_told_once_by_protocol_streams(model):
    heard = Heard()
    list(model().stream_events("a b", {"callbacks": [heard]}, version="v3"))
    assert heard.tokens == ["You", " said:", " a", " b", ""]


async def test_usage_is_counted_by_langchains_handler(model):
    usage = UsageMetadataCallbackHandler()
    model().invoke("q", {"callbacks": [usage]})
    list(model().stream("q", {"callbacks": [usage]}))
    counted = usage.usage_metadata["gonka/test-model"]
    assert counted["input_tokens"] == 8
    assert counted["output_tokens"] == 6


async def test_served_by_is_one_nested_value(devnet, model):
    """Plain JSON, once, however often chunks are merged."""
    import json
    from functools import reduce
    from operator import add

    chat = model()
    for message in (chat.invoke("q"), reduce(add, chat.stream("q"))):
        gonka = message.response_metadata["gonka"]
        assert json.loads(json.dumps(gonka)) == gonka
        assert gonka["kind"] == "participant"
        assert gonka["address"] == devnet.host_of(gonka["address"]).address
        assert gonka["epoch"] == 1
        assert gonka["failovers"] == 0
        assert [attempt["outcome"] for attempt in gonka["attempts"]] == ["served"]
        assert 0 < gonka["first_token_seconds"] <= gonka["total_seconds"]
