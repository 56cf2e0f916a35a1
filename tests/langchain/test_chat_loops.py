"""Event loops, threads and blocking: one model, used from everywhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from blockbuster import BlockBuster, BlockingError

from gonka_integrations import ChatGonka, GonkaError
from gonka_integrations.devnet import Devnet, Fault


async def both(chat):
    """A plain call and a stream."""
    message = await chat.ainvoke("q")
    pieces = [piece.content async for piece in chat.astream("q")]
    return message.content, "".join(pieces)


EXPECTED = ("You said: q", "You said: q")


def test_loops_in_a_row(routed):
    """Each `asyncio.run` has a loop of its own; a model outlives them all."""
    chat = routed(max_retries=0)
    for _ in range(5):
        assert asyncio.run(both(chat)) == EXPECTED
        assert chat.invoke("q").content == "You said: q"


def test_loops_in_parallel(routed):
    chat = routed(max_retries=0)
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: asyncio.run(both(chat)), range(8)))
    assert results == [EXPECTED] * 8


def test_threads_share_a_model(routed):
    chat = routed()
    results = chat.batch([str(n) for n in range(20)], config={"max_concurrency": 8})
    assert [message.content for message in results] == [f"You said: {n}" for n in range(20)]


async def test_many_at_once(routed):
    results = await routed().abatch([str(n) for n in range(50)])
    assert [message.content for message in results] == [f"You said: {n}" for n in range(50)]


@pytest.fixture
def blocked():
    """Blocking calls on an event loop become errors; the devnet's own loop is left alone."""
    watch = BlockBuster()
    watch.activate()
    try:
        with pytest.raises(BlockingError):
            asyncio.run(_block())
        yield
    finally:
        watch.deactivate()


async def _block():
    time.sleep(0.01)  # noqa: ASYNC251 - what must not be done


@pytest.fixture
def quiet_net():
    """A devnet that blocks nowhere either: its servers run in another thread's loop."""
    with Devnet(hosts=3) as net:
        yield net


def test_nothing_blocks_the_loop(quiet_net, blocked):
    """From the first call on: construction, discovery, signing, reading, tools, failing over."""

    async def everything():
        chat = ChatGonka(
            model="gonka/test-model",
            private_key=quiet_net.private_key,
            source_url=quiet_net.source_url,
        )
        assert await both(chat) == EXPECTED
        schema = {"title": "P", "description": "d", "type": "object", "properties": {}}
        for method in ("function_calling", "json_schema"):
            chain = chat.with_structured_output(schema, method=method, include_raw=True)
            assert (await chain.ainvoke("q"))["parsed"] == {}
        await chat.bind_tools([schema], tool_choice="any").ainvoke("q")
        quiet_net.hosts[0].fault = quiet_net.hosts[1].fault = Fault("role_then_cut")
        assert await both(chat) == EXPECTED
        stream = chat.astream("q")
        await anext(stream)
        await stream.aclose()
        quiet_net.hosts[2].fault = Fault("status", status=400)
        with pytest.raises(GonkaError):
            await chat.ainvoke("q")
        await chat.aclose()

    asyncio.run(everything())


FIRST = """
import asyncio, sys
from blockbuster import BlockBuster
from gonka_integrations import ChatGonka, GonkaError

async def first():
    chat = ChatGonka(model="gonka/test-model", base_url=sys.argv[1], api_key=sys.argv[2])
    watch = BlockBuster()
    watch.activate()
    try:
        if sys.argv[3] == "served":
            assert (await chat.ainvoke("q")).content == "You said: q"
        else:
            try:
                await chat.ainvoke("q")
            except GonkaError as error:
                assert error.is_retryable is False
            else:
                raise AssertionError
    finally:
        watch.deactivate()

asyncio.run(first())
"""


@pytest.mark.parametrize("end", ["served", "refused"])
def test_the_first_call_of_a_process_waits_for_no_import(devnet, end):
    """Nothing is loaded yet: neither what does I/O nor the classes of errors."""
    if end == "refused":
        devnet.gateway.fault = Fault("status", status=400)
    given = [devnet.gateway.base_url, str(devnet.gateway.api_key), end]
    done = subprocess.run(
        [sys.executable, "-c", FIRST, *given], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


async def test_a_cancelled_call_leaves_nothing_behind(devnet, model):
    devnet.token_delay = 0.05
    chat = model()
    await chat.ainvoke("q")
    task = asyncio.create_task(chat.ainvoke("word " * 50))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sum(entry["in_flight"] for entry in chat.session.stats()["endpoints"]) == 0
    devnet.token_delay = 0.0
    assert (await chat.ainvoke("q")).content == "You said: q"


def test_a_model_can_be_used_after_its_loop_is_gone(model):
    chat = model()
    thread = threading.Thread(target=lambda: asyncio.run(both(chat)))
    thread.start()
    thread.join()
    assert asyncio.run(both(chat)) == EXPECTED
