"""AttemptPlan: who is next, what counts as failure, when to stop. Pure.

A plan is asked for its next step: a lease on an endpoint, a pause, or None when the call has to
give up. It knows nothing of HTTP and never waits itself.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .leases import Outcome, Want
from .verdicts import Action, Health

if TYPE_CHECKING:
    from collections.abc import Callable

    from .leases import EndpointState, Lease, Outlook, Waiter
    from .pool import EndpointPool
    from .retries import RetryBudget, RetryPolicy
    from .verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for *seconds*, or until *waiter* is woken; then ask for the next step again."""

    seconds: float
    waiter: Waiter | None = None


_LOOK_AGAIN = 0.5
_SPARED = 16
_NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9a-f]{16,}|\d+")


class AttemptPlan:
    """The attempts of one call.

    Args:
        pool: Where leases come from.
        budget: What retries are paid from.
        policy: How often and how long.
        model: Model name as the caller spells it.
        deadline: Moment by the pool's clock at which the call must be over.

    Attributes:
        stopped: Why the plan has come to its end: "refused", "attempts", "deadline", "nobody",
            "full", "outage"; "" while it goes on.
        advice: What the user can do about it, from the error table.
    """

    def __init__(
        self,
        pool: EndpointPool,
        *,
        budget: RetryBudget,
        policy: RetryPolicy,
        model: str,
        deadline: float,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._pool = pool
        self._budget = budget
        self._policy = policy
        self._uniform = uniform
        self.deadline = deadline
        self.want = Want(model)
        self.stopped = ""
        self.advice = ""
        self._attempts = 0
        self._leased: EndpointState | None = None
        self._paid = False
        self._backed_off = False
        self._outage_since: float | None = None
        self._waiter: Waiter | None = None
        self._said: dict[str, EndpointState] = {}
        self._doubted: set[str] = set()
        self._resigned: set[EndpointState] = set()
        self._spared: set[EndpointState] = set()

    def next(self) -> Lease | Pause | None:
        """The next step; None when the call has to give up, see `stopped`."""
        if self._waiter is not None and self._waiter.lease is not None:
            handed, self._waiter = self._waiter.lease, None
            return self._count(handed)
        step = self._step()
        if not isinstance(step, Pause):
            self.abandon()
        return step

    def _step(self) -> Lease | Pause | None:
        now = self._pool.clock()
        if not self.stopped and now >= self.deadline:
            self.stopped = "deadline"
        if not self.stopped and self._left() < 1:
            self.stopped = "attempts"
        if self.stopped:
            return None
        if self._attempts and not self._paid:
            seconds = self._budget.take()
            if seconds:
                return self._pause(seconds, now)
            self._paid = True
        lease = self._pool.acquire(self.want, self._least_tier())
        return self._count(lease) if lease is not None else self._without_lease(now)

    def _left(self) -> int:
        """Attempts that the call may still make."""
        left = self._policy.max_retries + 1 - self._attempts
        if self._spared and (
            self._pool.others_remain(self.want, None) or self._pool.has_served(self.want)
        ):
            left += len(self._spared)
        return left

    def _least_tier(self) -> int:
        """The last attempts are kept for the tiers above: one of each gets its chance."""
        left = self._left()
        tiers = self._pool.tiers(self.want.model)
        if self._leased is None or left >= len(tiers):
            return 0
        below = sum(tier <= self._leased.endpoint.tier for tier in tiers)
        return tiers[min(len(tiers) - left, below, len(tiers) - 1)]

    def hedge(self, beside: Lease) -> Lease | None:
        """A lease for a second attempt beside one that is slow, when the budget allows it."""
        if self.stopped or self._budget.take():
            return None
        self.want.tried |= {beside.state}
        return self._pool.acquire(self.want)

    def first_token_limit(self, first_token_timeout: float) -> float:
        """Moment until which the attempt under way may wait for its first content."""
        now = self._pool.clock()
        left = self.deadline - now
        if left > 0 and self._pool.others_remain(self.want, self._leased):
            left *= self._policy.share
        return now + min(first_token_timeout, left)

    def failed(self, lease: Lease, verdict: Verdict, text: str, *, ambiguous: bool) -> bool:
        """Take in a failure of the attempt under way.

        Args:
            lease: The attempt's lease.
            verdict: From the error table.
            text: What the endpoint said.
            ambiguous: Whether it may have done the work, which the network then charges.

        Returns:
            Whether the chain's time should be learnt from the endpoint before the next attempt.
        """
        state, want = lease.state, self.want
        want.tried |= {state}
        self.advice = verdict.advice or self.advice
        self._spare(state, verdict, ambiguous=ambiguous)
        action = verdict.action
        if action is Action.STOP:
            self.stopped = "refused"
        elif action is Action.SAME_TWICE:
            self._same_twice(state, text)
            if verdict.health is Health.OK:  # it would only say so again
                want.barred |= {state}
        elif action is Action.SIMPLER and not state.bare_streams:
            state.bare_streams = True
            want.tried -= {state}
        elif action is Action.SIMPLER:
            self.stopped = "refused"
        elif action is Action.NOT_HERE:
            want.barred |= {state}
        elif action is Action.CONFIRM and state.group not in self._doubted:
            self._doubted.add(state.group)
        elif action in (Action.CONFIRM, Action.OTHER_CREDENTIALS):
            want.barred_groups |= {state.group}
        elif action is Action.RESIGN and state not in self._resigned:
            self._resigned.add(state)
            want.tried -= {state}
            return True
        if verdict.health in (Health.MODEL, Health.DENIED, Health.GONE):
            want.barred |= {state}
        charged = ambiguous and state.endpoint.kind == "participant"
        if charged and not self._policy.retry_ambiguous and not self.stopped:
            self.stopped = "refused"
            self.advice = "the host may have done the work, and retry_ambiguous is off"
        return False

    def abandon(self) -> None:
        """Leave the queue, giving back a lease that was handed over meanwhile."""
        waiter, self._waiter = self._waiter, None
        lease = None if waiter is None else self._pool.leave_queue(waiter)
        if lease is not None:
            self._pool.settle(lease, Outcome(failure="cancelled"))

    def _spare(self, state: EndpointState, verdict: Verdict, *, ambiguous: bool) -> None:
        """Do not count an endpoint that is not there, or not for us: nothing was begun.

        So a call reaches the one that works, whoever is asked first. They count once everybody
        has been asked, unless some have served before: then the call waits for their return.
        """
        unfit = verdict.health in (Health.MODEL, Health.DENIED, Health.GONE)
        absent = verdict.health is Health.HARD and not ambiguous
        if (unfit or absent) and self._policy.max_retries and len(self._spared) < _SPARED:
            self._spared.add(state)

    def _same_twice(self, state: EndpointState, text: str) -> None:
        said = _NUMBERS.sub("#", text.lower())
        if said and self._said.setdefault(said, state) is not state:
            self.stopped = "refused"

    def _count(self, lease: Lease) -> Lease:
        self._attempts += 1
        self._leased = lease.state
        self._paid = self._backed_off = False
        self._outage_since = None
        return lease

    def _pause(self, seconds: float, now: float) -> Pause:
        return Pause(max(0.001, min(seconds, self.deadline - now)), self._waiter)

    def _without_lease(self, now: float) -> Lease | Pause | None:
        outlook = self._pool.outlook(self.want)
        if outlook.due is None:
            self.stopped = "nobody"
            return None
        if outlook.busy and (outlook.untried or not self.want.tried):
            return self._queue(_LOOK_AGAIN, now)
        if outlook.due == 0.0 and self.want.tried:
            self.want.tried = frozenset()
            return self._pause(self._backoff(), now)
        self.want.tried = frozenset()
        if outlook.warm:
            return self._wait_out(outlook.due, outlook.next_probe, now)
        return self._try_cold(outlook, outlook.due, now)

    def _queue(self, seconds: float, now: float) -> Pause | None:
        self._waiter = self._waiter or self._pool.enqueue(self.want)
        if self._waiter is None:
            self.stopped = "full"
            return None
        return self._pause(seconds, now)

    def _wait_out(self, due: float, next_probe: float | None, now: float) -> Lease | Pause | None:
        """Everything is out, but has worked before: try now and then until it is back."""
        if self._outage_since is None:
            self._outage_since = now
        patience = self._outage_since + self._policy.outage_patience - now
        soonest = due if next_probe is None else min(due, next_probe)
        if patience <= 0 or soonest > min(patience, self.deadline - now):
            self.stopped = "outage"
            return None
        if next_probe is not None:
            since = self._outage_since
            lease = self._pool.probe(self.want)
            if lease is not None:
                self._outage_since = since
                return lease
        spread = self._pool.probe_spread()
        return self._queue(max(soonest, self._uniform(0.2, 1.0) * spread), now)

    def _try_cold(self, outlook: Outlook, due: float, now: float) -> Lease | Pause | None:
        """Everything is out and has never worked: a few tries, then say so."""
        policy = self._policy
        if outlook.next_probe is None:
            patience = policy.max_backoff if outlook.asked is None else policy.outage_patience
            soonest = due if outlook.asked is None else outlook.asked
            if soonest > min(patience, self.deadline - now):
                self.stopped = "outage"
                return None
            return self._queue(due, now)
        if self._attempts and not self._backed_off:
            self._backed_off = True
            return self._pause(self._backoff(), now)
        lease = self._pool.probe(self.want)
        if lease is None:
            return self._pause(outlook.next_probe + 0.01, now)
        return self._count(lease)

    def _backoff(self) -> float:
        doubled = self._policy.backoff * 2.0 ** min(self._attempts - 1, 16)
        return min(doubled, self._policy.max_backoff) * self._uniform(0.5, 1.0)
