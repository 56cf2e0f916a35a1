"""One host of the chaos server: a port that answers after a fixed time, or fails as it is told."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from ..common import answers
from ..common.wire import (
    STREAM_HEAD,
    RequestProtocol,
    event,
    event_stream,
    header_of,
    model_of,
    response,
    wants_stream,
    wants_usage,
)  # fmt: skip

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from .faults import Fault

WORDS = 20
_REPLAYED = response(
    b'{"error":"AuthKey has already been used for a transfer request"}\n', status=400
)
_HTML = response(b"<html><body><h1>Welcome to nginx!</h1></body></html>", content_type="text/html")
_GARBAGE = response(b"\x00\x9f\x92 not json {")


class Host:
    """A listening port with its faults and its counters. Times are the loop's, in seconds."""

    def __init__(self, latency: float, chance: random.Random) -> None:
        self.latency, self.chance = latency, chance
        self.faults: tuple[Fault, ...] = ()
        self.requests: list[float] = []
        self.replays = 0
        self.port = 0
        self.signatures: set[str] = set()
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Open the port: any free one at first, the same one when the host returns."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", self.port, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def set_faults(self, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        refusing = any(fault.kind == "refuse" for fault in faults)
        if refusing and self._server is not None:
            self._server.close()
            self._server = None
            for connection in tuple(self.connections):
                connection.transport.abort()
        elif not refusing and self._server is None:
            await self.listen()

    def fault(self) -> Fault | None:
        """The fault that strikes this request, if one does."""
        for fault in self.faults:
            if fault.probability >= 1 or self.chance.random() < fault.probability:
                return fault
        return None


class Connection(RequestProtocol):
    """Answers the requests of one connection, late by the host's latency."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._host.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._host.connections.discard(self)

    def handle(self, head: bytes, body: bytes) -> None:
        host, loop = self._host, asyncio.get_running_loop()
        host.requests.append(loop.time())
        if self._replayed(head):
            self.write(_REPLAYED)
            return
        fault = host.fault()
        delay = host.latency
        if fault is not None and fault.kind == "slow":
            delay, fault = delay + fault.delay, None
        if fault is not None and fault.kind in {"status", "reset"}:
            delay = 0.0
        loop.call_later(delay, self._answer, fault, body)

    def _replayed(self, head: bytes) -> bool:
        """Hosts refuse a signature they have seen; bearer keys may repeat."""
        signature = header_of(head, "authorization") or ""
        if not signature or signature.startswith("Bearer"):
            return False
        seen = signature in self._host.signatures
        self._host.signatures.add(signature)
        self._host.replays += seen
        return seen

    def _answer(self, fault: Fault | None, body: bytes) -> None:
        # A host that fell silent says nothing more, not even to what it had begun.
        if any(f.kind == "hang" and f.probability >= 1 for f in self._host.faults):
            return
        model, usage = model_of(body), wants_usage(body)
        if fault is None:
            self.write(_whole(model, wants_stream(body), usage))
        elif (early := _EARLY.get(fault.kind)) is not None:
            early(self, fault)
        elif wants_stream(body):
            self._broken_stream(fault, model, usage)
        else:
            self._broken_body(fault, model)

    def write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def _broken_stream(self, fault: Fault, model: str, usage: bool) -> None:
        events = answers.text_stream(model, WORDS, usage)
        begun = events[: 1 if fault.kind == "role_then_cut" else 1 + fault.after_tokens]
        self.write(STREAM_HEAD + b"".join(map(event, begun)))
        if fault.kind == "error_event":
            self.write(event(json.dumps({"error": {"message": "engine died"}}).encode()))
            self.write(event(answers.DONE) + b"0\r\n\r\n")
        elif fault.kind == "plain_text_tail":
            text = b"error while streaming: context canceled\n"
            self.write(f"{len(text):x}\r\n".encode() + text + b"\r\n0\r\n\r\n")
        elif fault.kind == "no_finish":
            self.write(b"0\r\n\r\n")
        elif fault.kind != "hang_mid_stream":
            self.transport.close()

    def _broken_body(self, fault: Fault, model: str) -> None:
        whole = response(answers.completion(model, WORDS))
        begun = whole[: len(whole) // 2]
        if fault.kind in {"no_finish", "error_event", "plain_text_tail"}:
            body = answers.completion(model, WORDS)
            self.write(response(body[: len(body) // 2]))
            return
        self.write(begun)
        if fault.kind != "hang_mid_stream":
            self.transport.close()


def _whole(model: str, stream: bool, usage: bool) -> bytes:
    if stream:
        return event_stream(answers.text_stream(model, WORDS, usage))
    return response(answers.completion(model, WORDS))


def _status(connection: Connection, fault: Fault) -> None:
    connection.write(response(fault.body.encode(), fault.status, **fault.headers))


_EARLY: dict[str, Callable[[Connection, Fault], None]] = {
    "hang": lambda _connection, _fault: None,
    "refuse": lambda connection, _fault: connection.transport.abort(),
    "reset": lambda connection, _fault: connection.transport.abort(),
    "status": _status,
    "html": lambda connection, _fault: connection.write(_HTML),
    "garbage": lambda connection, _fault: connection.write(_GARBAGE),
}
