"""What crosses the border between deciding and doing: a request to send, a failure to judge."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Wait:
    """A moment that may be moved while somebody waits for it.

    An HTTP library fixes its read time-out once per response; what a stream needs is "until the
    first content", then "until the next". So the connection asks this object at each read.

    Args:
        clock: Monotonic time in seconds.

    Attributes:
        until: Moment at which waiting ends, by that clock.
        connect: Seconds a connection may take to be made.
        racing: Whether the reader must look up now and then, since it may be called off.
        called_off: Whether nobody waits any more.
    """

    __slots__ = ("called_off", "clock", "connect", "racing", "until")

    def __init__(
        self, until: float, connect: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self.until = until
        self.connect = connect
        self.racing = self.called_off = False

    def remaining(self) -> float:
        """Seconds left; a thousandth at least, since 0 would mean not to wait at all."""
        return max(0.001, self.until - self.clock())


@dataclass(slots=True)
class WireRequest:
    """One HTTP request, ready to be sent as it is.

    Attributes:
        method: HTTP method.
        url: Absolute URL.
        headers: Header lines; Host and Content-Length are added when sent.
        body: The exact bytes.
        wait: How long to wait for the head of the answer and for each part of it.
        trusted: Whether the host may be on a private network.
    """

    method: str
    url: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    wait: Wait
    trusted: bool = True


class WireFailure(Exception):  # noqa: N818 - judged and turned into an error, never shown to users
    """An attempt failed.

    Attributes:
        kind: A key of `verdicts.WIRE_TABLE`, "timeout" from a connection, or "status".
        ambiguous: Whether the endpoint may have acted on the request.
        status: HTTP status, when it answered one.
        headers: Headers of that answer, names in lower case.
        body: Body of that answer.
        text: What went wrong, in words.
    """

    def __init__(
        self,
        kind: str,
        text: str = "",
        *,
        ambiguous: bool = True,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind = kind
        self.text = text
        self.ambiguous = ambiguous
        self.status = status
        self.headers = dict(headers or {})
        self.body = body


class Exchange(Protocol):
    """An answer being read. The methods of an asynchronous one return awaitables."""

    status: int
    headers: dict[str, str]

    def read(self) -> Any:
        """The next bytes of the body, b"" at its end; raises `WireFailure`."""

    def finish(self) -> Any:
        """Read what little is left so that the connection can be reused; never raises."""

    def close(self) -> Any:
        """Let go of the answer, closing the connection unless all was read; never raises."""


class Connections(Protocol):
    """A way to open exchanges and to wait. Asynchronous ones return awaitables."""

    def open(self, request: WireRequest) -> Any:
        """Send *request*; returns an `Exchange` once the head is here."""

    def park(self, waiter: Any, seconds: float) -> Any:
        """Wait until *waiter* (a `pool.Waiter` or None) is woken, or for *seconds*."""

    def race(self, contest: Any) -> Any:
        """Run a `racing.Race`."""

    def compute(self, function: Callable[[], Any]) -> Any:
        """Call *function*, off the event loop if there is one."""
