"""Event loops: any number, in turn, inside one another, in threads; and abandoned streams."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_asking import CHATS, ask, text_of
from llama_index.core.async_utils import asyncio_run
from llama_index.core.llms import ChatMessage

from gonka_integrations.devnet import Devnet, Reply
from gonka_integrations.llama_index import GonkaLLM

ASYNC = ("achat", "astream_chat", "acomplete", "astream_complete")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Any:
    """Fails the test when asyncio complains of something that was never retrieved or closed."""
    with caplog.at_level(logging.DEBUG, logger="asyncio"):
        yield
        gc.collect()
    complaints = [record.getMessage() for record in caplog.records if record.name == "asyncio"]
    assert not [one for one in complaints if "selector" not in one]
    err = capfd.readouterr().err
    assert "never retrieved" not in err
    assert "was never awaited" not in err


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize("method", ASYNC)
def test_one_model_serves_one_loop_after_the_other(make: Any, method: str, retries: int) -> None:
    llm = make(max_retries=retries)
    for number in range(4):
        last = asyncio.run(ask(llm, method, f"round {number}"))[-1]
        assert text_of(last) == f"You said: round {number}"


# The framework closes such loops without shutting them down, which leaves their sockets to the
# garbage collector, and that says so in development mode.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("method", ASYNC)
async def test_a_loop_inside_a_running_loop(llm: GonkaLLM, method: str) -> None:
    await ask(llm, method, "outside")
    for number in range(3):
        last = asyncio_run(ask(llm, method, f"inside {number}"))[-1]
        assert text_of(last) == f"You said: inside {number}"
    assert text_of((await ask(llm, method, "outside again"))[-1]) == "You said: outside again"
    llm.session.network.close()
    gc.collect()


@pytest.mark.usefixtures("quiet")
def test_four_threads_with_a_loop_each(llm: GonkaLLM) -> None:
    async def several(thread: int) -> list[str]:
        calls = [ask(llm, ASYNC[n % 4], f"{thread}-{n}") for n in range(8)]
        return [text_of(answers[-1]) for answers in await asyncio.gather(*calls)]

    def run(thread: int) -> list[str]:
        return asyncio.run(several(thread)) + asyncio.run(several(thread))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(run, range(4), timeout=60))

    for thread, texts in enumerate(results):
        assert texts == [f"You said: {thread}-{n}" for n in range(8)] * 2


def test_threads_may_share_a_model(llm: GonkaLLM) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = pool.map(lambda n: llm.complete(f"call {n}").text, range(40), timeout=60)

    assert list(texts) == [f"You said: call {n}" for n in range(40)]


def test_a_stream_may_be_read_in_another_thread(llm: GonkaLLM) -> None:
    stream = llm.stream_chat([ChatMessage(content="one two three")])
    first = next(stream)
    rest: list[Any] = []
    reader = threading.Thread(target=lambda: rest.extend(stream))
    reader.start()
    reader.join(timeout=30)

    assert first.delta
    assert rest[-1].message.content == "You said: one two three"


LONG = " ".join(f"word{n}" for n in range(400))


@pytest.fixture
def slow(net: Devnet) -> Devnet:
    net.responder = lambda request: Reply(LONG, token_delay=0.01)
    return net


def _left_early(net: Devnet, within: float = 5.0) -> bool:
    """Whether the host saw the client leave, and has nothing in flight any more."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        requests = [request for host in net.hosts for request in host.requests]
        idle = not any(host.in_flight for host in net.hosts)
        if requests and idle and all(request.disconnected for request in requests):
            return True
        time.sleep(0.01)
    return False


def _arrived(net: Devnet) -> None:
    """Waits until some host works on a request."""
    deadline = time.monotonic() + 5
    while not any(host.in_flight for host in net.hosts) and time.monotonic() < deadline:
        time.sleep(0.01)


def test_leaving_a_stream_closes_the_request(slow: Devnet, llm: GonkaLLM) -> None:
    for _ in llm.stream_chat([ChatMessage(content="x")]):
        break

    assert _left_early(slow)
    assert llm.session.stats()["in_flight"] == 0


def test_closing_a_stream_closes_the_request(slow: Devnet, llm: GonkaLLM) -> None:
    stream = llm.stream_complete("x")
    next(stream)
    stream.close()

    assert _left_early(slow)
    assert llm.session.stats()["in_flight"] == 0


async def test_closing_an_asynchronous_stream_closes_the_request(
    slow: Devnet, llm: GonkaLLM
) -> None:
    stream = await llm.astream_chat([ChatMessage(content="x")])
    await anext(stream)
    await stream.aclose()

    assert await asyncio.to_thread(_left_early, slow)
    assert llm.session.stats()["in_flight"] == 0


@pytest.mark.usefixtures("quiet")
async def test_leaving_an_asynchronous_stream_closes_the_request(
    slow: Devnet, llm: GonkaLLM
) -> None:
    async for _ in await llm.astream_complete("x"):
        break

    assert await asyncio.to_thread(_left_early, slow)
    assert llm.session.stats()["in_flight"] == 0


async def test_a_cancelled_call_closes_the_request(slow: Devnet, llm: GonkaLLM) -> None:
    for method in CHATS[1::2]:
        task = asyncio.create_task(ask(llm, method, "x"))
        await asyncio.to_thread(_arrived, slow)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert await asyncio.to_thread(_left_early, slow)
    assert llm.session.stats()["in_flight"] == 0


@pytest.mark.parametrize("method", ASYNC)
async def test_the_loop_is_never_blocked(make: Any, method: str) -> None:
    blockbuster = pytest.importorskip("blockbuster")
    llm = make(fallback_llms=[])
    with blockbuster.blockbuster_ctx("gonka_integrations"):
        assert text_of((await ask(llm, method))[-1]) == "You said: Hello there"
