"""The verifier as discovery calls it: a flow whose reads discovery makes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..core.effects import Compute
from ..errors import GonkaDiscoveryError
from .node_reader import Answer, Request, Steps
from .report import Report
from .trust import parse_trust
from .verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..core.effects import Flow
    from ..core.participants import ParticipantSet

__all__ = ["ProofVerifier", "as_flow"]

_T = TypeVar("_T")


class ProofVerifier:
    """Proves the participant lists that `EndpointDiscovery` reads.

    Args:
        trust: See `trust.parse_trust`.
        options: Of `Verifier`.

    Attributes:
        report: The chain of evidence of the latest verification, for people to read.

    Raises:
        GonkaConfigError: *trust* is no trust root, or the package that checks signatures is
            missing.
    """

    def __init__(self, trust: object, **options: Any) -> None:
        self._root = parse_trust(trust)
        self._options = options
        self._lock = threading.Lock()
        self._verifier = Verifier(self._root, (), **options)
        self.report = Report()

    def __call__(
        self,
        payload: bytes,
        *,
        epoch: int | None,
        source_url: str,
        sources: Sequence[str],
        fetch: Callable[[str, str], Flow[bytes]],
    ) -> Flow[ParticipantSet]:
        """The set that *payload* proves; see `core.reading.Verifier`."""
        report = self.report = Report()
        verifier = self._verifier_for(tuple(sources))
        steps = verifier.steps(payload, epoch, source_url=source_url, report=report)
        return as_flow(steps, fetch)

    def _verifier_for(self, sources: tuple[str, ...]) -> Verifier:
        """The one verifier, which remembers; made anew when the sources are others."""
        with self._lock:
            if self._verifier.sources != sources:
                options = {**self._options, "store": self._verifier.store}
                self._verifier = Verifier(self._root, sources, **options)
            return self._verifier


def as_flow(steps: Steps[_T], fetch: Callable[[str, str], Flow[bytes]]) -> Flow[_T]:
    """*steps* with their requests made by *fetch*, and their checks off the event loop."""
    progress = _Progress(steps)
    while (request := (yield Compute(progress.advance))) is not None:
        try:
            body = yield from fetch(request.source, request.path)
        except GonkaDiscoveryError as error:
            # Who was asked for what is in the message of the check already.
            told = str(error).removeprefix(f"{request.source}: {request.path} ")
            progress.answer = Answer(error.status_code or 0, told.encode())
        else:
            progress.answer = Answer(200, body)
    return progress.result


class _Progress(Generic[_T]):
    """A generator between its steps. `StopIteration` cannot cross threads and futures."""

    result: _T

    def __init__(self, steps: Steps[_T]) -> None:
        self._steps = steps
        self.answer: Answer | None = None

    def advance(self) -> Request | None:
        """The next request; None when `result` is there."""
        try:
            if self.answer is None:
                return next(self._steps)
            return self._steps.send(self.answer)
        except StopIteration as stop:
            self.result = stop.value
            return None
