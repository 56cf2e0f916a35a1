"""A tolerant reader of event streams (WHATWG server-sent events), bytes in, data payloads out.

Takes LF, CR LF and CR line ends, comments, several data lines in an event and doubled blank lines.
Text that is no event-stream field is reported as stray: nodes append their error messages so.
"""

from __future__ import annotations

from .wire import WireFailure

_FIELDS = (b"event", b"id", b"retry", b"data")
_MARK = b"\xef\xbb\xbf"  # byte order
DONE = b"[DONE]"


class EventParser:
    """Incremental parser of one stream.

    Args:
        limit: Largest event in bytes; a longer one is a failure, not a memory leak.
    """

    __slots__ = ("_buffer", "_data", "_limit", "_pending", "stray")

    def __init__(self, limit: int = 16 * 1024 * 1024) -> None:
        self._buffer = b""
        self._data: list[bytes] = []
        self._pending = 0
        self._limit = limit
        self.stray: bytes | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """Take in bytes; returns the data payloads of the events that are now complete.

        Raises:
            WireFailure: An event is larger than the limit.
        """
        buffer = self._buffer + data if self._buffer else data
        if b"\r" in buffer:
            # A lone CR at the end may be half of a CR LF: keep it for the next bytes.
            held = b"\r" if buffer.endswith(b"\r") else b""
            body = buffer[: len(buffer) - len(held)]
            buffer = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n") + held
        *lines, self._buffer = buffer.split(b"\n")
        events: list[bytes] = []
        for line in lines:
            self._take(line, events)
        if self._pending + len(self._buffer) > self._limit:
            raise WireFailure("too_large", f"an event of more than {self._limit} bytes")
        return events

    def end(self) -> list[bytes]:
        """The stream is over; returns the payload of a last event without its blank line."""
        events: list[bytes] = []
        if self._buffer:
            self._take(self._buffer.rstrip(b"\r"), events)
            self._buffer = b""
        self._take(b"", events)
        return events

    def _take(self, line: bytes, events: list[bytes]) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
            self._pending += len(line)
        elif not line:
            if self._data:
                events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                self._data = []
                self._pending = 0
        elif line.startswith(_MARK) and not line.startswith(_MARK * 2):
            self._take(line.removeprefix(_MARK), events)
        elif not line.startswith(b":") and line.split(b":", 1)[0] not in _FIELDS:
            self.stray = line
