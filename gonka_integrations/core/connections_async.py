"""Asynchronous connections on httpcore; see `connections` for the blocking ones.

An asynchronous connection belongs to the event loop it was made in, so a session keeps one
`AsyncConnections` per running loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from .http_stack import httpcore
from .httpcore_wire import (
    DRAIN_FOR,
    check_peer,
    core_request,
    failure_of,
    header_map,
    origin_of,
    pool_options,
    proxy_options,
)
from .proxies import proxy_for
from .racing import arace
from .wire import Wait

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    from .effects import Race
    from .leases import Waiter
    from .wire import WireRequest


class _Stream(httpcore.AsyncNetworkStream):
    """A network stream whose read time-out is asked for at each read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self.write = inner.write  # type: ignore[method-assign]
        self.aclose = inner.aclose  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:  # noqa: ASYNC109
        if isinstance(timeout, Wait):
            timeout = timeout.remaining()
        return await self._inner.read(max_bytes, timeout)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._inner.start_tls(ssl_context, server_hostname, timeout))


class _Backend(httpcore.AnyIOBackend):
    """Makes connections, checking where they lead."""

    def __init__(self, *, trusted: bool) -> None:
        super().__init__()
        self._trusted = trusted

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(*args, **kwargs)
        try:
            check_peer(stream, trusted=self._trusted)
        except BaseException:
            await stream.aclose()
            raise
        return _Stream(stream)


class AsyncExchange:
    """An answer that is read by awaiting."""

    __slots__ = ("_parts", "_response", "_wait", "headers", "status")

    def __init__(self, response: httpcore.Response, wait: Wait) -> None:
        self._response = response
        self._wait = wait
        self._parts: AsyncIterator[bytes] = aiter(response.stream)  # type: ignore[arg-type]
        self.status = response.status
        self.headers = header_map(response.headers)

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        try:
            return await anext(self._parts)
        except StopAsyncIteration:
            await self.close()
            return b""
        except Exception as error:
            raise failure_of(error, reading=True) from error

    async def finish(self) -> None:
        """Read the end of the body, for a moment, so that the connection can be reused."""
        ends = self._wait.until = self._wait.clock() + DRAIN_FOR
        with contextlib.suppress(Exception):  # then it is not reused
            async for _ in self._parts:
                if self._wait.clock() >= ends:
                    break
        await self.close()

    async def close(self) -> None:
        """Let go of the response."""
        await self._response.aclose()


async def park(waiter: Waiter | None, seconds: float) -> None:
    """Wait until *waiter* is woken from any thread, or for *seconds*."""
    if waiter is None:
        await asyncio.sleep(seconds)
        return
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def wake() -> None:
        try:
            loop.call_soon_threadsafe(event.set)
        except RuntimeError:  # the loop was closed while the call was abandoned
            return

    waiter.wake = wake
    if not waiter.woken:
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return


class AsyncConnections:
    """Connections of one session in one event loop."""

    def __init__(self, ssl_context: Callable[[], ssl.SSLContext]) -> None:
        self._ssl_context = ssl_context
        self._pools: dict[str, httpcore.AsyncConnectionPool] = {}

    async def open(self, request: WireRequest) -> AsyncExchange:
        """Send *request* and read the head of the answer."""
        pool = self._pools.get(origin_of(request.url)) or await self._make_pool(request)
        try:
            response = await pool.handle_async_request(core_request(request))
        except Exception as error:
            raise failure_of(error, reading=False) from error
        return AsyncExchange(response, request.wait)

    async def park(self, waiter: Waiter | None, seconds: float) -> None:
        """Wait until *waiter* is woken, or for *seconds*."""
        await park(waiter, seconds)

    async def race(self, contest: Race) -> Any:
        """Run two attempts beside each other."""
        return await arace(contest, self)

    async def compute(self, function: Callable[[], Any]) -> Any:
        """Call *function* in a thread."""
        return await asyncio.to_thread(function)

    def drop(self, base_url: str) -> Any:
        """Forget an endpoint that has left; returns what closes its idle connections."""
        pool = self._pools.pop(origin_of(base_url), None)
        return None if pool is None else pool.aclose()

    async def aclose(self) -> None:
        """Close everything."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    async def _make_pool(self, request: WireRequest) -> httpcore.AsyncConnectionPool:
        origin = origin_of(request.url)
        proxy = proxy_for(origin)
        context = await ready_context(self._ssl_context) if origin.startswith("https:") else None
        options = pool_options(context, _Backend(trusted=request.trusted or proxy is not None))
        if origin not in self._pools:
            self._pools[origin] = (
                httpcore.AsyncConnectionPool(**options)
                if proxy is None
                else httpcore.AsyncHTTPProxy(**proxy_options(proxy), **options)
            )
        return self._pools[origin]


async def ready_context(make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """The TLS context, made off the loop: reading the certificates takes tens of milliseconds."""
    return await asyncio.to_thread(make)
