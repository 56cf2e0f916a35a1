"""Where the network's state is read from: several sources, the healthy ones first."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import (
    GonkaDiscoveryError,
    GonkaNoParticipantsError,
    GonkaProofVerificationError,
)
from .effects import Park
from .fetching import FetchError
from .url_policy import host_ip, is_private_url, url_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .effects import Flow

__all__ = ["ReadBudget", "Source", "Sources"]

_logger = logging.getLogger("gonka_integrations.discovery")

_REST_FIRST = 5.0
_REST_MOST = 300.0
_RATE = 10 / 60
_REMEMBERED = 64
# Hosts' proxies let through 600 reads at once; half of it, as others may share our address.
_BURST = 300


class ReadBudget:
    """Reads of one source: 10 a minute in the long run, more for a while.

    Args:
        clock: Monotonic time in seconds.
        rate: Reads a second in the long run.
        burst: Reads at once after a rest.
    """

    __slots__ = ("_burst", "_clock", "_left", "_rate", "_seen")

    def __init__(
        self, clock: Callable[[], float], rate: float = _RATE, burst: float = _BURST
    ) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = self._left = float(burst)
        self._seen = clock()

    def take(self) -> bool:
        """Takes one read out; False when there is none."""
        if self.is_used_up():
            return False
        self._left -= 1
        return True

    def is_used_up(self) -> bool:
        """Whether there is no read left."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        return self._left < 1

    def empty(self) -> None:
        """The source says that it is enough."""
        self._left = 0.0


@dataclass(slots=True, eq=False)
class Source:
    """One node that is read from.

    Attributes:
        url: Without ``/v1``.
        budget: Reads it allows.
        failures: Failed reads in a row.
        rests_until: Moment until which others are asked first.
    """

    url: str
    budget: ReadBudget
    failures: int = 0
    rests_until: float = 0.0
    answers: dict[str, Any] = field(default_factory=dict)

    def remember(self, name: str, answer: Any) -> None:
        """Keeps *answer* for the times when the budget is used up."""
        self.answers.pop(name, None)
        self.answers[name] = answer
        if len(self.answers) > _REMEMBERED:
            del self.answers[next(iter(self.answers))]

    @property
    def is_private(self) -> bool:
        """Whether it is on a private network by its very URL, so that its participants may be too.

        Names without a dot are those of a network's own machines and containers. Other names are
        not resolved for this: whoever owns a name could let it point anywhere.
        """
        host = url_host(self.url) or ""
        return is_private_url(self.url) or (
            "." not in host and host_ip(host) is None and ":" not in host
        )


class Sources:
    """Asks sources in the order of their health until one gives an answer.

    Args:
        urls: Without ``/v1``, in order of preference.
        attempts: Rounds over all of them.
        delay: Seconds before the second round; doubles with each.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, urls: Sequence[str], *, attempts: int, delay: float, clock: Callable[[], float]
    ) -> None:
        self._all = tuple(Source(url, ReadBudget(clock)) for url in urls)
        self._attempts = max(1, attempts)
        self._delay = delay
        self._clock = clock

    def __iter__(self) -> Any:
        return iter(self._all)

    @property
    def urls(self) -> tuple[str, ...]:
        """The sources' URLs, in order of preference."""
        return tuple(source.url for source in self._all)

    def in_order(self) -> list[Source]:
        """Those that work first, in order of preference; then those that rest longest already.

        Whoever may not be read now comes last, with what it said before.
        """
        now = self._clock()

        def last(source: Source) -> tuple[bool, float]:
            return source.budget.is_used_up(), max(0.0, source.rests_until - now)

        return sorted(self._all, key=last)

    def distrust(self, url: str) -> None:
        """Asks others first for a while: this one said something that cannot be."""
        for source in self._all:
            if source.url == url:
                self._failed(source)

    def ask(
        self, name: str, read: Callable[[Source], Flow[Any]], *, attempts: int | None = None
    ) -> Flow[Any]:
        """What *read* makes of the first source that answers.

        A source whose budget is used up gives its last answer again.

        Args:
            name: Of what is read, to remember answers under.
            read: The flow that reads it from one source.
            attempts: In place of the usual number of rounds.

        Raises:
            GonkaDiscoveryError: No source gave an answer; with several, says what each said.
        """
        errors: dict[str, GonkaDiscoveryError] = {}
        for attempt in range(attempts or self._attempts):
            if attempt:
                yield Park(None, self._delay * 2 ** (attempt - 1))
            for source in self.in_order():
                if not _final(errors.get(source.url)):
                    try:
                        return (yield from self._ask_one(source, name, read))
                    except GonkaDiscoveryError as error:
                        errors[source.url] = error
            if all(_final(error) for error in errors.values()):
                break
        raise _summed_up(list(errors.values()))

    def _ask_one(self, source: Source, name: str, read: Callable[[Source], Flow[Any]]) -> Flow[Any]:
        if not source.budget.take():
            if name in source.answers:
                return source.answers[name]
            raise FetchError(
                f"{source.url} has been read too often in the last minutes; waiting",
                source_url=source.url,
                rate_limited=True,
            )
        try:
            answer = yield from read(source)
        except GonkaDiscoveryError as error:
            if isinstance(error, FetchError) and error.rate_limited:
                source.budget.empty()
            if not _definite(error):
                self._failed(source)
            _logger.info("Source failed: %s", error)
            raise
        source.failures, source.rests_until = 0, 0.0
        source.remember(name, answer)
        return answer

    def _failed(self, source: Source) -> None:
        source.failures += 1
        rest = min(_REST_MOST, _REST_FIRST * 2 ** min(10, source.failures - 1))
        source.rests_until = self._clock() + rest


def _definite(error: GonkaDiscoveryError) -> bool:
    """Whether a working source says that there is no such thing."""
    return error.status_code is not None and not (
        isinstance(error, FetchError) and error.repeatable
    )


def _final(error: GonkaDiscoveryError | None) -> bool:
    """Whether asking the same source again would only give the same."""
    return error is not None and not (isinstance(error, FetchError) and error.repeatable)


def _summed_up(errors: Sequence[GonkaDiscoveryError]) -> GonkaDiscoveryError:
    first = next((e for e in errors if isinstance(e, GonkaProofVerificationError)), errors[0])
    if len(errors) == 1 or isinstance(first, GonkaProofVerificationError):
        return first
    empty = all(isinstance(error, GonkaNoParticipantsError) for error in errors)
    kind = GonkaNoParticipantsError if empty else GonkaDiscoveryError
    said = "; ".join(str(error) for error in errors)
    return kind(
        f"none of {len(errors)} sources gave an answer: {said}",
        source_url=first.source_url,
        status_code=first.status_code,
    )
