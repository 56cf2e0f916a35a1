"""Calls that wait for an endpoint, first come, first served. Not locked: the pool is."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .leases import Waiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .leases import Lease, Want


class WaitingLine:
    """A queue for each model.

    Args:
        limit: Calls that may wait at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self.queues: dict[str, deque[Waiter]] = {}

    def join(self, want: Want) -> Waiter | None:
        """Wait, None when too many do."""
        if self.count >= self.limit:
            return None
        waiter = Waiter(want)
        self.queues.setdefault(want.model, deque()).append(waiter)
        self.count += 1
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """Wait no more; nothing happens to a waiter that was served or left before."""
        if waiter.lease is not None or waiter.abandoned:
            return
        waiter.abandoned = True
        queue = self.queues[waiter.want.model]
        queue.remove(waiter)
        self.count -= 1
        if not queue:
            del self.queues[waiter.want.model]

    def hand_over(self, acquire: Callable[[Want], Lease | None]) -> list[Waiter]:
        """Give leases to those whose turn it is.

        Returns:
            Who got one, to be woken once the pool's lock is free.
        """
        served: list[Waiter] = []
        for model, queue in list(self.queues.items()):
            while queue and (lease := acquire(queue[0].want)) is not None:
                waiter = queue.popleft()
                waiter.lease = lease
                self.count -= 1
                served.append(waiter)
            if not queue:
                del self.queues[model]
        return served

    def clear(self) -> None:
        """Forget everybody."""
        self.queues, self.count = {}, 0


def wake(waiters: Iterable[Waiter]) -> None:
    """Tell waiters that they have their leases."""
    for waiter in waiters:
        waiter.woken = True
        waiter.wake()
