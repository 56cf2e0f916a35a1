"""Single pieces of gonka_integrations, timed by themselves in CPU time.

    python -m benchmarks.overhead.micro pick

prints one JSON object. Each piece runs in a fresh process of the environment ``ours3``.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from ..common.stats import median

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = dict[str, float]


def cpu_us(function: Callable[[], object], count: int, rounds: int = 7) -> float:
    """CPU microseconds of one call: median over *rounds* of *count* calls each."""
    taken = []
    for _ in range(rounds):
        gc.collect()
        begin = time.process_time()
        for _ in range(count):
            function()
        taken.append((time.process_time() - begin) / count * 1e6)
    return median(taken)


def pick() -> Figures:
    """Lease an endpoint and settle the lease as served, over pools of three sizes."""
    from gonka_integrations.core.endpoints import Bearer, Endpoint
    from gonka_integrations.core.pool import EndpointPool, Outcome, Want

    served = Outcome(first_token=0.05, total=0.2)
    found: Figures = {}
    for size in (10, 1_000, 10_000):
        pool = EndpointPool()
        pool.replace(
            Endpoint("gateway", f"http://host-{i}/v1", Bearer(None, str(i)), weight=1.0 + i % 7)
            for i in range(size)
        )

        def cycle(pool: EndpointPool = pool) -> None:
            lease = pool.acquire(Want("model"))
            assert lease is not None
            pool.settle(lease, served)

        for _ in range(3 * size):  # every endpoint measured at least once, tables built
            cycle()
        found[f"pick + settle, {size:,} endpoints, us"] = cpu_us(cycle, 5_000)
    return found


def sign() -> Figures:
    """Sign a request of 1 KB: hash of the body, of the message, and the signature."""
    from gonka_integrations.core.curve import backend
    from gonka_integrations.core.keys import PrivateKey
    from gonka_integrations.core.signing import body_hash, sign_hash

    key, body = PrivateKey.from_hex("1" * 64), b"x" * 1024
    stamps = itertools.count(1_750_000_000_000_000_000)
    name = "pure Python" if backend().__name__ == "_Pure" else "coincurve"

    def one() -> str:
        return sign_hash(key, body_hash(body), next(stamps), key.address)

    one()
    return {f"sign 1 KB, {name}, us": cpu_us(one, 300)}


def decode() -> Figures:
    """Decode a participant list of 10,000, JSON included."""
    from gonka_integrations.core.participants import decode_participants

    payload = _participants(10_000)
    taken = []
    for _ in range(5):
        begin = time.process_time()
        found = decode_participants(json.loads(payload), source_url="http://127.0.0.1")
        taken.append((time.process_time() - begin) * 1000)
        assert len(found.participants) == 10_000, found.skipped[:3]

    def again() -> None:
        decode_participants(json.loads(payload), source_url="http://127.0.0.1")

    return {
        "decode 10,000 participants, ms": median(taken),
        "longest halt of an event loop meanwhile, ms": asyncio.run(_halt(again)) * 1000,
    }


async def _halt(function: Callable[[], None]) -> float:
    """Longest time between two turns of a busy loop while *function* runs in a thread, seconds."""
    longest, last = 0.0, time.perf_counter()
    working = asyncio.ensure_future(asyncio.to_thread(function))
    while not working.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def _participants(count: int) -> bytes:
    import bech32

    def address(number: int) -> str:
        return bech32.bech32_encode("gonka", bech32.convertbits(number.to_bytes(20, "big"), 8, 5))

    participants = [
        {
            "index": address(number),
            "validator_key": "A" * 43 + "=",
            "weight": 1000 + number % 977,
            "inference_url": f"http://203.0.113.{number % 250}:{8000 + number // 250}",
            "models": ["MiniMaxAI/MiniMax-M2.7", "moonshotai/Kimi-K2.6"],
            "seed": {"participant": "", "epoch_index": 361, "signature": "ab" * 32},
        }
        for number in range(count)
    ]
    active = {
        "participants": participants, "epoch_id": 361, "epoch_group_id": 361,
        "poc_start_block_height": 5_567_506, "effective_block_height": 5_567_901,
        "created_at_block_height": 5_567_896,
    }  # fmt: skip
    return json.dumps({"active_participants": active, "excluded_participants": []}).encode()


def construct() -> Figures:
    """A second model of equal configuration, while the first lives."""
    from gonka_integrations import ChatGonka, GonkaLLM

    found: Figures = {}
    for kind in (ChatGonka, GonkaLLM):
        given = _given(10)
        kept = [kind(**given)]
        found[f"second {kind.__name__} of equal config, ms"] = (
            cpu_us(lambda kind=kind, given=given: kind(**given), 50) / 1000
        )
        kept.clear()
    return found


def _given(hosts: int, first_port: int = 9000) -> dict[str, Any]:
    from gonka_integrations import PrivateKey

    address = PrivateKey.from_hex("2" * 64).address
    return {
        "model": "bench", "private_key": "1" * 64, "refresh_enabled": False,
        "allow_private_hosts": True,
        "endpoints": [f"http://127.0.0.1:{first_port + i};{address}" for i in range(hosts)],
    }  # fmt: skip


def memory() -> Figures:
    """A session with 1,000 endpoints that has not been used, above the openai SDK alone."""
    import openai

    openai.OpenAI(api_key="sk-benchmark")
    gc.collect()
    with_openai = resident_mb()
    from gonka_integrations import GonkaConfig, GonkaSession

    session = GonkaSession(GonkaConfig.build(**_given(1_000)))
    assert len(session.endpoints()) == 1_000
    gc.collect()
    return {"session with 1,000 endpoints, idle, MB over openai": resident_mb() - with_openai}


def resident_mb() -> float:
    """Resident memory of this process, in MB."""
    import psutil

    return psutil.Process().memory_info().rss / 1e6


def stream_memory() -> Figures:
    """200 streams open at once, none read to its end: resident memory for each."""
    from .fleet import Server

    server = Server(10, None)
    try:
        return asyncio.run(_stream_memory(server.urls))
    finally:
        server.close()


async def _stream_memory(urls: list[str]) -> Figures:
    from .subjects import MESSAGES, Place
    from .subjects.ours import session_for

    session = session_for(Place(tuple(urls), "hold"), "signed", inside=False)
    payload = {"model": "hold", "messages": MESSAGES}

    async def held() -> Any:
        stream = await session.chat.astream(payload)
        for _ in range(10):
            await anext(stream)
        return stream

    for _ in range(2):  # the first streams also load code
        for stream in [await held() for _ in range(20)]:
            await stream.aclose()
    gc.collect()
    before = resident_mb()
    streams = await asyncio.gather(*(held() for _ in range(200)))
    gc.collect()
    grown = resident_mb() - before
    for stream in streams:
        await stream.aclose()
    await session.aclose()
    return {"an open stream, KB": grown * 1000 / len(streams)}


def assemble() -> Figures:
    """Read a tool call of 16 kB and of 160 kB in fragments of 16 bytes, without I/O."""
    from gonka_integrations.core.chunks import ChunkReader

    from ..common import answers

    taken = {}
    for size in (16_000, 160_000):
        data = [b"data: " + p + b"\n\n" for p in answers.tool_stream("m", size, 16, usage=True)]

        def read(data: list[bytes] = data) -> None:
            reader = ChunkReader()
            for part in data:
                reader.take(part)
            assert reader.completion()["choices"][0]["message"]["tool_calls"]

        taken[size] = cpu_us(read, 2, rounds=5) / 1000
    return {
        "tool call of 16 kB in fragments, ms": taken[16_000],
        "10x the tool call, x cost": taken[160_000] / taken[16_000],
    }


def growth() -> Figures:
    """Streams of 200 and of 2,000 chunks to AIMessageChunk and ChatResponse, and tool calls."""
    from .fleet import Server

    server = Server(10, None)
    try:
        found: Figures = {}
        for door in ("langchain", "llama_index"):
            found |= _growth(door, server.urls)
        return found
    finally:
        server.close()


def _growth(door: str, urls: list[str]) -> Figures:
    from .subjects import Place
    from .subjects.ours import make

    taken = {}
    for size in (200, 2_000):
        subject = make(Place(tuple(urls), f"bench-{size}"), door)
        subject.stream()
        taken[size] = cpu_us(subject.stream, 3, rounds=5)
    return {f"10x the chunks, {door}, x cost": taken[2_000] / taken[200]}


PIECES: dict[str, Callable[[], Figures]] = {
    piece.__name__: piece
    for piece in (pick, sign, decode, construct, memory, stream_memory, assemble, growth)
}


def main() -> None:
    for name in sys.argv[2:]:
        sys.modules[name] = None  # type: ignore[assignment]
    print(json.dumps(PIECES[sys.argv[1]]()))


if __name__ == "__main__":
    main()
