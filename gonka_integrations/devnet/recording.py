"""What the servers of the network remember of the requests they met."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True)
class RecordedRequest:
    """One inference request as it arrived.

    Attributes:
        method: HTTP method.
        path: Path without the query.
        headers: Names in lower case.
        body: The exact bytes received.
        json: The parsed body, None when it is not a JSON object.
        time: `time.monotonic()` of its arrival, seconds.
        status: HTTP status that was answered, None when no answer was begun.
        outcome: `open` while under way, then `served`, `refused` (a check failed), `cached`,
            `failed`, `disconnected` (the client left before the end) or `fault:<kind>`.
        detail: Text of the refusal.
        disconnected: Whether the client left before the answer was complete.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    json: dict[str, Any] | None
    time: float
    status: int | None = None
    outcome: str = "open"
    detail: str = ""
    disconnected: bool = False

    @property
    def streams(self) -> bool:
        """Whether the caller asked for a stream."""
        return bool(self.json and self.json.get("stream"))


@dataclass(slots=True)
class Recorder:
    """The requests of one endpoint, the newest *limit* of them, and counts over all.

    Attributes:
        limit: Requests kept; the older half goes when it is passed, so that load tests do not
            fill the memory.
        requests: Those kept, oldest first.
        total: Requests ever met.
        in_flight: Requests under way now.
        peak_in_flight: Most requests ever under way at once.
    """

    limit: int = 20_000
    requests: list[RecordedRequest] = field(default_factory=list)
    total: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0

    def begin(self, request: RecordedRequest) -> None:
        """Take note of an arrival."""
        self.total += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        if len(self.requests) >= self.limit:
            del self.requests[: self.limit // 2]
        self.requests.append(request)

    def end(self, request: RecordedRequest) -> None:
        """Take note of the end, whatever it was."""
        self.in_flight -= 1
        if request.outcome == "open":
            request.outcome = "disconnected" if request.disconnected else "failed"


class Observed:
    """Something that meets requests and can be asked about them.

    Args:
        limit: Requests it remembers.
    """

    def __init__(self, limit: int) -> None:
        self._recorder = Recorder(limit=limit)

    @property
    def requests(self) -> list[RecordedRequest]:
        """Inference requests met, oldest first."""
        return self._recorder.requests

    @property
    def request_count(self) -> int:
        """Inference requests ever met; `requests` keeps the newest only."""
        return self._recorder.total

    @property
    def in_flight(self) -> int:
        """Inference requests under way."""
        return self._recorder.in_flight

    @property
    def peak_in_flight(self) -> int:
        """Most inference requests ever under way at once."""
        return self._recorder.peak_in_flight
