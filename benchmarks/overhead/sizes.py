"""Memory, and how cost grows with the work."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from .pieces import given
from .timing import Figures, cpu_us, resident_mb


def memory() -> Figures:
    """A session with 1,000 endpoints that has not been used, above the openai SDK alone."""
    import openai

    openai.OpenAI(api_key="sk-benchmark")
    gc.collect()
    with_openai = resident_mb()
    from gonka_integrations import GonkaConfig, GonkaSession

    session = GonkaSession(GonkaConfig.build(**given(1_000)))
    assert len(session.endpoints()) == 1_000
    gc.collect()
    return {"session with 1,000 endpoints, idle, MB over openai": resident_mb() - with_openai}


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
