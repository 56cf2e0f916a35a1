"""EndpointPool: who is a member, who is healthy, who is busy, who is next.

Choice is by power of two: two endpoints are drawn by weight and the one with the smaller
``EWMA latency * (1 + in flight * mean weight / weight)`` is leased. All state changes happen under
one lock that is never held during I/O; sync threads and event loops share a pool.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .after_fork import renew_in_children
from .health import EndpointHealth, HealthPolicy
from .leases import EndpointState, Lease, Outcome, Outlook, Waiter, Want
from .selection import WeightedTable
from .urls import host_of
from .verdicts import Health

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .endpoints import Endpoint

__all__ = ["EndpointPool", "EndpointState", "Lease", "Outcome", "Outlook", "Waiter", "Want"]

_DRAWS = 16
_REMEMBERED_MODELS = 256
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
        self._policy = policy or HealthPolicy()
        self._rng = rng or random.Random()
        self._probe_interval = probe_interval
        self._queue_limit = queue_limit
        self._on_drained = on_drained
        self._observe = observe
        self._lock = threading.Lock()
        self._states: dict[str, EndpointState] = {}
        self._tables: dict[str, tuple[WeightedTable[EndpointState], ...]] = {}
        self._waiting: dict[str, deque[Waiter]] = {}
        self._waiting_count = 0
        self._last_probe = -1e9
        renew_in_children(self)

    # Membership.

    def replace(self, endpoints: Iterable[Endpoint]) -> tuple[list[Endpoint], list[Endpoint]]:
        """Set who is a member; whoever stays keeps health, load and history.

        Returns:
            The endpoints that joined, and those that left.
        """
        joined: list[Endpoint] = []
        with self._lock:
            before, self._states = self._states, {}
            for endpoint in endpoints:
                # One that is named twice is one.
                state = before.pop(endpoint.identity, None) or self._states.get(endpoint.identity)
                if state is None:
                    joined.append(endpoint)
                    state = EndpointState(endpoint, EndpointHealth(self._policy, self._rng.uniform))
                state.endpoint, state.group = endpoint, endpoint.credentials.group
                self._states[endpoint.identity] = state
            for state in before.values():
                state.member = False
            self._tables = {}
            woken = self._hand_over()
        self._drained([state for state in before.values() if state.in_flight == 0])
        _wake(woken)
        return joined, [state.endpoint for state in before.values()]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The members."""
        return tuple(state.endpoint for state in tuple(self._states.values()))

    def models(self) -> tuple[str, ...]:
        """Model names that some member is known to serve, sorted."""
        names: set[str] = set()
        for endpoint in self.endpoints():
            names.update(endpoint.models or (), endpoint.model_map)
        return tuple(sorted(names))

    def serves(self, model: str) -> bool:
        """Whether some member may serve *model*."""
        return any(len(table) for table in self._tiers(model))

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
            state = self._states.get(identity)
            if state is None:
                return
            state.excuses = dict(excuses)
            for model, taken in serves.items():
                if taken:
                    state.lacks.pop(model, None)
                else:
                    state.lacks[model] = self.clock() + seconds
            woken = self._hand_over() if self._waiting_count else []
        _wake(woken)

    def lacks(self, model: str) -> bool:
        """Whether every member that might serve *model* has said that it does not."""
        now = self.clock()
        members = [state for table in self._tiers(model) for state in table.items]
        return bool(members) and all(state.lacks.get(model, 0.0) > now for state in members)

    def excuses(self, model: str) -> list[str]:
        """Why members that might serve *model* do not now, when none does and some say why."""
        if not self.lacks(model):
            return []
        members = [state for table in self._tiers(model) for state in table.items]
        return [f"{one.endpoint}: {one.excuses[model]}" for one in members if model in one.excuses]

    def gone(self, model: str) -> bool:
        """Whether every member that might serve *model* has said that it infers no more."""
        members = [state for table in self._tiers(model) for state in table.items]
        return bool(members) and all(state.health.gone for state in members)

    # Leases.

    def tiers(self, model: str) -> tuple[int, ...]:
        """Tiers with members that may serve *model*, lowest first."""
        return tuple(table.items[0].endpoint.tier for table in self._tiers(model))

    def acquire(self, want: Want, least_tier: int = 0) -> Lease | None:
        """Lease the best endpoint that is in service and has room, None when there is none.

        Args:
            want: What is looked for.
            least_tier: Tiers below are passed over while one above can serve.
        """
        with self._lock:
            return self._acquire(want, self.clock(), least_tier)

    def probe(self, want: Want) -> Lease | None:
        """Lease the failing endpoint that is due soonest, though not yet due.

        Tries are spaced by the probe interval over the whole pool, so that an outage is noticed
        to be over at once and yet not made worse.
        """
        with self._lock:
            now = self.clock()
            if now - self._last_probe < self._probe_interval:
                return None
            best: EndpointState | None = None
            for state in self._candidates(want):
                if state.in_flight == 0 and state.health.may_be_probed():
                    due = state.health.out_until
                    if best is None or due < best.health.out_until:
                        best = state
            if best is None:
                return None
            self._last_probe = now
            return self._lease(best, want.model, now)

    def settle(self, lease: Lease, outcome: Outcome) -> bool:
        """Give a lease back with what became of it. Later settlements of the same do nothing.

        Returns:
            Whether the endpoint has just gone out of service.
        """
        with self._lock:
            if lease.settled:
                return False
            lease.settled = True
            state = lease.state
            state.in_flight -= 1
            now = self.clock()
            ejected = self._learn(lease, outcome, now)
            drained = state.in_flight == 0 and not state.member
            woken = self._hand_over() if self._waiting_count else []
        if drained:
            self._drained([state])
        if woken:
            _wake(woken)
        if self._observe is not None:
            self._observe(lease, outcome)
        return ejected

    # Waiting.

    def enqueue(self, want: Want) -> Waiter | None:
        """Queue for an endpoint, None when the queue is full."""
        with self._lock:
            lease = self._acquire(want, self.clock())
            if lease is not None:  # one became free after the caller had found none
                return Waiter(want, lease=lease, woken=True)
            if self._waiting_count >= self._queue_limit:
                return None
            waiter = Waiter(want)
            self._waiting.setdefault(want.model, deque()).append(waiter)
            self._waiting_count += 1
            return waiter

    def leave_queue(self, waiter: Waiter) -> Lease | None:
        """Stop waiting; returns the lease that was handed over meanwhile, if any."""
        with self._lock:
            if waiter.lease is None and not waiter.abandoned:
                waiter.abandoned = True
                queue = self._waiting[waiter.want.model]
                queue.remove(waiter)
                self._waiting_count -= 1
                if not queue:
                    del self._waiting[waiter.want.model]
            return waiter.lease

    def outlook(self, want: Want) -> Outlook:
        """What a call that got no lease can hope for."""
        with self._lock:
            now = self.clock()
            due: float | None = None
            busy = failing = warm = untried = False
            for state in self._candidates(want):
                health = state.health
                warm = warm or health.ever_served
                if not health.is_out(now):
                    busy = busy or not state.has_room()
                    untried = untried or state not in want.tried
                    due = now if due is None else min(due, now)
                    continue
                failing = failing or health.may_be_probed()
                due = health.out_until if due is None else min(due, health.out_until)
            next_probe = max(0.0, self._last_probe + self._probe_interval - now)
            return Outlook(
                due=None if due is None else max(0.0, due - now),
                next_probe=next_probe if failing else None,
                busy=busy,
                warm=warm,
                untried=untried,
            )

    def others_remain(self, want: Want, leased: EndpointState | None) -> bool:
        """Whether an endpoint in service is left besides *leased* and those the call has tried."""
        with self._lock:
            now = self.clock()
            return any(
                state is not leased
                and state not in want.tried
                and not state.health.is_out(now)
                and not want.bars(state)
                and state.lacks.get(want.model, 0.0) <= now
                for table in self._tiers(want.model)
                for state in table.items
            )

    def has_served(self, want: Want) -> bool:
        """Whether an endpoint that the call may use has ever answered anybody."""
        with self._lock:
            return any(
                state.health.ever_served and not want.bars(state)
                for table in self._tiers(want.model)
                for state in table.items
            )

    def probe_spread(self) -> float:
        """Seconds over which waiting calls should spread their tries while everything is out."""
        return min(2.0, self._probe_interval * max(1, self._waiting_count))

    def renew_after_fork(self) -> None:
        """In a forked child: calls of the parent take no room here, and chance is the child's own.

        Leases that were inherited stay with the states of the parent.
        """
        self._lock = threading.Lock()
        self._states = {name: state.without_load() for name, state in self._states.items()}
        self._tables, self._waiting, self._waiting_count = {}, {}, 0
        self._rng.seed()

    # Looking in.

    def snapshot(self) -> list[dict[str, Any]]:
        """State of every member as plain JSON values, in order of membership."""
        with self._lock:
            now = self.clock()
            return [state.describe(now) for state in self._states.values()]

    def in_flight(self) -> int:
        """Requests under way on members."""
        return sum(state.in_flight for state in tuple(self._states.values()))

    # Inside. Hold the lock when calling these.

    def _tiers(self, model: str) -> tuple[WeightedTable[EndpointState], ...]:
        found = self._tables.get(model)
        if found is None:
            found = build_tables(tuple(self._states.values()), model)
            if len(self._tables) >= _REMEMBERED_MODELS:
                self._tables.clear()
            self._tables[model] = found
        return found

    def _candidates(self, want: Want) -> list[EndpointState]:
        now = self.clock()
        return [
            state
            for table in self._tiers(want.model)
            for state in table.items
            if not want.bars(state) and state.lacks.get(want.model, 0.0) <= now
        ]

    def _acquire(self, want: Want, now: float, least_tier: int = 0) -> Lease | None:
        tables = self._tiers(want.model)
        if least_tier:  # these first, in their order
            tables = tuple(sorted(tables, key=lambda one: one.items[0].endpoint.tier < least_tier))
        for table in tables:
            state = self._pick(table, want, now)
            if state is not None:
                return self._lease(state, want.model, now)
        return None

    def _lease(self, state: EndpointState, model: str, now: float) -> Lease:
        state.in_flight += 1
        stats = state.stats_for(model)
        stats.calls += 1
        return Lease(state, model, now, stats)

    def _pick(
        self, table: WeightedTable[EndpointState], want: Want, now: float
    ) -> EndpointState | None:
        first: EndpointState | None = None
        draw = self._rng.random
        if len(table) > 2:  # noqa: PLR2004 - fewer are compared whole
            for _ in range(_DRAWS):
                state = table.draw(draw)
                if state is not first and state.usable(want, now):
                    if first is not None:
                        return state if state.cost() < first.cost() else first
                    first = state
        return self._scan(table.items, want, now) if first is None else first

    def _scan(
        self, states: Sequence[EndpointState], want: Want, now: float
    ) -> EndpointState | None:
        usable = [state for state in states if state.usable(want, now)]
        if len(usable) < 2:  # noqa: PLR2004 - nothing to compare
            return usable[0] if usable else None
        weights = [state.endpoint.weight for state in usable]
        one, other = self._rng.choices(usable, weights, k=2)
        return other if other.cost() < one.cost() else one

    def _learn(self, lease: Lease, outcome: Outcome, now: float) -> bool:
        state, stats = lease.state, lease.stats
        if outcome.failure == "cancelled":
            stats.cancelled += 1
            return False
        if not outcome.failure:
            stats.served += 1
            state.health.succeeded()
            if outcome.first_token is not None:
                stats.first_token.add(outcome.first_token)
                state.observe(outcome.first_token)
            if outcome.total is not None:
                stats.total.add(outcome.total)
            return False
        stats.count_failure(outcome.failure)
        if outcome.first_token is not None:  # it had none for that long
            state.observe(outcome.first_token)
        stats.ambiguous += outcome.ambiguous
        if outcome.health is Health.MODEL:
            state.lacks[lease.model] = now + _LACKS_MODEL_FOR
        may_eject = outcome.health is not Health.SHARE or self._may_eject()
        return state.health.failed(outcome.health, now, outcome.retry_after, may_eject=may_eject)

    def _may_eject(self) -> bool:
        """Whether less than half of the weight is out: a mere share of failures needs that."""
        now = self.clock()
        out = total = 0.0
        for state in self._states.values():
            total += state.endpoint.weight
            out += state.endpoint.weight if state.health.is_out(now) else 0.0
        return out * 2 < total

    def _hand_over(self) -> list[Waiter]:
        now = self.clock()
        woken: list[Waiter] = []
        for model, queue in list(self._waiting.items()):
            while queue:
                lease = self._acquire(queue[0].want, now)
                if lease is None:
                    break
                waiter = queue.popleft()
                waiter.lease = lease
                self._waiting_count -= 1
                woken.append(waiter)
            if not queue:
                del self._waiting[model]
        return woken

    def _drained(self, states: Iterable[EndpointState]) -> None:
        left = [state.endpoint for state in states]
        if self._on_drained is None or not left:
            return
        in_use = {host_of(endpoint.base_url) for endpoint in self.endpoints()}
        for endpoint in left:
            if host_of(endpoint.base_url) not in in_use:
                self._on_drained(endpoint)


def build_tables(
    states: Sequence[EndpointState], model: str
) -> tuple[WeightedTable[EndpointState], ...]:
    """Tables of the states that may serve *model*, one for each tier, lowest first."""
    tiers: dict[int, list[EndpointState]] = {}
    for state in states:
        if state.endpoint.serves(model):
            tiers.setdefault(state.endpoint.tier, []).append(state)
    tables = []
    for _, members in sorted(tiers.items()):
        weights = [state.endpoint.weight for state in members]
        mean = sum(weights) / len(weights)
        for state in members:
            state.scale = mean / state.endpoint.weight
        tables.append(WeightedTable(members, weights))
    return tuple(tables)


def _wake(waiters: Iterable[Waiter]) -> None:
    for waiter in waiters:
        waiter.woken = True
        waiter.wake()
