"""One HTTP request being answered, down to the connection under it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, TypeVar

from .recording import RecordedRequest
from .servers import CorkedTransport, abort
from .texts import JSON, ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from starlette.types import Receive, Scope, Send

_T = TypeVar("_T")

MAX_BODY_BYTES = 10 * 1024 * 1024
_EVENT_STREAM = "text/event-stream"


class Refusal(Exception):  # noqa: N818 - an outcome of a check, not a fault of the program
    """A check failed; *answer* says so to the caller."""

    def __init__(self, answer: ErrorAnswer) -> None:
        super().__init__(answer.body.decode(errors="replace").strip())
        self.answer = answer


class Exchange:
    """Reads one request and writes its answer, or fails to, as told.

    Attributes:
        record: What is kept of the request.
        before_end: Called once, before the last byte of the answer or the end of the connection:
            what a client finds out by its answer must be true by then.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.before_end: Callable[[], None] = _nothing
        self._receive = receive
        self._send = send
        self._transport: CorkedTransport = scope["state"]["connection"].transport
        self._read = False
        self.record = RecordedRequest(
            method=scope["method"],
            path=scope["path"],
            headers={name.decode(): value.decode("latin-1") for name, value in scope["headers"]},
            body=b"",
            json=None,
            time=time.monotonic(),
        )

    async def read(self, too_large: ErrorAnswer) -> None:
        """Read the body into the record.

        Raises:
            Refusal: It is larger than a node takes.
        """
        declared = self.record.headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise Refusal(too_large)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.record.disconnected = True
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > MAX_BODY_BYTES:
                raise Refusal(too_large)
            if not message.get("more_body"):
                break
        self._read = True
        self.record.body = b"".join(parts)
        self.record.json = _json_object(self.record.body)

    @property
    def left(self) -> bool:
        """Whether the client is gone."""
        if self._transport.is_closing():
            self.record.disconnected = True
        return self.record.disconnected

    def succeed(self) -> None:
        """Note that the answer is whole, unless something was noted already."""
        if self.record.outcome == "open":
            self.record.outcome = "served"

    async def leaves_within(self, seconds: float | None) -> bool:
        """Wait; True as soon as the client leaves, False when *seconds* passed before."""
        self.uncork()
        try:
            await asyncio.wait_for(self._disconnect(), seconds)
        except TimeoutError:
            return False
        self.record.disconnected = True
        return True

    async def unless_left(self, work: Coroutine[Any, Any, _T]) -> _T | None:
        """Result of *work*, which is cancelled when the client leaves; None then."""
        task = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._disconnect())
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
        finally:
            task.cancel()
            leaving.cancel()
            await asyncio.gather(task, leaving, return_exceptions=True)
        self.record.disconnected = True
        return None

    async def _disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, error: ErrorAnswer, extra: Mapping[str, str] | None = None) -> None:
        """Send one complete error answer."""
        headers = {**error.headers, **(extra or {})}
        if not self._read:
            # The rest of the body is still under way; the connection cannot be used again.
            headers["Connection"] = "close"
        await self.answer_bytes(error.status, error.body, error.content_type, headers)

    async def answer_json(self, value: Any, headers: Mapping[str, str]) -> None:
        """Send 200 with a JSON body."""
        await self.answer_bytes(200, dump(value), JSON, headers)

    async def answer_bytes(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str]
    ) -> None:
        """Send one complete answer."""
        self.cork()
        await self.start(status, content_type, {**headers, "Content-Length": str(len(body))})
        self.before_end()
        await self._send({"type": "http.response.body", "body": body})
        self.uncork()

    def cork(self) -> None:
        """Hold back what is written, until `uncork` or the loop's next turn."""
        self._transport.cork()

    def uncork(self) -> None:
        """Send what was held back."""
        self._transport.uncork()

    async def start_stream(self, headers: Mapping[str, str]) -> None:
        """Begin an event stream."""
        await self.start(200, _EVENT_STREAM, {"Cache-Control": "no-cache", **headers})

    async def start(self, status: int, content_type: str, headers: Mapping[str, str]) -> None:
        """Send the head of an answer."""
        self.record.status = status
        raw = [(b"content-type", content_type.encode())]
        raw += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        """End the body as HTTP wants it."""
        self.before_end()
        await self._send({"type": "http.response.body", "body": b""})
        self.uncork()

    async def cut(self, *, reset: bool) -> None:
        """End the connection in the middle of what is being sent."""
        self.before_end()
        self.uncork()
        if reset:
            abort(self._transport)
        else:
            self._transport.close()
        await self._disconnect()


def once(action: Callable[[], None]) -> Callable[[], None]:
    """*action*, done at the first call only."""
    todo = [action]

    def run() -> None:
        while todo:
            todo.pop()()

    return run


def _nothing() -> None:
    """Do nothing."""


def dump(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return _encode(value).encode("utf-8", "surrogatepass")


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
