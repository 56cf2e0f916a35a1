"""Blocking connections: one small pool per endpoint, one TLS context for all.

The shell that does I/O for `effects.drive`. It decides nothing: it opens, reads, waits and says
what failed.
"""

from __future__ import annotations

import contextlib
import threading
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
from .racing import race
from .wire import Wait

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from .effects import Race
    from .leases import Waiter
    from .wire import WireRequest

_SLICE = 0.1


class _Stream(httpcore.NetworkStream):
    """A network stream whose read time-out is asked for at each read."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self.write = inner.write  # type: ignore[method-assign]
        self.close = inner.close  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    def read(self, max_bytes: int, timeout: Any = None) -> bytes:
        if not isinstance(timeout, Wait):
            return self._inner.read(max_bytes, timeout)
        if not timeout.racing:
            return self._inner.read(max_bytes, timeout.remaining())
        while True:  # a blocked read cannot be interrupted, so it looks up now and then
            left = timeout.remaining()
            try:
                return self._inner.read(max_bytes, min(left, _SLICE))
            except httpcore.ReadTimeout:
                if timeout.called_off or left <= _SLICE:
                    raise

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))


class _Backend(httpcore.SyncBackend):
    """Makes connections, checking where they lead."""

    def __init__(self, *, trusted: bool) -> None:
        super().__init__()
        self._trusted = trusted

    def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        stream = super().connect_tcp(*args, **kwargs)
        try:
            check_peer(stream, trusted=self._trusted)
        except BaseException:
            stream.close()
            raise
        return _Stream(stream)


class SyncExchange:
    """An answer that is read by blocking."""

    __slots__ = ("_parts", "_response", "_wait", "headers", "status")

    def __init__(self, response: httpcore.Response, wait: Wait) -> None:
        self._response = response
        self._wait = wait
        self._parts: Iterator[bytes] = iter(response.stream)  # type: ignore[arg-type]
        self.status = response.status
        self.headers = header_map(response.headers)

    def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        try:
            data = next(self._parts, b"")
        except Exception as error:
            raise failure_of(error, reading=True) from error
        if not data:
            self.close()
        return data

    def finish(self) -> None:
        """Read the end of the body, for a moment, so that the connection can be reused."""
        ends = self._wait.until = self._wait.clock() + DRAIN_FOR
        with contextlib.suppress(Exception):  # then it is not reused
            for _ in self._parts:
                if self._wait.clock() >= ends:
                    break
        self.close()

    def close(self) -> None:
        """Let go of the response."""
        self._response.close()


class SyncConnections:
    """Connections of one session, made as needed and shared by its threads.

    Args:
        ssl_context: Made once per session; making one takes 50 ms.
    """

    def __init__(self, ssl_context: Callable[[], ssl.SSLContext]) -> None:
        self._ssl_context = ssl_context
        self._pools: dict[str, httpcore.ConnectionPool] = {}
        self._lock = threading.Lock()

    def open(self, request: WireRequest) -> SyncExchange:
        """Send *request* and read the head of the answer."""
        pool = self._pools.get(origin_of(request.url)) or self._make_pool(request)
        try:
            return SyncExchange(pool.handle_request(core_request(request)), request.wait)
        except Exception as error:
            raise failure_of(error, reading=False) from error

    def park(self, waiter: Waiter | None, seconds: float) -> None:
        """Wait until *waiter* is woken, or for *seconds*."""
        event = threading.Event()
        if waiter is not None:
            waiter.wake = event.set
            if waiter.woken:
                return
        event.wait(seconds)

    def race(self, contest: Race) -> Any:
        """Run two attempts beside each other."""
        return race(contest, self)

    def compute(self, function: Callable[[], Any]) -> Any:
        """Call *function*."""
        return function()

    def drop(self, base_url: str) -> None:
        """Close the idle connections to an endpoint that has left."""
        with self._lock:
            pool = self._pools.pop(origin_of(base_url), None)
        if pool is not None:
            pool.close()

    def close(self) -> None:
        """Close everything."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def _make_pool(self, request: WireRequest) -> httpcore.ConnectionPool:
        origin = origin_of(request.url)
        proxy = proxy_for(origin)
        options = pool_options(
            self._ssl_context() if origin.startswith("https:") else None,
            _Backend(trusted=request.trusted or proxy is not None),
        )
        with self._lock:
            if origin not in self._pools:
                self._pools[origin] = (
                    httpcore.ConnectionPool(**options)
                    if proxy is None
                    else httpcore.HTTPProxy(**proxy_options(proxy), **options)
                )
            return self._pools[origin]
