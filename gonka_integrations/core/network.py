"""Network: the connections of a session, one set for its threads and one for each event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
import os
import weakref
from typing import TYPE_CHECKING, Any

from .connections import SyncConnections
from .http_stack import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from .endpoints import Endpoint


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The process's TLS context: one is enough, and making it takes tens of milliseconds."""
    context: ssl.SSLContext = httpx.create_ssl_context()
    return context


def _make_async() -> Any:
    if importlib.util.find_spec("aiohttp") is not None:
        from .connections_aiohttp import AiohttpConnections  # noqa: PLC0415 - optional

        return AiohttpConnections(tls_context)
    from .connections_async import AsyncConnections  # noqa: PLC0415 - not needed with aiohttp

    return AsyncConnections(tls_context)


async def _close_with_loop(connections: Any) -> AsyncIterator[None]:
    """Started and left standing: an ending loop finishes such generators, and so closes these."""
    try:
        yield
    finally:
        await connections.aclose()


class Network:
    """Connections by where they are used.

    Nothing is opened before it is needed. After a fork the child starts with none: sockets of the
    parent are not its own.
    """

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._sync = SyncConnections(tls_context)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = (
            weakref.WeakKeyDictionary()
        )

    def blocking(self) -> SyncConnections:
        """Connections for the calling thread."""
        if self._pid != os.getpid():
            self._reset()
        return self._sync

    def here(self) -> Any:
        """Connections for the running event loop."""
        found = self._loops.get(asyncio.get_running_loop())
        return found[0] if found is not None and self._pid == os.getpid() else None

    async def ready_here(self) -> Any:
        """Like `here`, made when there are none yet."""
        if self._pid != os.getpid():
            self._reset()
        self._forget_closed_loops()
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            connections = _make_async()
            keeper = _close_with_loop(connections)
            found = self._loops[loop] = (connections, keeper)
            await anext(keeper)
        return found[0]

    def _forget_closed_loops(self) -> None:
        """Let go of connections whose loop was closed without being shut down.

        They hold their loop, so they would stay as long as this object.
        """
        for loop in [loop for loop in self._loops if loop.is_closed()]:
            connections, _ = self._loops.pop(loop)
            closing = connections.aclose()
            # Nothing can be awaited in a closed loop; what closes without that does.
            with contextlib.suppress(StopIteration, RuntimeError):
                closing.send(None)
            closing.close()

    def drop(self, endpoint: Endpoint) -> None:
        """Close idle connections to an endpoint that has left, wherever they are."""
        self._sync.drop(endpoint.base_url)
        for loop, (connections, _) in list(self._loops.items()):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_drop, connections, endpoint.base_url)

    def close(self) -> None:
        """Close the blocking connections. Those of a loop close in it, with `aclose` or with it."""
        self._forget_closed_loops()
        self._sync.close()

    def __del__(self) -> None:
        self._forget_closed_loops()

    async def aclose(self) -> None:
        """Close the connections of the running loop, and the blocking ones."""
        found = self._loops.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[1].aclose()
        self.close()


def _drop(connections: Any, base_url: str) -> None:
    closing = connections.drop(base_url)
    if closing is not None:
        task = asyncio.ensure_future(closing)
        _closing.add(task)
        task.add_done_callback(_closing.discard)


_closing: set[asyncio.Future[Any]] = set()
