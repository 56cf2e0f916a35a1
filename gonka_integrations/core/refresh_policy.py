"""Decisions of the refresher: when to look next, and what not to believe. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .participants import ParticipantSet

__all__ = ["MIN_INTERVAL", "PollPlan", "Situation", "objection", "spread"]

#: Seconds between two polls at least: hosts allow 10 reads a minute.
MIN_INTERVAL = 6.0

_SHRUNKEN = 10
_LEAST_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Situation:
    """What the refresher knows when it decides.

    Attributes:
        to_change: Seconds until the next set of participants comes into force, None when unknown.
        behind: Whether the chain is in an epoch whose participants have not been read yet.
        failures: Failed polls in a row.
        woken: Whether somebody says that the participants are stale.
        list_age: Seconds since the whole list was read, None when it never was.
    """

    to_change: float | None = None
    behind: bool = False
    failures: int = 0
    woken: bool = False
    list_age: float | None = None


@dataclass(frozen=True, slots=True)
class PollPlan:
    """How often to look. Times are in seconds.

    Attributes:
        interval: Between two looks at where the chain is.
        min_interval: Between two looks at least, whatever happens.
        window: Around a change, where the refresher looks each `min_interval`.
        list_interval: Between two reads of the whole list, which shrinks within an epoch too.
    """

    interval: float = 60.0
    min_interval: float = MIN_INTERVAL
    window: float = 30.0
    list_interval: float = 600.0

    @property
    def floor(self) -> float:
        """The shortest delay: `min_interval`, or the interval when that is asked to be shorter."""
        return min(self.min_interval, self.interval)

    def delay(self, situation: Situation) -> float:
        """Seconds from one poll to the next.

        The interval; near the predicted change, when behind, or woken: the floor; after a failure
        min(interval, floor * 2 ** (failures - 1)). A change within the interval is not slept
        through: the poll comes where the window around it begins.
        """
        if situation.failures:
            return min(self.interval, self.floor * 2.0 ** min(16, situation.failures - 1))
        if situation.behind or situation.woken:
            return self.floor
        if situation.to_change is None:
            return self.interval
        return max(self.floor, min(self.interval, situation.to_change - self.window))

    def wants_list(self, situation: Situation) -> bool:
        """Whether a poll reads the whole list, not only where the chain is."""
        return (
            situation.list_age is None
            or situation.behind
            or situation.woken
            or situation.list_age >= self.list_interval
        )


def spread(delay: float, least: float, uniform: Callable[[float, float], float]) -> float:
    """*delay* cut by up to a fifth, so that processes started together do not poll in step.

    Args:
        delay: Seconds.
        least: Seconds below which nothing is cut.
        uniform: A random number between two.
    """
    return uniform(min(delay, max(least, _LEAST_SHARE * delay)), delay)


def objection(old: ParticipantSet | None, new: ParticipantSet) -> str | None:
    """Why *new* must not take the place of *old*, None when it may."""
    if not new.participants:
        return "it is empty"
    if old is None:
        return None
    if new.epoch_id < old.epoch_id:
        return f"it is of epoch {new.epoch_id}, and epoch {old.epoch_id} is known already"
    if len(new) * _SHRUNKEN <= len(old):
        return f"it has {len(new)} participants, and there were {len(old)}"
    return None
