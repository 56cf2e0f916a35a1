"""What the network does to a running program: epochs, clocks, sources, models. Ours, on the devnet.

    python -m benchmarks.chaos.changes epoch_change

prints one JSON object of figures. Every host checks every signature, its time and its novelty.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from gonka_integrations import GonkaConfig, GonkaSession
from gonka_integrations.devnet import Devnet, Fault

Figures = dict[str, float]


def _session(net: Devnet, **changes: Any) -> GonkaSession:
    given = {
        "source_url": net.source_urls[:3],
        "private_key": net.private_key,
        "model": net.models[0],
    }
    return GonkaSession(GonkaConfig.build(**(given | changes)))


class _Callers:
    """Twenty callers over a session until told to stop."""

    def __init__(self, session: GonkaSession, model: str) -> None:
        self._session = session
        self._payload = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        self._over = False
        self.good = 0
        self.failed: list[str] = []
        self._tasks = [asyncio.create_task(self._call()) for _ in range(20)]

    async def _call(self) -> None:
        while not self._over:
            try:
                await self._session.chat.acomplete(self._payload)
                self.good += 1
            except Exception as error:  # noqa: BLE001 - a result
                self.failed.append(f"{type(error).__name__}: {error}"[:200])
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)


async def _epoch_change() -> Figures:
    """Ten hosts; two leave and two join while twenty callers ask."""
    with Devnet(hosts=10) as net:
        session = _session(net)
        callers = _Callers(session, net.models[0])
        await asyncio.sleep(2)
        before = {row["address"]: row["latency_seconds"] for row in session.stats()["endpoints"]}
        accepted = [host.accepted for host in net.hosts]
        net.advance_epoch(leave=(8, 9), join=2)
        await asyncio.to_thread(session.refresh)
        after = {row["address"]: row["latency_seconds"] for row in session.stats()["endpoints"]}
        await asyncio.sleep(0.5)
        gone = [net.hosts[index].request_count for index in (8, 9)]
        await asyncio.sleep(1.5)
        await callers.stop()
        kept = [host.address for host in net.hosts[:8]]
        figures: Figures = {
            "good calls": callers.good, "failed calls": len(callers.failed),
            "kept hosts with their latency": sum(
                after.get(address) is not None and before.get(address) is not None
                for address in kept
            ),
            "new connections to kept hosts": sum(
                host.accepted - count for host, count in zip(net.hosts[:8], accepted, strict=False)
            ),
            "new calls to gone hosts": sum(
                net.hosts[index].request_count - count
                for index, count in zip((8, 9), gone, strict=True)
            ),
            "calls to joined hosts": sum(host.request_count for host in net.hosts[10:]),
        }  # fmt: skip
        await session.aclose()
        return figures


async def _clock() -> Figures:
    """The network's clock is 90 s ahead of ours."""
    with Devnet(hosts=10) as net:
        net.clock_offset = 90.0
        session = _session(net)
        callers = _Callers(session, net.models[0])
        await asyncio.sleep(2)
        await callers.stop()
        sent = sum(host.request_count for host in net.hosts)
        await session.aclose()
        return {"good calls": callers.good, "failed calls": len(callers.failed),
                "refused tries": sent - callers.good}  # fmt: skip


async def _sources_fail() -> Figures:
    """Every source is down, then answers nothing, then garbage, at a refresh each."""
    with Devnet(hosts=10) as net:
        session = _session(net)
        callers = _Callers(session, net.models[0])
        await asyncio.sleep(1)
        for fault in (Fault("reset"), Fault("empty"), Fault("garbage"), Fault("html", status=502)):
            for host in net.hosts:
                host.read_fault = fault
            with contextlib.suppress(Exception):  # what is measured is what callers notice
                await asyncio.to_thread(session.refresh)
            await asyncio.sleep(0.5)
        members = len(session.endpoints())
        await callers.stop()
        await session.aclose()
        return {"good calls": callers.good, "failed calls": len(callers.failed),
                "hosts still in use": members}  # fmt: skip


async def _one_of_ten() -> Figures:
    """One host of ten serves the model; another model is served by nobody."""
    models = [("model-a",)] * 9 + [("model-b",)]
    with Devnet(hosts=10, models=("model-a", "model-b"), host_models=models) as net:
        session = _session(net, model="model-b")
        callers = _Callers(session, "model-b")
        await asyncio.sleep(2)
        await callers.stop()
        wrong = sum(host.request_count for host in net.hosts[:9])
        right = net.hosts[9].request_count
        named = 0
        try:
            await session.chat.acomplete(
                {"model": "model-c", "messages": [{"role": "user", "content": "x"}]}
            )
        except Exception as error:  # noqa: BLE001 - a result
            named = int("model-a" in str(error) and "model-b" in str(error))
        asked = sum(host.request_count for host in net.hosts) - wrong - right
        await session.aclose()
        return {"good calls": callers.good, "failed calls": len(callers.failed),
                "calls to hosts without it": wrong, "requests for a model nobody has": asked,
                "its error names the models there are": named}  # fmt: skip


TESTS: dict[str, Callable[[], Coroutine[Any, Any, Figures]]] = {
    "epoch_change": _epoch_change,
    "clock": _clock,
    "sources_fail": _sources_fail,
    "one_of_ten": _one_of_ten,
}


def main() -> None:
    print(json.dumps(asyncio.run(TESTS[sys.argv[1]]())))


if __name__ == "__main__":
    main()
