"""EndpointPool: who is a member, who is healthy, who is busy, who is next.

Choice is by power of two: two endpoints are drawn by weight and the one with the smaller
``EWMA latency * (1 + in flight * mean weight / weight)`` is leased. All state changes happen under
one lock that is never held during I/O; sync threads and event loops share a pool.
"""

from __future__ import annotations

import math
import random
import threading
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .after_fork import renew_in_children
from .health import EndpointHealth, HealthPolicy
from .leases import EndpointState, Lease, Outcome, Outlook, Waiter, Want
from .members import Members
from .selection import choose
from .urls import host_of
from .verdicts import Health
from .waiting import WaitingLine, wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .endpoints import Endpoint

__all__ = ["EndpointPool", "EndpointState", "Lease", "Outcome", "Outlook", "Waiter", "Want"]

_LACKS_MODEL_FOR = 300.0


class EndpointPool:
    """The endpoints of a session.

    Args:
        policy: When endpoints go out of service.
        clock: Monotonic time in seconds.
        rng: Source of randomness.
        probe_interval: Shortest time in seconds between two tries while everything is out.
        queue_limit: Calls that may wait for an endpoint at once.
        on_drained: Called with an endpoint that left the pool, once nothing is in flight on it;
            not while a member has the same host and port, and so the same connections.
        observe: Called with each lease that is settled, and its outcome.
    """

    def __init__(
        self,
        policy: HealthPolicy | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        probe_interval: float = 0.1,
        queue_limit: int = 10_000,
        on_drained: Callable[[Endpoint], None] | None = None,
        observe: Callable[[Lease, Outcome], None] | None = None,
    ) -> None:
        self.clock = clock
        policy = policy or HealthPolicy()
        self._rng = rng or random.Random()
        self._probe_interval = probe_interval
        self._on_drained = on_drained
        self._observe = observe
        self._lock = threading.Lock()
        self._members = Members(lambda: EndpointHealth(policy, self._rng.uniform))
        self._waiting = WaitingLine(queue_limit)
        self._last_probe = -1e9
        self._usual = math.inf
        renew_in_children(self)

    # Membership.

    def replace(self, endpoints: Iterable[Endpoint]) -> tuple[list[Endpoint], list[Endpoint]]:
        """Set who is a member; whoever stays keeps health, load and history.

        Returns:
            The endpoints that joined, and those that left.
        """
        with self._lock:
            joined, left = self._members.replace(endpoints)
            woken = self._hand_over()
        self._drained(state for state in left if state.in_flight == 0)
        wake(woken)
        return joined, [state.endpoint for state in left]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The members."""
        return self._members.endpoints()

    def models(self) -> tuple[str, ...]:
        """Model names that some member is known to serve, sorted."""
        names: set[str] = set()
        for endpoint in self.endpoints():
            names.update(endpoint.models or (), endpoint.model_map)
        return tuple(sorted(names))

    def serves(self, model: str) -> bool:
        """Whether some member may serve *model*."""
        return bool(self._members.tables(model))

    def advise(
        self,
        identity: str,
        serves: Mapping[str, bool],
        seconds: float,
        excuses: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take in what an endpoint says of itself.

        Args:
            identity: Of the endpoint.
            serves: Model -> whether requests for it are taken.
            seconds: How long a no is believed.
            excuses: Model -> why requests for it are not taken.
        """
        with self._lock:
            self._members.advise(identity, serves, self.clock() + seconds, excuses)
            woken = self._hand_over()
        wake(woken)

    def lacks(self, model: str) -> bool:
        """Whether every member that might serve *model* has said that it does not."""
        return self._members.lacks(model, self.clock())

    def excuses(self, model: str) -> list[str]:
        """Why members that might serve *model* do not now, when none does and some say why."""
        if not self.lacks(model):
            return []
        members = self._members.serving(model)
        return [f"{one.endpoint}: {one.excuses[model]}" for one in members if model in one.excuses]

    def gone(self, model: str) -> bool:
        """Whether every member that might serve *model* has said that it infers no more."""
        return self._members.all_serving(model, lambda state: state.health.gone)

    def tiers(self, model: str) -> tuple[int, ...]:
        """Tiers with members that may serve *model*, lowest first."""
        return tuple(table.items[0].endpoint.tier for table in self._members.tables(model))

    # Leases.

    def acquire(self, want: Want, least_tier: int = 0) -> Lease | None:
        """Lease the best endpoint that is in service and has room, None when there is none.

        Args:
            want: What is looked for.
            least_tier: Tiers below are passed over while one above can serve.
        """
        with self._lock:
            return self._acquire(want, least_tier)

    def probe(self, want: Want) -> Lease | None:
        """Lease the failing endpoint that is due soonest, though not yet due.

        Tries are spaced by the probe interval over the whole pool, so that an outage is noticed
        to be over at once and yet not made worse.
        """
        with self._lock:
            now = self.clock()
            if now - self._last_probe < self._probe_interval:
                return None
            failing = [
                state
                for state in self._members.candidates(want, now)
                if state.in_flight == 0 and state.health.may_be_probed()
            ]
            if not failing:
                return None
            self._last_probe = now
            soonest = min(failing, key=lambda state: state.health.out_until)
            return self._lease(soonest, want.model, now)

    def heard(self, lease: Lease) -> None:
        """The first content has come from a leased endpoint."""
        with self._lock:
            if not lease.heard and not lease.settled:
                lease.heard = True
                lease.state.silent -= 1
                lease.state.heard = self.clock()

    def settle(self, lease: Lease, outcome: Outcome) -> bool:
        """Give a lease back with what became of it. Later settlements of the same do nothing.

        Returns:
            Whether the endpoint has just gone out of service.
        """
        state = lease.state
        woken: list[Waiter] | None = None
        with self._lock:
            if lease.settled:
                return False
            lease.settled = True
            state.in_flight -= 1
            state.silent -= not lease.heard
            ejected = self._learn(lease, outcome, self.clock())
            if self._waiting.count:
                woken = self._hand_over()
        if not state.member and state.in_flight == 0:
            self._drained([state])
        if woken:
            wake(woken)
        if self._observe is not None:
            self._observe(lease, outcome)
        return ejected

    # Waiting.

    def enqueue(self, want: Want) -> Waiter | None:
        """Queue for an endpoint, None when the queue is full."""
        with self._lock:
            lease = self._acquire(want)
            if lease is not None:  # one became free after the caller had found none
                return Waiter(want, lease=lease, woken=True)
            return self._waiting.join(want)

    def leave_queue(self, waiter: Waiter) -> Lease | None:
        """Stop waiting; returns the lease that was handed over meanwhile, if any."""
        with self._lock:
            self._waiting.leave(waiter)
            return waiter.lease

    def waiting(self) -> int:
        """Calls that wait for an endpoint."""
        return self._waiting.count

    def outlook(self, want: Want) -> Outlook:
        """What a call that got no lease can hope for."""
        with self._lock:
            now = self.clock()
            due: float | None = None
            asked: float | None = None
            busy = failing = warm = untried = False
            for state in self._members.candidates(want, now):
                health = state.health
                warm = warm or health.ever_served
                if not health.is_out(now):
                    busy = busy or not state.has_room()
                    untried = untried or state not in want.tried
                    due = now if due is None else min(due, now)
                    continue
                failing = failing or health.may_be_probed()
                if health.reason == Health.FULL.name:
                    rest = health.out_until - now
                    asked = rest if asked is None else min(asked, rest)
                due = health.out_until if due is None else min(due, health.out_until)
            next_probe = max(0.0, self._last_probe + self._probe_interval - now)
            return Outlook(
                due=None if due is None else max(0.0, due - now),
                next_probe=next_probe if failing else None,
                asked=asked,
                busy=busy,
                warm=warm,
                untried=untried,
            )

    def others_remain(self, want: Want, leased: EndpointState | None) -> bool:
        """Whether an endpoint in service is left besides *leased* and those the call has tried."""
        with self._lock:
            now = self.clock()
            return any(
                state is not leased and state not in want.tried and not state.health.is_out(now)
                for state in self._members.candidates(want, now)
            )

    def has_served(self, want: Want) -> bool:
        """Whether an endpoint that the call may use has ever answered anybody."""
        with self._lock:
            return any(
                state.health.ever_served and not want.bars(state)
                for state in self._members.serving(want.model)
            )

    def probe_spread(self) -> float:
        """Seconds over which waiting calls should spread their tries while everything is out."""
        return min(2.0, self._probe_interval * max(1, self._waiting.count))

    def renew_after_fork(self) -> None:
        """In a forked child: calls of the parent take no room here, and chance is the child's own.

        Leases that were inherited stay with the states of the parent.
        """
        self._lock = threading.Lock()
        self._members.without_load()
        self._waiting.clear()
        self._rng.seed()

    # Looking in.

    def snapshot(self) -> list[dict[str, Any]]:
        """State of every member as plain JSON values, in order of membership."""
        with self._lock:
            now = self.clock()
            return [state.describe(now) for state in self._members.states.values()]

    def in_flight(self) -> int:
        """Requests under way on members."""
        return sum(state.in_flight for state in tuple(self._members.states.values()))

    # Inside. Hold the lock when calling these.

    def _acquire(self, want: Want, least_tier: int = 0) -> Lease | None:
        now, tables = self.clock(), self._members.tables(want.model)
        if least_tier:  # these first, in their order
            tables = tuple(sorted(tables, key=lambda one: one.items[0].endpoint.tier < least_tier))
        for table in tables:
            state = choose(table, want, now, self._rng, self._usual)
            if state is not None:
                return self._lease(state, want.model, now)
        return None

    def _lease(self, state: EndpointState, model: str, now: float) -> Lease:
        if not state.silent:
            state.heard = now
        state.silent += 1
        state.in_flight += 1
        stats = state.stats_for(model)
        stats.calls += 1
        return Lease(state, model, now, stats)

    def _learn(self, lease: Lease, outcome: Outcome, now: float) -> bool:
        state, stats = lease.state, lease.stats
        if outcome.failure == "cancelled":
            stats.cancelled += 1
            return False
        if outcome.first_token is not None:  # of a failure: it had none for that long
            state.observe(outcome.first_token, now)
        if not outcome.failure:
            stats.count_served(outcome.first_token, outcome.total)
            state.heard = now
            state.health.succeeded()
            if outcome.first_token is not None:
                self._usual = _average(self._usual, outcome.first_token)
            return False
        stats.count_failure(outcome.failure, ambiguous=outcome.ambiguous)
        if outcome.health is Health.MODEL:
            state.lacks[lease.model] = now + _LACKS_MODEL_FOR
        may_eject = outcome.health is not Health.SHARE or self._members.mostly_in(now)
        return state.health.failed(
            outcome.health, now, outcome.retry_after, may_eject=may_eject, started=lease.started
        )

    def _hand_over(self) -> list[Waiter]:
        return self._waiting.hand_over(self._acquire)

    def _drained(self, states: Iterable[EndpointState]) -> None:
        left = [state.endpoint for state in states]
        if self._on_drained is None or not left:
            return
        in_use = {host_of(endpoint.base_url) for endpoint in self.endpoints()}
        for endpoint in left:
            if host_of(endpoint.base_url) not in in_use:
                self._on_drained(endpoint)


def _average(before: float, now: float) -> float:
    """A slow average, which begins with its first value."""
    return now if before == math.inf else before + 0.05 * (now - before)
