"""What an endpoint pool deals in: states, wants, leases, waiters, outcomes."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .stats import ModelStats
from .verdicts import Health

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from .endpoints import Endpoint
    from .health import EndpointHealth

_UNKNOWN_COST = 1e6
_FADES_IN = 30.0
_NOBODY: AbstractSet[EndpointState] = frozenset()
_NO_GROUP: AbstractSet[str] = frozenset()


class EndpointState:
    """One endpoint with its health, load and history; lives as long as it is a member."""

    __slots__ = (
        "bare_streams", "endpoint", "ewma", "excuses", "group", "health", "heard", "in_flight",
        "lacks", "measured", "member", "scale", "silent", "stats",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint, health: EndpointHealth) -> None:
        self.endpoint = endpoint
        self.group = endpoint.credentials.group
        self.health = health
        self.in_flight = 0
        self.silent = 0  # of those in flight: without any content yet
        self.heard = 0.0  # when content last came, or that silence began
        self.ewma: float | None = None
        self.measured = 0.0
        self.scale = 1.0
        self.member = True
        self.bare_streams = False
        self.lacks: dict[str, float] = {}
        self.excuses: dict[str, str] = {}
        self.stats: dict[str, ModelStats] = {}

    def without_load(self) -> EndpointState:
        """The same endpoint with nothing under way."""
        state = copy.copy(self)
        state.in_flight = state.silent = 0
        return state

    def cost(self, now: float, usual: float = math.inf) -> float:
        """Expected delay; an endpoint never measured is free until something is pending on it.

        It is no less than the time for which everything pending has been waiting in vain, so that
        a host that falls silent is avoided long before anything times out. The average of an idle
        endpoint fades down to what is usual, so that one that was slow once is looked at again:
        one that is n times slower than the others after (n - 1) half minutes.

        Args:
            now: Current time in seconds.
            usual: Seconds that endpoints of the pool usually take.
        """
        ewma, pending = self.ewma, self.in_flight
        if ewma is None:
            return _UNKNOWN_COST * pending
        if pending:
            if self.silent and now - self.heard > ewma:
                ewma = now - self.heard
            return ewma * (1.0 + pending * self.scale)
        if ewma <= usual:
            return ewma
        return max(usual, ewma / (1.0 + (now - self.measured) / _FADES_IN))

    def observe(self, seconds: float, now: float) -> None:
        """Move the average: quickly up, slowly down."""
        self.measured = now
        if self.ewma is None:
            self.ewma = seconds
        else:
            pace = 0.5 if seconds > self.ewma else 0.2
            self.ewma += pace * (seconds - self.ewma)

    def stats_for(self, model: str) -> ModelStats:
        """Counters of this endpoint for *model*."""
        found = self.stats.get(model)
        if found is None:
            found = self.stats[model] = ModelStats()
        return found

    def usable(self, want: Want, now: float) -> bool:
        """Whether a call may be sent here now."""
        health = self.health
        if health.out_until > now or (want.tried and self in want.tried):
            return False
        if (want.barred or want.barred_groups) and want.bars(self):
            return False
        if self.lacks and self.lacking(want.model, now):
            return False
        return self.has_room() if health.on_trial or self.endpoint.max_concurrent else True

    def lacking(self, model: str, now: float) -> bool:
        """Whether it has said that it does not serve *model*."""
        return self.lacks.get(model, 0.0) > now

    def describe(self, now: float) -> dict[str, Any]:
        """Everything as plain JSON values."""
        health = self.health
        return {
            "endpoint": self.endpoint.base_url,
            "kind": self.endpoint.kind,
            "address": self.endpoint.address,
            "tier": self.endpoint.tier,
            "weight": self.endpoint.weight,
            "in_flight": self.in_flight,
            "latency_seconds": self.ewma,
            "out_for_seconds": max(0.0, health.out_until - now) if health.out_until else 0.0,
            "out_because": health.reason.lower() if health.is_out(now) else "",
            "on_trial": health.on_trial,
            "gone": health.gone,
            "models": {model: stats.snapshot() for model, stats in self.stats.items()},
        }

    def has_room(self) -> bool:
        """Whether one more request may be sent: limits, and one at a time while on trial."""
        if self.health.on_trial:
            return self.in_flight == 0
        limit = self.endpoint.max_concurrent
        return limit is None or self.in_flight < limit


class Want:
    """What a call is looking for; its sets are replaced, never changed.

    Attributes:
        model: Model name as the caller spells it, "" for any.
        tried: Endpoints that failed this call and may be tried again later.
        barred: Endpoints that are of no use to this call.
        barred_groups: Credentials that are of no use to this call.
    """

    __slots__ = ("barred", "barred_groups", "model", "tried")

    def __init__(self, model: str) -> None:
        self.model = model
        self.tried: AbstractSet[EndpointState] = _NOBODY
        self.barred: AbstractSet[EndpointState] = _NOBODY
        self.barred_groups: AbstractSet[str] = _NO_GROUP

    def bars(self, state: EndpointState) -> bool:
        """Whether *state* is out of question for good."""
        return state in self.barred or state.group in self.barred_groups


@dataclass(slots=True, eq=False)
class Lease:
    """The right to send one request to one endpoint; settled exactly once.

    Attributes:
        started: When it was given.
        stats: Where it is counted.
        heard: Whether content has come.
        settled: Whether its outcome is known.
        handed_on: Whether an open stream keeps it beyond the call that took it.
    """

    state: EndpointState
    model: str
    started: float
    stats: ModelStats
    heard: bool = False
    settled: bool = False
    handed_on: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """Where to send it."""
        return self.state.endpoint


@dataclass(slots=True, eq=False)
class Waiter:
    """A call that waits for an endpoint; gets its lease handed over in turn."""

    want: Want
    wake: Callable[[], None] = lambda: None
    lease: Lease | None = None
    woken: bool = False
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a leased request ended.

    Attributes:
        health: What it says of the endpoint, `Health.OK` when it answered.
        failure: Kind of failure, "" when served, "cancelled" when the caller went away.
        retry_after: Seconds the endpoint asked to be left alone.
        first_token: Seconds to the first content, None when there was none.
        total: Seconds in all.
        ambiguous: Whether the endpoint may have done the work all the same.
    """

    health: Health = Health.OK
    failure: str = ""
    retry_after: float | None = None
    first_token: float | None = None
    total: float | None = None
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a call without a lease can hope for. Times in seconds from now.

    Attributes:
        due: Until some endpoint is back in service, None when none ever will be for this call.
        next_probe: Until a failing endpoint may be tried before its time, None when none may.
        asked: Until an endpoint that asked to be left alone takes requests again, None when the
            call's endpoints are out for other reasons.
        busy: Whether an endpoint in service is merely full.
        warm: Whether some endpoint has served before.
        untried: Whether an endpoint in service has not been tried by this call.
    """

    due: float | None
    next_probe: float | None
    asked: float | None
    busy: bool
    warm: bool
    untried: bool
