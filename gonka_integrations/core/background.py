"""One daemon thread that calls something now and then, as long as anybody needs it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Protocol

from .after_fork import renew_in_children

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PeriodicThread", "Worker"]

_logger = logging.getLogger("gonka_integrations.background")


class Worker(Protocol):
    """What a `PeriodicThread` works for."""

    def work(self) -> float:
        """Does what is to be done; returns the seconds until next time."""


class _Shared:
    """What the thread and its starter share; keeps neither the worker nor the starter alive."""

    __slots__ = ("ended", "wake", "woken_at_least")

    def __init__(self) -> None:
        self.wake = threading.Event()
        self.ended = False
        self.woken_at_least = 0.0

    def end(self, _: object = None) -> None:
        """Lets the thread end as soon as it looks up."""
        self.ended = True
        self.wake.set()


class PeriodicThread:
    """Calls ``worker.work()`` again and again from a daemon thread.

    The worker is held weakly: when nobody else holds it, the thread ends at once. After a fork the
    child starts a thread of its own. Starting twice has no effect.

    Args:
        worker: Whose `work` is called.
        name: Of the thread.
        clock: Monotonic time in seconds.
    """

    def __init__(
        self, worker: Worker, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shared = _Shared()
        self._worker = weakref.ref(worker)
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        renew_in_children(self, last=True)

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive() and not self._shared.ended

    @property
    def is_ended(self) -> bool:
        """Whether the thread was told to end, and not started since."""
        return self._shared.ended

    def start(self, delay: float) -> None:
        """Starts the thread; it works first after *delay* seconds."""
        with self._lock:
            worker = self._worker()
            if worker is None or self.is_running:
                return
            self._shared = _Shared()
            self._thread = threading.Thread(
                target=_run,
                args=(self._shared, weakref.ref(worker, self._shared.end), delay, self._clock),
                name=self._name,
                daemon=True,
            )
            self._thread.start()

    def wake(self, min_delay: float = 0.0) -> None:
        """Lets the thread work now, or *min_delay* seconds after it last began to."""
        self._shared.woken_at_least = min_delay
        self._shared.wake.set()

    def end(self) -> None:
        """Tells the thread to end; does not wait for it."""
        self._shared.end()

    def join(self, patience: float) -> None:
        """Waits for the thread's end, *patience* seconds at most; not for itself."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(patience)

    async def ajoin(self, patience: float) -> None:
        """`join`, without blocking the event loop."""
        thread, ends = self._thread, self._clock() + patience
        # A thread's end sets no event of asyncio.
        while thread is not None and thread.is_alive() and self._clock() < ends:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def renew_after_fork(self) -> None:
        """In a forked child: the thread and whoever held the lock do not exist any more."""
        was_running = self._thread is not None and not self._shared.ended
        self._lock = threading.Lock()
        self._shared = _Shared()
        self._thread = None
        if was_running:
            self.start(0.0)


def _run(
    shared: _Shared,
    worker: weakref.ref[Worker],
    delay: float,
    clock: Callable[[], float],
) -> None:
    began = clock()
    while True:
        _sleep(shared, began, delay, clock)
        target = worker()
        if shared.ended or target is None:
            return
        began = clock()
        try:
            delay = target.work()
        except Exception:
            # Workers report what they expect; what is left must not end the thread for good.
            _logger.exception("A background worker failed; it will be called again")
            delay = 60.0
        del target  # nothing here may keep it alive while sleeping


def _sleep(shared: _Shared, began: float, delay: float, clock: Callable[[], float]) -> None:
    """Sleeps until *delay* after *began*, or, when woken, until the least delay is over."""
    while not shared.ended:
        left = began + delay - clock()
        if left <= 0:
            shared.wake.clear()
            return
        if shared.wake.wait(left):
            shared.wake.clear()
            delay = min(delay, shared.woken_at_least)
