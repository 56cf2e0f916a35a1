"""What holds when there is much of it: hosts, streams, threads, calls. Ours only.

    python -m benchmarks.chaos.stress many_hosts

prints one JSON object of figures. Each test runs in a fresh process of the environment ``ours3``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..common.stats import median
from ..overhead.fleet import Server
from ..overhead.subjects import MESSAGES, Place
from ..overhead.subjects.ours import connection
from .picks import shares, small_host

Figures = dict[str, float]
_PAYLOAD = {"model": "bench", "messages": MESSAGES}


def _session(urls: list[str], **changes: Any) -> Any:
    from gonka_integrations import GonkaConfig, GonkaSession

    given = connection(Place(tuple(urls)), "signed", inside=False) | changes
    return GonkaSession(GonkaConfig.build(**given))


def many_hosts() -> Figures:
    """CPU of one call over 1,000 hosts with hundreds of idle connections, and over one host."""
    server = Server(1_000, None)
    try:
        return asyncio.run(_many_hosts(server.urls))
    finally:
        server.close()


async def _many_hosts(urls: list[str]) -> Figures:
    one, many = _session(urls[:1]), _session(urls)

    async def calls(session: Any, count: int) -> float:
        begin = time.process_time()
        for _ in range(count):
            await session.chat.acomplete(_PAYLOAD)
        return (time.process_time() - begin) / count * 1e6

    await calls(one, 300)
    await asyncio.gather(*(many.chat.acomplete(_PAYLOAD) for _ in range(500)))
    young = await calls(many, 300)
    await calls(many, 6_000)
    pairs = [(await calls(one, 300), await calls(many, 300)) for _ in range(7)]
    single, warm = median([a for a, _ in pairs]), median([b / a for a, b in pairs])
    await one.aclose()
    await many.aclose()
    return {
        "one host, CPU us per call": single,
        "1,000 hosts, about 500 connected, x one host": young / single,
        "1,000 hosts, all connected, x one host": warm,
    }


def many_streams() -> Figures:
    """1,000 streams open at once on one loop, each read to its end."""
    server = Server(10, None)
    try:
        return asyncio.run(_many_streams(server.urls))
    finally:
        server.close()


async def _many_streams(urls: list[str]) -> Figures:
    session = _session(urls)
    opened = asyncio.Semaphore(0)
    begin = time.perf_counter()

    async def read(everybody: asyncio.Event) -> int:
        async with await session.chat.astream(_PAYLOAD) as stream:
            opened.release()
            await everybody.wait()
            return sum([1 async for chunk in stream if chunk["choices"]])

    everybody = asyncio.Event()
    tasks = [asyncio.create_task(read(everybody)) for _ in range(1_000)]
    for _ in range(1_000):
        await opened.acquire()
    held = session.pool.in_flight()
    everybody.set()
    counts = await asyncio.gather(*tasks, return_exceptions=True)
    figures: Figures = {
        "open at once": held,
        "failed": sum(not isinstance(count, int) or count < 200 for count in counts),
        "seconds": time.perf_counter() - begin,
        "in flight afterwards": session.pool.in_flight(),
    }
    await session.aclose()
    return figures


def threads() -> Figures:
    """64 threads and 4 event loops on one session, threads switching every 10 microseconds."""
    server = Server(10, None)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        return _threads(_session(server.urls))
    finally:
        sys.setswitchinterval(usual)
        server.close()


def _threads(session: Any) -> Figures:
    errors: list[BaseException] = []
    done = [0]
    lock = threading.Lock()

    def guarded(work: Callable[[], int]) -> None:
        try:
            count = work()
        except BaseException as error:  # noqa: BLE001 - a thread must not die unseen
            errors.append(error)
            return
        with lock:
            done[0] += count

    def blocking() -> int:
        for turn in range(20):
            if turn % 4 == 3:
                with session.chat.stream(_PAYLOAD) as stream:
                    next(stream)  # and is left unread
            else:
                session.chat.complete(_PAYLOAD)
        return 20

    async def loop() -> int:
        async def caller() -> None:
            for turn in range(20):
                if turn % 4 == 3:
                    async with await session.chat.astream(_PAYLOAD) as stream:
                        await anext(stream)
                else:
                    await session.chat.acomplete(_PAYLOAD)

        await asyncio.gather(*(caller() for _ in range(16)))
        await session.aclose()
        return 320

    with ThreadPoolExecutor(68) as workers:
        for _ in range(64):
            workers.submit(guarded, blocking)
        for _ in range(4):
            workers.submit(guarded, lambda: asyncio.run(loop()))
    session.close()
    return {
        "calls": done[0], "failed threads and loops": len(errors),
        "in flight afterwards": session.pool.in_flight(),
    }  # fmt: skip


def endurance() -> Figures:
    """100,000 calls through one session: what the memory does."""
    server = Server(10, None)
    try:
        return asyncio.run(_endurance(server.urls))
    finally:
        server.close()


async def _endurance(urls: list[str]) -> Figures:
    from ..overhead.timing import resident_mb

    session = _session(urls)
    left = iter(range(100_000))
    marks: list[float] = []

    async def caller() -> None:
        for number in left:
            await session.chat.acomplete(_PAYLOAD)
            if number % 10_000 == 9_999:
                gc.collect()
                marks.append(resident_mb())

    await asyncio.gather(*(caller() for _ in range(20)))
    await session.aclose()
    return {
        "MB after 10,000 calls": marks[0], "MB after 50,000 calls": marks[4],
        "MB after 100,000 calls": marks[-1], "growth MB": marks[-1] - marks[0],
    }  # fmt: skip


TESTS: dict[str, Callable[[], Figures]] = {
    test.__name__: test
    for test in (many_hosts, many_streams, threads, endurance, shares, small_host)
}


def main() -> None:
    print(json.dumps(TESTS[sys.argv[1]]()))


if __name__ == "__main__":
    main()
