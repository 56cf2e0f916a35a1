"""Sessions outlive their last model for a while.

Configurable models are made anew for each call, and sessions are shared weakly: without this, each
call would discover the network and connect again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

from ..core.after_fork import renew_in_children

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Lingering(Generic[T]):
    """Holds objects for a while after each use.

    Args:
        seconds: How long.
        limit: How many at most; the one whose use is longest ago goes first.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, seconds: float, limit: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._limit = limit
        self._clock = clock
        self._until: OrderedDict[int, tuple[float, T]] = OrderedDict()
        self.renew_after_fork()
        renew_in_children(self)

    def renew_after_fork(self) -> None:
        """In a forked child: no thread is here, and nobody holds the lock."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def hold(self, used: T) -> None:
        """Hold *used*, from now on."""
        with self._changed:
            self._until.pop(id(used), None)
            self._until[id(used)] = (self._clock() + self._seconds, used)
            dropped = self._until.popitem(last=False) if len(self._until) > self._limit else None
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="gonka-lingering", daemon=True
                )
                self._thread.start()
        del dropped  # its end may take a while, and may use this object: not under the lock

    def release(self, used: T) -> None:
        """Hold *used* no longer."""
        with self._changed:
            self._until.pop(id(used), None)
            self._changed.notify()

    def clear(self) -> None:
        """Hold nothing longer."""
        with self._changed:
            held = list(self._until.values())
            self._until.clear()
            self._changed.notify()
        del held  # outside the lock, as above

    def sweep(self) -> float | None:
        """Let go of what is due.

        Returns:
            Seconds until the next is due, None when nothing is held.
        """
        with self._changed:
            now, due = self._clock(), []
            for key, (until, used) in list(self._until.items()):
                if until <= now:
                    due.append(used)
                    del self._until[key]
            first = next(iter(self._until.values()), None)
            if first is None:
                self._thread = None
        del due  # outside the lock, as above
        return None if first is None else max(0.0, first[0] - now)

    def _run(self) -> None:
        while (seconds := self.sweep()) is not None:
            with self._changed:
                if self._until:
                    self._changed.wait(seconds)
