"""The benchmark's server: canned answers over plain HTTP on loopback, in a process of its own.

    python -m benchmarks.overhead.server --ports 10

prints its ports as one JSON line and serves until its standard input ends. What is answered is
chosen by the model's name: ``bench`` (about 1 KB, or 200 chunks), ``bench-N`` (N chunks),
``tools-N`` (a tool call of N bytes in fragments of 16), ``hold`` (20 chunks, then silence).
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import sys

from ..common import answers, machine
from ..common.wire import (
    STREAM_END,
    RequestProtocol,
    event_stream,
    model_of,
    response,
    wants_stream,
    wants_usage,
)  # fmt: skip


@functools.cache
def answer(model: str, stream: bool, usage: bool) -> bytes:
    """The whole response for one kind of request."""
    if not stream:
        return response(answers.completion(model))
    kind, _, number = model.partition("-")
    if kind == "tools":
        return event_stream(answers.tool_stream(model, int(number), 16, usage))
    if kind == "hold":
        begun = event_stream(answers.text_stream(model, 20, usage)[:-2])
        return begun.removesuffix(STREAM_END)
    words = int(number) if number else 200
    return event_stream(answers.text_stream(model, words, usage))


_NOT_FOUND = response(b'{"error":"not found"}', 404)


class Canned(RequestProtocol):
    def handle(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"POST"):
            self.transport.write(_NOT_FOUND)
            return
        self.transport.write(answer(model_of(body), wants_stream(body), wants_usage(body)))


async def serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(Canned, "127.0.0.1", 0, backlog=1024) for _ in range(count)]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ports", type=int, default=10)
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    machine.pin(options.core)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options.ports))
    else:
        uvloop.run(serve(options.ports))


if __name__ == "__main__":
    main()
