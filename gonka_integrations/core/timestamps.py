"""Timestamps for signatures: strictly increasing, and near the chain's time."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TimestampSource"]


class _Ticker:
    """A clock that never shows the same nanosecond twice."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._last = 0
        self.renew_lock()

    def renew_lock(self) -> None:
        self._lock = threading.Lock()

    def tick(self) -> int:
        with self._lock:
            self._last = max(self._clock(), self._last + 1)
            return self._last


# One for the process: two sessions with one key must not use the same nanosecond either.
_PROCESS = _Ticker(time.time_ns)
if hasattr(os, "register_at_fork"):
    # The parent's other threads, one of which may hold the lock, do not exist in the child.
    os.register_at_fork(after_in_child=_PROCESS.renew_lock)


class TimestampSource:
    """Wall-clock nanoseconds that increase strictly through the whole process.

    Hosts compare a request's timestamp with the time of their latest block, refusing what is more
    than 60 s older or 30 s newer. When a chain stalls, `synchronise` moves the timestamps to its
    time, for one host or for all.

    Args:
        clock: Nanoseconds since 1970; None takes the system's, shared by all sources.
    """

    def __init__(self, clock: Callable[[], int] | None = None) -> None:
        self._ticker = _PROCESS if clock is None else _Ticker(clock)
        self._offsets: dict[str | None, int] = {}

    def next_ns(self, transfer_address: str | None = None) -> int:
        """A timestamp in nanoseconds that has not been given before."""
        return self._ticker.tick() + self.offset_ns(transfer_address)

    def offset_ns(self, transfer_address: str | None = None) -> int:
        """Nanoseconds added for *transfer_address*; those of all hosts when it has none."""
        offsets = self._offsets
        offset = offsets.get(transfer_address)
        return offsets.get(None, 0) if offset is None else offset

    def set_offset(self, offset_ns: int, transfer_address: str | None = None) -> None:
        """Adds *offset_ns* nanoseconds from now on; for every host when none is named."""
        self._offsets[transfer_address] = offset_ns

    def synchronise(self, block_time_ns: int, transfer_address: str | None = None) -> int:
        """Sets the offset so that the next timestamp is *block_time_ns*; returns the offset."""
        # From the ticker and not the clock: a clock that was set back leaves the ticker ahead.
        offset = block_time_ns - self._ticker.tick()
        self.set_offset(offset, transfer_address)
        return offset
