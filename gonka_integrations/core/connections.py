"""Blocking connections: one small pool per endpoint, one TLS context for all.

The shell that does I/O for `effects.drive`. It decides nothing: it opens, reads, waits and says
what failed.
"""

from __future__ import annotations

import contextlib
import functools
import ssl
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .http_stack import httpcore
from .proxies import proxy_for
from .racing import race
from .url_policy import is_forbidden_ip
from .wire import Wait, WireFailure, WireRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .effects import Race
    from .leases import Waiter

KEEP_IDLE = 8
KEEP_FOR = 30.0
DRAIN_FOR = 0.25
_MOST = 100_000
_URLS = 4096
_SLICE = 0.1

# What httpcore raises -> kind of failure, and whether the endpoint may have acted.
_KINDS: tuple[tuple[type[Exception], str, bool], ...] = (
    (httpcore.ConnectTimeout, "connect_timeout", False),
    (httpcore.PoolTimeout, "connect_timeout", False),
    (httpcore.ConnectError, "refused", False),
    (httpcore.ProxyError, "refused", False),
    (httpcore.UnsupportedProtocol, "refused", False),
    (httpcore.TimeoutException, "timeout", True),
    (httpcore.NetworkError, "reset", True),
    (httpcore.ProtocolError, "reset", True),
)


def failure_of(error: Exception, *, reading: bool) -> WireFailure:
    """What an exception of httpcore means."""
    text = str(error) or type(error).__name__
    for cause in (error, error.__cause__, error.__context__):
        if isinstance(cause, ssl.SSLError):
            return WireFailure("tls", text, ambiguous=False)
    if text.startswith(FORBIDDEN):
        return WireFailure("forbidden_address", text, ambiguous=False)
    for kind, name, ambiguous in _KINDS:
        if isinstance(error, kind):
            if name == "refused" and "[Errno -" in text:
                name = "dns"  # noqa: PLW2901 - getaddrinfo's errors are the negative ones
            return WireFailure("cut" if reading and name == "reset" else name, text,
                               ambiguous=ambiguous)  # fmt: skip
    return WireFailure("reset", text)


FORBIDDEN = "forbidden address"


def check_peer(stream: Any, *, trusted: bool) -> None:
    """Refuse a connection that leads to a private network, whatever the name resolved to before.

    Raises:
        httpcore.ConnectError: The peer's address is forbidden.
    """
    if not trusted:
        peer = stream.get_extra_info("server_addr")
        if peer and is_forbidden_ip(str(peer[0])):
            raise httpcore.ConnectError(f"{FORBIDDEN}: {peer[0]}")


def header_lines(request: WireRequest) -> list[tuple[bytes, bytes]]:
    """Headers as httpcore wants them, with those that follow from the request."""
    lines = [
        (b"Host", host_header(request.url)),
        (b"Content-Length", str(len(request.body)).encode()),
        (b"Accept-Encoding", b"identity"),
    ]
    lines += [(name.encode("ascii"), value.encode("latin-1")) for name, value in request.headers]
    return lines


@functools.lru_cache(maxsize=_URLS)
def host_header(url: str) -> bytes:
    """Value of the Host header for *url*."""
    return urlsplit(url).netloc.rpartition("@")[2].encode("idna" if not url.isascii() else "ascii")


@functools.lru_cache(maxsize=_URLS)
def core_url(url: str) -> httpcore.URL:
    """*url* split up as httpcore wants it."""
    return httpcore.URL(url)


@functools.lru_cache(maxsize=_URLS)
def origin_of(url: str) -> str:
    """Scheme, host and port: what a connection can be reused for."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def header_map(lines: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Header lines by lower-case name; the last of several wins."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in lines}


def core_request(request: WireRequest) -> httpcore.Request:
    """The request as httpcore wants it; its time-outs are asked for at each read."""
    wait = request.wait
    return httpcore.Request(
        request.method,
        core_url(request.url),
        headers=header_lines(request),
        content=request.body,
        extensions={"timeout": {"connect": wait.connect, "write": wait.connect * 4, "read": wait}},
    )


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


def pool_options(ssl_context: ssl.SSLContext | None, backend: Any) -> dict[str, Any]:
    """What the connection pools of both worlds are made with."""
    return {
        "ssl_context": ssl_context,
        "max_connections": _MOST,
        "max_keepalive_connections": KEEP_IDLE,
        "keepalive_expiry": KEEP_FOR,
        "network_backend": backend,
    }


def proxy_options(proxy: str) -> dict[str, Any]:
    """What a proxy's pool is made with besides; its URL may hold a name and a password."""
    parts = urlsplit(proxy)
    found: dict[str, Any] = {
        "proxy_url": parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    }
    if parts.username is not None:
        found["proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return found
