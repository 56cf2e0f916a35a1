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
_LARGEST = 64 * 1024 * 1024


class ChunkReader:
    """Reads the body of a chat answer, streamed or not, and judges it.

    Args:
        strip: Names of what the endpoint adds unasked, removed from every chunk.

    Attributes:
        content_seen: Whether the answer has begun to say something.
        assembler: What it has said so far.
        over: Whether everything has been said; what follows is only the end of the body.
    """

    __slots__ = (
        "_parser", "_plain_answer", "_strip", "_whole", "_whole_size", "assembler", "content_seen",
        "over",
    )  # fmt: skip

    def __init__(self, strip: frozenset[str] = frozenset()) -> None:
        self._parser = EventParser()
        self._strip = strip
        self._plain_answer: dict[str, Any] | None = None
        self._whole: list[bytes] | None = None
        self._whole_size = -1
        self.assembler = Assembler()
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
        if self._whole_size < 0:
            start = data.lstrip()
            if not start:
                return []
            self._whole = [] if start[:1] in b"{[<" else None
            self._whole_size = 0
        if self._whole is not None:
            return self._keep(data)
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

    def _keep(self, data: bytes) -> list[dict[str, Any]]:
        self._whole_size += len(data)
        if self._whole_size > _LARGEST:
            raise WireFailure("too_large", f"an answer of more than {_LARGEST} bytes")
        if self._whole is not None:
            self._whole.append(data)
        return []

    def _plain(self, body: bytes) -> list[dict[str, Any]]:
        self._plain_answer = read_completion(body, self._strip)
        chunks = as_chunks(self._plain_answer)
        for chunk in chunks:
            self._note(chunk)
        return chunks

    def _chunks(self, payloads: list[bytes]) -> list[dict[str, Any]]:
        chunks: list[dict[str, Any]] = []
        for payload in payloads:
            if payload == DONE:
                self.over = self.assembler.finished
                continue
            chunk = _decode(payload)
            if "error" in chunk and chunk["error"] and not chunk.get("choices"):
                raise WireFailure("error_event", error_text(payload), body=payload)
            if any(name in chunk for name in _HOST_EVENTS):
                continue
            if chunk.get("choices") is None:
                chunk["choices"] = []
            if self._strip:
                strip_injected(chunk, self._strip)
            self._note(chunk)
            chunks.append(chunk)
        if self._parser.stray is not None and not self.over:
            stray = self._parser.stray.decode("utf-8", "replace")[:200]
            raise WireFailure("garbage", f"text that is no event: {stray!r}")
        return chunks

    def _note(self, chunk: dict[str, Any]) -> None:
        self.assembler.add(chunk)
        if not self.content_seen and has_content(chunk):
            self.content_seen = True


def read_completion(body: bytes, strip: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A plain completion out of a whole body.

    Raises:
        WireFailure: "garbage" or "error_event": a 200 that is no answer.
    """
    completion = _decode(body)
    if completion.get("error") and not completion.get("choices"):
        raise WireFailure("error_event", error_text(body), body=body)
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise WireFailure("garbage", "an answer without choices", body=body)
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
