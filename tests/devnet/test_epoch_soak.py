"""Epochs change under continuous traffic, and nobody notices."""

from __future__ import annotations

import asyncio
import gc
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet
from gonka_integrations.proof.trust import Agreement

if TYPE_CHECKING:
    from gonka_integrations.core.chat import ChatStream

HOSTS = 40
A_THIRD = 13


class Traffic:
    """Callers in threads and on an event loop, until told to stop."""

    def __init__(self, session: GonkaSession, model: str) -> None:
        self._session = session
        self._payload = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        self._stop = threading.Event()
        self.calls = 0
        self.errors: list[BaseException] = []
        lanes = [self._blocking, self._blocking_stream, self._loop]
        self._threads = [threading.Thread(target=lane) for lane in lanes]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _blocking(self) -> None:
        while not self._stop.is_set():
            self._try(lambda: self._session.chat.complete(self._payload))

    def _blocking_stream(self) -> None:
        while not self._stop.is_set():
            self._try(lambda: list(self._session.chat.stream(self._payload)))

    def _try(self, call: Any) -> None:
        try:
            call()
            self.calls += 1
        except Exception as error:  # noqa: BLE001 - every one is a failed call
            self.errors.append(error)

    def _loop(self) -> None:
        asyncio.run(self._many())

    async def _many(self) -> None:
        async def one() -> None:
            while not self._stop.is_set():
                try:
                    await self._session.chat.acomplete(self._payload)
                    async for _ in await self._session.chat.astream(self._payload):
                        pass
                    self.calls += 2
                except Exception as error:  # noqa: BLE001 - every one is a failed call
                    self.errors.append(error)

        await asyncio.gather(*(one() for _ in range(3)))


class Turn:
    """A third of the hosts leaves with each epoch, and those who left before come back."""

    def __init__(self, net: Devnet) -> None:
        self._net = net
        self._out: list[int] = []
        self._inside = list(range(1, HOSTS))

    def next_epoch(self, also_leaves: str) -> None:
        net = self._net
        urls = [f"{host.url}/v1" for host in net.hosts]
        streaming = urls.index(also_leaves)
        first = [streaming] if streaming in self._inside else []
        rest = [index for index in self._inside if index != streaming]
        leaving = (first + rest)[:A_THIRD]
        for index in self._out:
            net.rejoin(index)
        net.advance_epoch(leave=leaving, join=0 if self._out else A_THIRD)
        back = self._out or list(range(HOSTS, HOSTS + A_THIRD))
        self._inside = [index for index in self._inside if index not in leaving] + back
        self._out = leaving


def open_sockets() -> int:
    """Sockets this process holds, where the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    found = 0
    for entry in folder.iterdir():
        try:
            found += "socket:" in str(entry.readlink())
        except OSError:
            continue
    return found


def soak(epochs: int, trust: Agreement | None = None) -> None:
    with Devnet(hosts=HOSTS, gateways=0, proofs=trust is not None) as net:
        config = GonkaConfig(
            private_key=net.private_key,
            source_url=net.source_urls[:4],
            refresh_enabled=False,
            verify_proofs=trust is not None,
            trust=trust,
        )
        session = GonkaSession(config)
        model = net.models[0]
        changes: list[int] = []
        session.on_epoch_change(lambda _old, new, _who: changes.append(new))
        session.prepare()
        threads_before = threading.active_count()
        turn = Turn(net)
        with Traffic(session, model) as traffic:
            for _ in range(epochs):
                history = latencies(session)
                stream, server = begin_stream(session, model)
                turn.next_epoch(also_leaves=server)
                session.refresh()
                assert "".join(text(chunk) for chunk in stream), f"nothing more from {server}"
                stayed = {one.address for one in session.endpoints()} & history.keys()
                kept = latencies(session)
                assert all(kept.get(address) is not None for address in stayed)
        assert not traffic.errors, traffic.errors[:3]
        assert traffic.calls > epochs
        assert len(changes) == epochs + 1
        assert session.pool.in_flight() == 0
        assert len(session.endpoints()) == HOSTS
        assert len(session.network.blocking()._pools) <= HOSTS
        session.close()
        gc.collect()
        assert threading.active_count() <= threads_before
    gc.collect()


def latencies(session: GonkaSession) -> dict[str, float]:
    return {
        entry["address"]: entry["latency_seconds"]
        for entry in session.stats()["endpoints"]
        if entry["latency_seconds"] is not None
    }


def begin_stream(session: GonkaSession, model: str) -> tuple[ChatStream, str]:
    payload = {"model": model, "messages": [{"role": "user", "content": "Hello " * 20}]}
    stream = session.chat.stream(payload)
    next(stream)
    return stream, stream.served.endpoint


def text(chunk: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in chunk["choices"])


def test_a_few_epochs_pass_unnoticed() -> None:
    soak(3)


@pytest.mark.slow
def test_two_hundred_epochs_pass_unnoticed() -> None:
    before = open_sockets()
    soak(200)
    assert open_sockets() <= before + 2


@pytest.mark.slow
def test_verified_epochs_pass_unnoticed_too(tmp_path: Path) -> None:
    soak(40, Agreement(2, chain_id="gonka-devnet", store=str(tmp_path / "trust.json")))
