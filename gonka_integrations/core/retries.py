"""How often a call is tried again, and what a session may spend on that. Pure."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .after_fork import renew_in_children

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long a call is tried. Times in seconds.

    Attributes:
        max_retries: Attempts after the first, over all endpoints.
        retry_ambiguous: Whether to repeat a signed request that a host may have worked on already,
            which the network then charges twice.
        backoff: Pause before an endpoint is tried again by the same call; doubles each time.
        max_backoff: Longest such pause.
        outage_patience: How long a call waits for a pool that has worked before to come back.
        share: Part of the remaining time that one attempt may wait for its first content while
            other endpoints remain.
    """

    max_retries: int = 4
    retry_ambiguous: bool = True
    backoff: float = 0.25
    max_backoff: float = 5.0
    outage_patience: float = 30.0
    share: float = 0.5

    def with_retries(self, max_retries: int) -> RetryPolicy:
        """The same with another number of retries."""
        return replace(self, max_retries=max_retries)


class RetryBudget:
    """A token bucket for the retries of a session, so that they do not double a sick pool's load.

    Retries are delayed when it is empty, never refused. Half a token comes back with each call
    that succeeds, and a few with each second.

    Args:
        capacity: Most tokens it holds; it starts full.
        per_second: Tokens that come back with time.
        per_success: Tokens that come back with a success.
    """

    def __init__(
        self,
        capacity: float = 20.0,
        per_second: float = 5.0,
        per_success: float = 0.5,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._per_second = per_second
        self._per_success = per_success
        self._clock = clock
        self._tokens = capacity
        self._seen = clock()
        self.renew_after_fork()
        renew_in_children(self)

    def renew_after_fork(self) -> None:
        """In a forked child: the thread that held the lock may not be here."""
        self._lock = threading.Lock()

    def take(self) -> float:
        """Take a token; returns 0.0, or the seconds after which to ask again."""
        with self._lock:
            now = self._clock()
            gained = (now - self._seen) * self._per_second
            self._tokens = min(self._capacity, self._tokens + gained)
            self._seen = now
            if self._tokens >= 1.0:
                self._tokens -= 1.0
                return 0.0
            return (1.0 - self._tokens) / self._per_second

    def deposit(self) -> None:
        """A call has succeeded."""
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + self._per_success)
