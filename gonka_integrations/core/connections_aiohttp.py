"""Asynchronous connections on aiohttp, used when it is installed: a third of httpcore's CPU."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .connections_async import park, ready_context
from .httpcore_wire import DRAIN_FOR, FORBIDDEN, KEEP_FOR, origin_of
from .proxies import proxy_for
from .racing import arace
from .url_policy import host_ip, is_forbidden_ip
from .wire import WireFailure

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .effects import Race
    from .leases import Waiter
    from .wire import Wait, WireRequest

_NO_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_LINE = 64 * 1024


class _Hidden(str):
    """A header's value that aiohttp's frames do not show in a traceback with local variables."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


class _ForbiddenAddressError(OSError):
    """A name of a public host leads to a private network."""


class _Resolver(AbstractResolver):
    """Resolves names, dropping addresses that discovered hosts may not have."""

    def __init__(self) -> None:
        self._inner = aiohttp.DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = 0  # type: ignore[assignment]
    ) -> list[ResolveResult]:  # fmt: skip
        found = await self._inner.resolve(host, port, family)
        allowed = [result for result in found if not is_forbidden_ip(result["host"])]
        if not allowed:
            raise _ForbiddenAddressError(f"{FORBIDDEN}: {host}")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


@functools.lru_cache(maxsize=4096)
def _is_private_literal(url: str) -> bool:
    ip = host_ip(urlsplit(url).hostname or "")
    return ip is not None and is_forbidden_ip(ip)


def _refuse_private_literal(url: str) -> None:
    """Addresses that are spelt out are not resolved, so the resolver does not see them."""
    if _is_private_literal(url):
        raise WireFailure("forbidden_address", f"{FORBIDDEN}: {url}", ambiguous=False)


# What aiohttp raises -> kind of failure; none of these has reached the endpoint.
_UNSENT: tuple[tuple[type[BaseException], str], ...] = (
    (_ForbiddenAddressError, "forbidden_address"),
    (aiohttp.ClientConnectorDNSError, "dns"),
    (aiohttp.ClientSSLError, "tls"),
    (ssl.SSLError, "tls"),
    (aiohttp.ClientConnectorError, "refused"),
    (aiohttp.ConnectionTimeoutError, "connect_timeout"),
)


def _failure_of(error: BaseException, *, reading: bool) -> WireFailure:
    text = str(error) or type(error).__name__
    causes = (getattr(error, "os_error", None), error.__cause__, error)
    for cause in causes:
        for kind, name in _UNSENT:
            if isinstance(cause, kind):
                return WireFailure(name, text, ambiguous=False)
    if isinstance(error, TimeoutError):
        return WireFailure("timeout", text)
    if isinstance(error, ValueError) and not reading:  # a URL or a header that cannot be sent
        return WireFailure("refused", text, ambiguous=False)
    return WireFailure("cut" if reading else "reset", text)


class AiohttpExchange:
    """An answer that is read by awaiting."""

    __slots__ = ("_content", "_response", "_wait", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, wait: Wait) -> None:
        self._response = response
        self._content = response.content
        self._wait = wait
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        content = self._content
        try:
            if content.total_bytes and (data := content.read_nowait()):
                return data
            if content.at_eof():
                return b""
            async with asyncio.timeout(self._wait.remaining()):
                return await content.readany()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _failure_of(error, reading=True) from error

    async def finish(self) -> None:
        """Read the end of the body, for a moment, so that the connection can be reused."""
        if not self._content.at_eof():
            with contextlib.suppress(Exception):  # then it is not reused
                async with asyncio.timeout(DRAIN_FOR):
                    while await self._content.readany():
                        pass
        await self.close()

    async def close(self) -> None:
        """Let go of the response, closing the connection unless all was read."""
        if self._content.at_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpConnections:
    """Connections of one session in one event loop."""

    def __init__(self, ssl_context: Callable[[], ssl.SSLContext]) -> None:
        self._ssl_context = ssl_context
        self._sessions: dict[tuple[bool, bool], aiohttp.ClientSession] = {}

    async def open(self, request: WireRequest) -> AiohttpExchange:
        """Send *request* and read the head of the answer."""
        proxy = proxy_for(origin_of(request.url))
        trusted = request.trusted or proxy is not None
        if not trusted:
            _refuse_private_literal(request.url)
        key = (trusted, request.url.startswith("https:"))
        session = self._sessions.get(key) or await self._make_session(*key)
        wait = request.wait
        try:
            async with asyncio.timeout(wait.remaining()):
                response = await session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    data=request.body or None,
                    headers=[(name, _Hidden(value)) for name, value in request.headers],
                    allow_redirects=False,
                    proxy=proxy,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=wait.connect),
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            failure = _failure_of(error, reading=False)
        else:
            return AiohttpExchange(response, wait)
        # Without its cause: a traceback with local variables would show aiohttp's headers.
        raise failure

    async def park(self, waiter: Waiter | None, seconds: float) -> None:
        """Wait until *waiter* is woken, or for *seconds*."""
        await park(waiter, seconds)

    async def race(self, contest: Race) -> Any:
        """Run two attempts beside each other."""
        return await arace(contest, self)

    async def compute(self, function: Callable[[], Any]) -> Any:
        """Call *function* in a thread."""
        return await asyncio.to_thread(function)

    def drop(self, _base_url: str) -> Any:
        """Idle connections to an endpoint that has left end by themselves."""
        return None

    async def aclose(self) -> None:
        """Close everything."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    async def _make_session(self, trusted: bool, secure: bool) -> aiohttp.ClientSession:
        context = await ready_context(self._ssl_context) if secure else None
        found = self._sessions.get((trusted, secure))
        if found is None:
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=KEEP_FOR,
                ssl=context if context is not None else True,
                resolver=None if trusted else _Resolver(),
            )
            found = self._sessions[trusted, secure] = aiohttp.ClientSession(
                connector=connector,
                skip_auto_headers=_NO_AUTOMATIC,
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=_LINE,
            )
        return found
