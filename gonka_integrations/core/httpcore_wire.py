"""What blocking and asynchronous connections on httpcore share: requests, failures, options."""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .http_stack import httpcore
from .url_policy import is_forbidden_ip
from .wire import WireFailure, WireRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

KEEP_FOR = 30.0
DRAIN_FOR = 0.25
FORBIDDEN = "forbidden address"
_KEEP_IDLE = 8
_MOST = 100_000
_URLS = 4096

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


def pool_options(ssl_context: ssl.SSLContext | None, backend: Any) -> dict[str, Any]:
    """What the connection pools of both worlds are made with."""
    return {
        "ssl_context": ssl_context,
        "max_connections": _MOST,
        "max_keepalive_connections": _KEEP_IDLE,
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
