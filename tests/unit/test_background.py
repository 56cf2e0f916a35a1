"""The background thread: works, is woken, ends with its worker, lives again in children."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref

import pytest

from gonka_integrations.core.background import PeriodicThread

PATIENCE = 10.0


class Worker:
    """Counts its calls and says so."""

    def __init__(self, delay: float = 0.0, *, fails: bool = False) -> None:
        self.delay = delay
        self.fails = fails
        self.calls = 0
        self.called = threading.Semaphore(0)
        self.thread = PeriodicThread(self, "test-worker")

    def work(self) -> float:
        self.calls += 1
        self.called.release()
        if self.fails:
            raise RuntimeError("worker failed")
        return self.delay

    def wait(self, calls: int = 1) -> None:
        for _ in range(calls):
            assert self.called.acquire(timeout=PATIENCE)


def test_it_works_again_and_again_until_it_is_ended() -> None:
    worker = Worker(0.0)
    worker.thread.start(0.0)
    worker.wait(calls=5)
    assert worker.thread.is_running
    worker.thread.end()
    worker.thread.join(PATIENCE)
    assert not worker.thread.is_running
    assert not any(thread.name == "test-worker" for thread in threading.enumerate())


def test_starting_twice_has_no_effect() -> None:
    worker = Worker(1_000.0)
    worker.thread.start(0.0)
    worker.wait()
    worker.thread.start(0.0)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("test-worker") == 1
    worker.thread.end()
    worker.thread.join(PATIENCE)


def test_it_can_be_started_after_its_end() -> None:
    worker = Worker(1_000.0)
    for _ in range(3):
        worker.thread.start(0.0)
        worker.wait()
        worker.thread.end()
        worker.thread.join(PATIENCE)
    assert worker.calls == 3


def test_it_is_woken_from_a_long_sleep() -> None:
    worker = Worker(1_000.0)
    worker.thread.start(1_000.0)
    worker.thread.wake()
    worker.wait()
    worker.thread.wake()
    worker.wait()
    worker.thread.end()
    worker.thread.join(PATIENCE)


def test_waking_does_not_make_it_faster_than_allowed() -> None:
    worker = Worker(1_000.0)
    worker.thread.start(0.0)
    worker.wait()
    for _ in range(100):
        worker.thread.wake(min_delay=1_000.0)
    assert worker.calls == 1
    worker.thread.wake(min_delay=0.0)
    worker.wait()
    worker.thread.end()
    worker.thread.join(PATIENCE)


def test_a_worker_that_fails_is_called_again(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(0.0, fails=True)
    worker.thread.start(0.0)
    worker.wait()
    worker.thread.wake()
    worker.wait()
    assert worker.thread.is_running
    assert "A background worker failed" in caplog.text
    worker.thread.end()
    worker.thread.join(PATIENCE)


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_a_forgotten_worker_lets_the_thread_end(in_a_cycle: bool) -> None:
    worker = Worker(1_000.0)
    worker.thread.start(0.0)
    worker.wait()
    if in_a_cycle:
        worker.myself = worker  # type: ignore[attr-defined]
    running = next(thread for thread in threading.enumerate() if thread.name == "test-worker")
    gone = weakref.ref(worker)
    del worker
    gc.collect()
    running.join(PATIENCE)
    assert gone() is None
    assert not running.is_alive()


async def test_waiting_for_the_end_does_not_block_the_loop() -> None:
    worker = Worker(1_000.0)
    worker.thread.start(0.0)
    await asyncio.to_thread(worker.wait)
    worker.thread.end()
    await worker.thread.ajoin(PATIENCE)
    assert not worker.thread.is_running
    await worker.thread.ajoin(PATIENCE)


def test_it_never_waits_for_itself() -> None:
    class Ending(Worker):
        def work(self) -> float:
            self.thread.end()
            self.thread.join(PATIENCE)
            return super().work()

    worker = Ending()
    worker.thread.start(0.0)
    worker.wait()
    worker.thread.join(PATIENCE)
    assert not worker.thread.is_running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_thread_of_its_own() -> None:
    worker, idle = Worker(1_000.0), Worker(1_000.0)
    worker.thread.start(0.0)
    worker.wait()
    with worker.thread._lock:
        child = os.fork()
        if child == 0:
            works = worker.called.acquire(timeout=PATIENCE) and worker.thread.is_running
            os._exit(0 if works and not idle.thread.is_running else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    worker.thread.end()
    worker.thread.join(PATIENCE)
