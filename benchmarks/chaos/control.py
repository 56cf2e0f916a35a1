"""The client's end of the chaos server's control port."""

from __future__ import annotations

import asyncio
import json
from typing import Any

Fault = dict[str, Any]


class Control:
    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def _ask(self, **order: Any) -> Any:
        async with self._lock:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            writer.write(json.dumps(order).encode() + b"\n")
            return json.loads(await reader.readline())

    async def fail(self, hosts: list[int], *faults: Fault) -> None:
        await self._ask(op="faults", hosts=hosts, faults=list(faults))

    async def heal(self, hosts: list[int]) -> None:
        await self._ask(op="faults", hosts=hosts, faults=[])

    async def forget(self, seed: int) -> None:
        await self._ask(op="forget", seed=seed)

    async def latency(self, seconds: float) -> None:
        await self._ask(op="latency", seconds=seconds)

    async def counts(self, since: float = 0.0, until: float = 1e9) -> dict[str, Any]:
        counts: dict[str, Any] = await self._ask(op="counts", since=since, until=until)
        return counts
