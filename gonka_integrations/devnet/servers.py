"""Listening sockets that can die and come back.

Each server of the network is a real socket with an ASGI application behind it. Uvicorn's protocol
class does the HTTP; its `Server` is left out, since a network of a thousand hosts would mean a
thousand polling main loops, and since a test wants to close one listener at a moment of its choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send


_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2048
_SETTLE_SECONDS = 2.0
_SETTLE_TURNS = 5


def abort(transport: asyncio.Transport | CorkedTransport) -> None:
    """Drop a connection with a TCP reset, so that the peer sees ECONNRESET and not a clean end."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        with contextlib.suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class CorkedTransport:
    """A transport whose writes can be held back, to go out in one system call.

    Uvicorn writes head and body apart; on some machines the second call costs more than the rest
    of a request.

    Args:
        transport: The transport under it.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def cork(self) -> None:
        """Hold back what is written from now on, until the event loop has its next turn."""
        if self._held is None:
            self._held = []
            asyncio.get_running_loop().call_soon(self.uncork)

    def uncork(self) -> None:
        """Write what was held back, and hold no more."""
        held, self._held = self._held, None
        if held:
            self._transport.write(b"".join(held))

    def write(self, data: bytes) -> None:
        """Write, or hold back."""
        if self._held is None:
            self._transport.write(data)
        else:
            self._held.append(data)

    def close(self) -> None:
        """Write what was held back and close."""
        self.uncork()
        self._transport.close()


class Listener:
    """One server of the network: a port that stays its own while the listener is down.

    Args:
        app: ASGI application. `scope["state"]["connection"]` is the protocol object, whose
            `transport` a handler may abort.
        host: Address to bind.
        port: Port to bind; 0 takes a free one and keeps it for the listener's life.
        resets_next: Asked once per accepted connection; True resets it before a byte is read.

    Attributes:
        accepted: Connections accepted since the start.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        resets_next: Callable[[], bool] = lambda: False,
    ) -> None:
        self.host = host
        self.accepted = 0
        self.app = app
        self.resets_next = resets_next
        self.state = ServerState()
        self._server: asyncio.Server | None = None
        self._held: socket.socket | None = _bind(host, port)
        self.port: int = self._held.getsockname()[1]

    @property
    def listening(self) -> bool:
        """Whether connections are taken now."""
        return self._server is not None

    @property
    def connections(self) -> int:
        """Connections open now."""
        return len(self.state.connections)

    async def open(self) -> None:
        """Listen, again on the same port. Does nothing when already listening."""
        if self._server is not None or self._held is None:
            return
        loop = asyncio.get_running_loop()
        held, self._held = self._held, None
        self._server = await loop.create_server(self._new_protocol, sock=held, backlog=_BACKLOG)

    async def refuse(self) -> None:
        """Drop every connection and refuse new ones; the port stays reserved."""
        if self._server is None:
            return
        await self._shut()
        self._held = _bind(self.host, self.port)

    async def close(self) -> None:
        """Stop for good and give the port back."""
        await self._shut()
        if self._held is not None:
            self._held.close()
            self._held = None

    def drop_connections(self) -> None:
        """Reset every open connection."""
        for protocol in list(self.state.connections):
            abort(protocol.transport)

    async def _shut(self) -> None:
        """Accept no more, and drop every connection; returns when they and their handlers ended.

        A connection that was accepted just now shows up a few turns of the loop later, and asyncio
        forgets to close it when its server was closed in between.
        """
        server, self._server = self._server, None
        for listening in server.sockets if server is not None else ():
            with contextlib.suppress(NotImplementedError):  # not on Windows
                asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_SETTLE_TURNS):
            self.drop_connections()
            await asyncio.sleep(0)
        if server is not None:
            server.close()
        if tasks := set(self.state.tasks):
            await asyncio.wait(tasks, timeout=_SETTLE_SECONDS)

    def _new_protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = _protocol_class()(self)
        return protocol


async def _dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    await scope["state"]["connection"].listener.app(scope, receive, send)


@cache
def _protocol_class() -> Any:
    """Uvicorn's HTTP protocol, extended; one for all listeners, since making it is slow."""
    config = uvicorn.Config(
        _dispatch,
        http="httptools" if importlib.util.find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
    )
    config.load()
    base: Any = config.http_protocol_class

    class DevnetProtocol(base):  # type: ignore[misc]
        """A connection that knows its listener, and that its requests' handlers know."""

        def __init__(self, listener: Listener) -> None:
            super().__init__(config, listener.state, {"connection": self})
            self.access_log = False
            self.listener = listener

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(CorkedTransport(transport))
            self.listener.accepted += 1
            if self.listener.resets_next():
                abort(transport)

    return DevnetProtocol


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen: connecting to it is refused, and nobody takes the port.

    Without it a killed host's port, which is an ephemeral one, could be given to somebody else or
    even to the connecting client itself.
    """
    # Naming the protocol matters: asyncio switches off Nagle's delay only on sockets that have it.
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
    except OSError:
        held.close()
        raise
    return held
