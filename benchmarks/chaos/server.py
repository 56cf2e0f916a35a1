"""The chaos server: ten hosts in one process, told over a control port what to do wrong.

    python -m benchmarks.chaos.server --hosts 10 --latency 0.05 --seed 1

prints ``{"ports": [...], "control": port}`` and serves until its standard input ends. A control
connection sends one JSON object a line and reads one back:
``{"op": "faults", "hosts": [0, 3], "faults": [{"kind": "refuse"}]}``, ``{"op": "forget"}``,
``{"op": "latency", "seconds": 0.02}`` and ``{"op": "counts", "since": 2.0, "until": 4.0}``, whose
times count from the last ``forget``.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import json
import random
import sys
from typing import Any

from .faults import Fault
from .host import Host


class Control:
    def __init__(self, hosts: list[Host]) -> None:
        self._hosts, self._start = hosts, 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            order = json.loads(line)
            answer = await getattr(self, "do_" + order.pop("op"))(**order)
            writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def do_faults(self, hosts: list[int], faults: list[dict[str, Any]]) -> None:
        for index in hosts:
            await self._hosts[index].set_faults(tuple(Fault(**fault) for fault in faults))

    async def do_latency(self, seconds: float) -> None:
        for host in self._hosts:
            host.latency = seconds

    async def do_forget(self, seed: int = 0) -> None:
        """Healthy hosts, counters at zero, chance from *seed*."""
        self._start = asyncio.get_running_loop().time()
        for index, host in enumerate(self._hosts):
            await host.set_faults(())
            host.requests.clear()
            host.replays = 0
            host.chance = random.Random(seed * 1000 + index)

    async def do_counts(self, since: float = 0.0, until: float = 1e9) -> dict[str, Any]:
        low, high = self._start + since, self._start + until
        return {
            "requests": [
                bisect.bisect(host.requests, high) - bisect.bisect(host.requests, low)
                for host in self._hosts
            ],
            "connections": [len(host.connections) for host in self._hosts],
            "replays": sum(host.replays for host in self._hosts),
        }


async def serve(count: int, latency: float) -> None:
    hosts = [Host(latency, random.Random(index)) for index in range(count)]
    for host in hosts:
        await host.listen()
    control = await asyncio.start_server(Control(hosts).serve, "127.0.0.1", 0)
    port = control.sockets[0].getsockname()[1]
    print(json.dumps({"ports": [host.port for host in hosts], "control": port}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds")
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options.hosts, options.latency))
    else:
        uvloop.run(serve(options.hosts, options.latency))


if __name__ == "__main__":
    main()
