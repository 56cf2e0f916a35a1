"""The least HTTP/1.1 server that real clients accept: a protocol class, no framework.

A benchmark's server must never be what is measured, so requests are found by two byte searches
and answers are bytes made before the run.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model"\s*:\s*"([^"]*)"')
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_USAGE = re.compile(rb'"include_usage"\s*:\s*true')


class RequestProtocol(asyncio.Protocol):
    """Cuts a connection's bytes into requests and hands each to `handle`."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            head = self._pending[: end + 2]
            found = _LENGTH.search(head)
            stop = end + 4 + (int(found[1]) if found else 0)
            if len(self._pending) < stop:
                return
            body = self._pending[end + 4 : stop]
            self._pending = self._pending[stop:]
            self.handle(head, body)

    def handle(self, head: bytes, body: bytes) -> None:
        raise NotImplementedError


def model_of(body: bytes) -> str:
    found = _MODEL.search(body)
    return found[1].decode() if found else ""


def wants_stream(body: bytes) -> bool:
    return _STREAM.search(body) is not None


def wants_usage(body: bytes) -> bool:
    return _USAGE.search(body) is not None


def header_of(head: bytes, name: str) -> str | None:
    found = re.search(rb"\r\n" + name.encode() + rb":\s*([^\r]*)", head, re.IGNORECASE)
    return found[1].decode() if found else None


def response(
    body: bytes, status: int = 200, content_type: str = "application/json", **headers: str
) -> bytes:
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return (
        f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{extra}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def event(payload: bytes) -> bytes:
    """One server-sent event as one HTTP chunk, the way inference servers write them."""
    data = b"data: " + payload + b"\n\n"
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event_stream(payloads: Iterable[bytes]) -> bytes:
    """A whole answer: head, one chunk per event, the end."""
    return STREAM_HEAD + b"".join(map(event, payloads)) + STREAM_END
