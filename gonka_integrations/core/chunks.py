"""ChunkReader: bytes of one answer in, chunks out, and whether it is whole."""

from __future__ import annotations

from typing import Any

from jiter import from_json

from .assembly import Assembler, as_chunks, has_content
from .dialect import strip_injected
from .error_bodies import error_text
from .sse import DONE, EventParser
from .wire import WireFailure

_HOST_EVENTS = ("devshard_receipt", "devshard_meta")
_LARGEST_PLAIN = 64 * 1024 * 1024
# What taking apart JSON of another shape than expected may raise.
_MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)


class ChunkReader:
    """Reads the body of a chat answer, streamed or not, and judges it.

    Args:
        strip: Names of what the endpoint adds unasked, removed from every chunk.
        choices: How many choices were asked for.
        limit: Largest stream in bytes; no real one comes near.

    Attributes:
        content_seen: Whether the answer has begun to say something.
        assembler: What it has said so far.
        over: Whether everything has been said; what follows is only the end of the body.
    """

    __slots__ = (
        "_limit", "_parser", "_plain_answer", "_size", "_strip", "_whole", "assembler",
        "content_seen", "over",
    )  # fmt: skip

    def __init__(
        self, strip: frozenset[str] = frozenset(), *, choices: int = 1, limit: int = 1 << 30
    ) -> None:
        self._parser = EventParser()
        self._strip = strip
        self._limit = limit
        self._plain_answer: dict[str, Any] | None = None
        self._whole: list[bytes] | None = None
        self._size = 0
        self.assembler = Assembler(choices)
        self.content_seen = False
        self.over = False

    def take(self, data: bytes) -> list[dict[str, Any]]:
        """Take in what a read gave: bytes, or b"" at the end of the body."""
        return self.feed(data) if data else self.end()

    def completion(self) -> dict[str, Any]:
        """The whole answer as a plain completion; as it was sent when it was not streamed."""
        return self._plain_answer or self.assembler.completion()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Take in bytes, give the chunks that are complete.

        Raises:
            WireFailure: "error_event", "garbage" or "too_large": the answer is broken.
        """
        if not self._size:
            data = data.lstrip()
            if not data:
                return []
            if data[:1] in b"{[<":
                self._whole, self._limit = [], min(self._limit, _LARGEST_PLAIN)
        self._size += len(data)
        if self._size > self._limit:
            raise WireFailure("too_large", f"an answer of more than {self._limit} bytes")
        if self._whole is not None:
            self._whole.append(data)
            return []
        return self._chunks(self._parser.feed(data))

    def end(self) -> list[dict[str, Any]]:
        """The body is over; gives what was left.

        Raises:
            WireFailure: "truncated" or another kind: the answer is not whole.
        """
        if self._whole is not None:
            chunks = self._plain(b"".join(self._whole))
        else:
            chunks = self._chunks(self._parser.end())
        if not self.assembler.finished:
            raise WireFailure("truncated", "the answer ended without a finish reason")
        self.over = True
        return chunks

    def _plain(self, body: bytes) -> list[dict[str, Any]]:
        answer = self._plain_answer = read_completion(body, self._strip)
        try:
            chunks = as_chunks(answer)
            for chunk in chunks:
                self._note(chunk)
        except _MISSHAPEN as error:
            raise _misshapen(body) from error
        self.assembler.expect_no_more()
        return chunks

    def _chunks(self, payloads: list[bytes]) -> list[dict[str, Any]]:
        chunks: list[dict[str, Any]] = []
        try:
            for payload in payloads:
                self._event(payload, chunks)
            self._refuse_stray_text()
        except WireFailure:
            # What follows a finished answer takes nothing back.
            if not self.assembler.finished:
                raise
            self.over = True
        return chunks

    def _refuse_stray_text(self) -> None:
        if self._parser.stray is not None and not self.over:
            stray = self._parser.stray.decode("utf-8", "replace")[:200]
            raise WireFailure("garbage", f"text that is no event: {stray!r}")

    def _event(self, payload: bytes, chunks: list[dict[str, Any]]) -> None:
        if payload == DONE:
            self.assembler.expect_no_more()
            self.over = self.assembler.finished
            return
        chunk = _decode(payload)
        if not chunk.get("choices"):
            if chunk.get("error") or chunk.get("object") == "error":
                raise WireFailure("error_event", error_text(payload), body=payload)
            if any(name in chunk for name in _HOST_EVENTS):
                return
            chunk["choices"] = []
        try:
            if self._strip:
                strip_injected(chunk, self._strip)
            self._note(chunk)
        except _MISSHAPEN as error:
            raise _misshapen(payload) from error
        chunks.append(chunk)

    def _note(self, chunk: dict[str, Any]) -> None:
        self.assembler.add(chunk)
        if not self.content_seen and has_content(chunk):
            self.content_seen = True


def read_completion(body: bytes, strip: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A plain completion out of a whole body.

    Raises:
        WireFailure: "garbage", "error_event" or "truncated": a 200 that is no whole answer.
    """
    completion = _decode(body)
    choices = completion.get("choices")
    if not choices and (completion.get("error") or completion.get("object") == "error"):
        raise WireFailure("error_event", error_text(body), body=body)
    if not isinstance(choices, list) or not choices:
        raise WireFailure("garbage", "an answer without choices", body=body)
    if not all(isinstance(choice, dict) for choice in choices):
        raise _misshapen(body)
    if not all(choice.get("finish_reason") for choice in choices):
        raise WireFailure("truncated", "the answer has no finish reason", body=body)
    if strip:
        strip_injected(completion, strip)
    return completion


def _decode(payload: bytes) -> dict[str, Any]:
    try:
        decoded = from_json(payload)
    except ValueError:
        shown = payload[:120].decode("utf-8", "replace")
        raise WireFailure("garbage", f"not JSON: {shown!r}", body=payload) from None
    if not isinstance(decoded, dict):
        raise WireFailure("garbage", f"JSON that is no object: {payload[:60]!r}", body=payload)
    return decoded


def _misshapen(payload: bytes) -> WireFailure:
    shown = payload[:120].decode("utf-8", "replace")
    return WireFailure("garbage", f"no chat answer: {shown!r}", body=payload)
