"""Racing: a second attempt beside one that is slow to begin, in threads or in tasks."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from typing import TYPE_CHECKING, Any

from .effects import adrive, drive

if TYPE_CHECKING:
    from .effects import Flow, Race
    from .wire import Connections


class _Threads:
    """The threads of one race, and what came of them."""

    def __init__(self, contest: Race, connections: Connections) -> None:
        self._contest = contest
        self._connections = connections
        self._lock = threading.Lock()
        self._over = False
        self._running: set[int] = set()
        self._results: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = (
            queue.SimpleQueue()
        )

    def start(self, lane: int, flow: Flow[Any]) -> None:
        self._running.add(lane)
        context = contextvars.copy_context()
        threading.Thread(
            target=context.run, args=(self._run, lane, flow), name=f"gonka-attempt-{lane}",
            daemon=True,
        ).start()  # fmt: skip

    def _run(self, lane: int, flow: Flow[Any]) -> None:
        result, error = None, None
        try:
            result = drive(flow, self._connections)
        except BaseException as raised:  # noqa: BLE001 - raised again in the caller's thread
            error = raised
        with self._lock:
            late = self._over
            if not late and (result is not None or error is not None):
                self._over = True
        if not late:
            self._results.put((lane, result, error))
        elif result is not None:
            self._dispose(result)

    def winner(self) -> Any:
        """The first result, None when all have failed."""
        outcome = self._first_outcome()
        while True:
            lane, result, error = outcome
            self._running.discard(lane)
            if error is not None:
                raise error
            if result is not None or not self._running:
                return result
            outcome = self._results.get()

    def _first_outcome(self) -> tuple[int, Any, BaseException | None]:
        try:
            return self._results.get(timeout=self._contest.after)
        except queue.Empty:
            second = self._contest.second()
        if second is not None:
            self.start(1, second)
        return self._results.get()

    def end(self, *, outrun: bool) -> None:
        """Tell those who still run, and let go of what nobody has taken."""
        with self._lock:
            self._over = True
        while not self._results.empty():
            lane, result, _ = self._results.get()
            self._running.discard(lane)
            if result is not None:
                self._dispose(result)
        for lane in self._running:
            self._contest.lose(lane, outrun)

    def _dispose(self, result: Any) -> None:
        drive(self._contest.dispose(result), self._connections)


def race(contest: Race, connections: Connections) -> Any:
    """Run *contest* in threads; returns the winner's result, None when all have failed."""
    threads = _Threads(contest, connections)
    threads.start(0, contest.first)
    won = False
    try:
        result = threads.winner()
        won = True
    finally:
        threads.end(outrun=won)
    return result


async def arace(contest: Race, connections: Connections) -> Any:
    """Run *contest* in tasks; returns the winner's result, None when all have failed."""
    tasks = [asyncio.ensure_future(adrive(contest.first, connections))]
    winner: asyncio.Future[Any] | None = None
    try:
        running, _ = set(tasks), await asyncio.wait(tasks, timeout=contest.after)
        second = None if tasks[0].done() else contest.second()
        if second is not None:
            tasks.append(asyncio.ensure_future(adrive(second, connections)))
            running.add(tasks[1])
        while running and winner is None:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in done if task.result() is not None), None)
        return None if winner is None else winner.result()
    finally:
        for lane, task in enumerate(tasks):
            if task is not winner:
                outrun = winner is not None
                await _let_go(contest, lane, task, connections, outrun=outrun)


async def _let_go(
    contest: Race,
    lane: int,
    task: asyncio.Future[Any],
    connections: Connections,
    *,
    outrun: bool,
) -> None:
    if not task.done():
        contest.lose(lane, outrun)
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled() and task.exception() is None and task.result() is not None:
        await adrive(contest.dispose(task.result()), connections)
