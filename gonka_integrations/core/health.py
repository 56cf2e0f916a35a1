"""Health of one endpoint as a small state machine. Pure: time comes in with each call.

An endpoint is *in* service, or *out* until a moment. After a fault it comes back *on trial*: one
request at a time until one succeeds. The cooldown after the N-th fault in a row is
``min(1 s * 2 ** (N - 1), 60 s)``, spread by a fifth so that endpoints do not return in step. One
that kept a request waiting in vain is out for at least twice that time: trying it costs as much.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .verdicts import Health

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """When an endpoint goes out of service, and for how long. Times in seconds.

    Attributes:
        base_cooldown: Cooldown after the first fault.
        max_cooldown: Longest cooldown after faults.
        soft_limit: Soft failures in a row that count as a fault.
        share_window: Calls over which the share of failures is taken.
        share_minimum: Calls needed before the share means anything.
        max_busy: Longest time a busy endpoint is left alone when it names none.
        max_retry_after: Longest Retry-After that is obeyed.
        blocked_for: Time an endpoint in proof of compute is left alone.
        denied_for: Time an endpoint that will not take our requests is left alone.
    """

    base_cooldown: float = 1.0
    max_cooldown: float = 60.0
    soft_limit: int = 2
    share_window: int = 10
    share_minimum: int = 5
    max_busy: float = 30.0
    max_retry_after: float = 120.0
    blocked_for: float = 30.0
    denied_for: float = 600.0


_FAULTS = (Health.HARD.name, Health.SOFT.name, Health.SHARE.name, "")


class EndpointHealth:
    """What is known of one endpoint's ability to serve.

    Attributes:
        out_until: Moment at which it may be used again; 0 when in service.
        reason: Why it is out: the name of a `Health` value, "" when in service.
        on_trial: Whether it has not succeeded since its last fault.
        gone: Whether it said that it does no inference this way any more (410).
        ever_served: Whether it has ever answered.
    """

    __slots__ = (
        "_busy",
        "_faults",
        "_in_row",
        "_left_at",
        "_policy",
        "_recent",
        "_uniform",
        "ever_served",
        "gone",
        "on_trial",
        "out_until",
        "reason",
    )

    def __init__(
        self, policy: HealthPolicy, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._policy = policy
        self._uniform = uniform
        self._faults = self._busy = self._in_row = 0
        self._left_at = -1e9
        self._recent: deque[bool] = deque(maxlen=policy.share_window)
        self.out_until = 0.0
        self.reason = ""
        self.on_trial = self.gone = self.ever_served = False

    def succeeded(self) -> None:
        """The endpoint answered a request: it is fully in service."""
        self._recent.append(True)
        self.gone = False
        self.ever_served = True
        if self.reason or self.on_trial or self._in_row or self._busy:
            self._alive()

    def failed(
        self,
        health: Health,
        now: float,
        retry_after: float | None,
        *,
        may_eject: bool,
        started: float,
    ) -> bool:
        """Take in one failure.

        Of requests that were under way when it went out of service, several may fail of the same
        cause: the time out is that of one.

        Args:
            health: What the failure says of the endpoint.
            now: Current time in seconds.
            started: When the request was sent.
            retry_after: Seconds the endpoint asked to be left alone; None or 0 when it did not.
            may_eject: Whether a mere share of failures may take it out of service.

        Returns:
            Whether the endpoint has just gone out of service.
        """
        if health in (Health.OK, Health.MODEL):
            self._alive()
            return False
        late = started < self._left_at
        if late and health is Health.FULL and not retry_after:
            return False
        left_alone = self._left_alone(health, retry_after)
        if left_alone is not None:
            # A failing endpoint that names a time is as one that is busy: obeyed, not probed.
            named = health.name in _FAULTS
            return self._leave(now, left_alone, Health.FULL if named else health)
        self._in_row += 1
        self._recent.append(False)
        if late:
            return False
        if self._is_fault(health, may_eject=may_eject):
            self._faults += 1
            self.on_trial = True
            wasted = now - started if health is Health.HARD else 0.0
            return self._leave(now, self._cooldown(2.0 * wasted), health)
        return False

    def is_out(self, now: float) -> bool:
        """Whether it may not be used now."""
        return self.out_until > now

    def may_be_probed(self) -> bool:
        """Whether trying it before its time does no harm: it is failing, not refusing or busy."""
        return self.reason in _FAULTS

    def _left_alone(self, health: Health, retry_after: float | None) -> float | None:
        policy = self._policy
        if health is Health.GONE:
            self.gone = True
        if health in (Health.GONE, Health.DENIED):
            return policy.denied_for
        if retry_after:
            return min(retry_after, policy.max_retry_after)
        if health is Health.BLOCKED:
            return policy.blocked_for
        if health is Health.FULL:
            self._busy += 1
            longest = min(float(2 ** min(self._busy - 1, 16)), policy.max_busy)
            return longest * self._uniform(0.8, 1.2)
        return None

    def _is_fault(self, health: Health, *, may_eject: bool) -> bool:
        if health is Health.HARD or self.on_trial:
            return True
        if health is Health.SOFT:
            return self._in_row >= self._policy.soft_limit
        failures = self._recent.count(False)
        enough = len(self._recent) >= self._policy.share_minimum
        return may_eject and enough and failures * 2 > len(self._recent)

    def _cooldown(self, at_least: float) -> float:
        doubled = self._policy.base_cooldown * 2.0 ** min(self._faults - 1, 16)
        longest = self._policy.max_cooldown
        return min(max(doubled, at_least), longest) * self._uniform(0.8, 1.2)

    def _alive(self) -> None:
        """It answers. What it asked for, to be left alone, stays in force."""
        self._faults = self._busy = self._in_row = 0
        self.on_trial = False
        if self.reason in _FAULTS:
            self.out_until = 0.0
            self.reason = ""

    def _leave(self, now: float, seconds: float, health: Health) -> bool:
        was_in = not self.is_out(now)
        self._left_at = now
        if now + seconds > self.out_until:
            self.out_until = now + seconds
            self.reason = health.name
        return was_in
