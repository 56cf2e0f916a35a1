"""A second attempt beside a slow one: who wins, who is told, and that nothing is left running."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest

from gonka_integrations.core.connections import SyncConnections
from gonka_integrations.core.connections_async import AsyncConnections
from gonka_integrations.core.effects import Compute, Park, Race, adrive, drive
from gonka_integrations.core.network import tls_context

Lane = Generator[Any, Any, Any]
SHORT = 0.01


def lane(
    result: Any = None, steps: int = 0, error: BaseException | None = None,
    until: Callable[[], bool] = lambda: False,
) -> Lane:  # fmt: skip
    """A flow that takes its steps, or fewer when *until* says so, and ends as told."""
    for _ in range(steps):
        if until():
            break
        yield Park(None, SHORT)
    if error is not None:
        raise error
    return result


class Contest:
    """A race that notes what it is told."""

    def __init__(self, first: Lane, second: Lane | None = None, after: float = 2 * SHORT) -> None:
        self.lost: list[tuple[int, bool]] = []
        self.disposed: list[Any] = []
        self.seconds_made = 0
        self._second = second
        self.race = Race(first, after, self._make_second, self._lose, self._dispose)

    def _make_second(self) -> Lane | None:
        self.seconds_made += 1
        return self._second

    def _lose(self, number: int, outrun: bool) -> None:
        self.lost.append((number, outrun))

    def _dispose(self, result: Any) -> Lane:
        self.disposed.append(result)
        return
        yield

    def flow(self) -> Lane:
        return (yield self.race)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[[Contest], Any]:
    if request.param == "sync":
        return lambda contest: drive(contest.flow(), SyncConnections(tls_context))
    return lambda contest: asyncio.run(adrive(contest.flow(), AsyncConnections(tls_context)))


def eventually(condition: Callable[[], object]) -> None:
    ends = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_a_quick_one_runs_alone(run: Any) -> None:
    contest = Contest(lane("first"), lane("second"), after=5.0)
    assert run(contest) == "first"
    assert contest.seconds_made == 0
    assert contest.lost == []


def test_a_slow_one_is_outrun(run: Any) -> None:
    contest = Contest(lane("first", steps=100, until=lambda: bool(contest.lost)), lane("second"))
    assert run(contest) == "second"
    assert contest.lost == [(0, True)]


def test_the_slow_one_may_still_win(run: Any) -> None:
    contest = Contest(
        lane("first", steps=6), lane("second", steps=100, until=lambda: bool(contest.lost))
    )
    assert run(contest) == "first"
    assert contest.lost == [(1, True)]


def test_there_may_be_nobody_else(run: Any) -> None:
    contest = Contest(lane("first", steps=6))
    assert run(contest) == "first"
    assert contest.seconds_made == 1


def test_one_that_fails_at_once_is_not_raced(run: Any) -> None:
    contest = Contest(lane(None), lane("second"), after=5.0)
    assert run(contest) is None
    assert contest.seconds_made == 0


def test_a_failure_leaves_it_to_the_other(run: Any) -> None:
    assert run(Contest(lane("first", steps=8), lane(None))) == "first"
    assert run(Contest(lane(None, steps=6), lane("second", steps=8))) == "second"


def test_both_may_fail(run: Any) -> None:
    contest = Contest(lane(None, steps=6), lane(None))
    assert run(contest) is None
    assert contest.lost == []


def test_an_error_ends_it(run: Any) -> None:
    contest = Contest(
        lane("first", steps=100, until=lambda: bool(contest.lost)), lane(error=ValueError("odd"))
    )
    with pytest.raises(ValueError, match="odd"):
        run(contest)
    assert [number for number, _ in contest.lost] == [0]


def test_a_result_that_comes_too_late_is_let_go(run: Any) -> None:
    """In threads the loser may have its answer before it hears that it has lost."""
    before = threading.active_count()  # test runners have threads of their own
    contest = Contest(lane("first", steps=5), lane("second"))
    assert run(contest) == "second"
    if contest.lost == [(0, True)]:
        eventually(lambda: threading.active_count() <= before or contest.disposed)


def test_context_variables_reach_the_threads() -> None:
    import contextvars

    seen: list[str] = []
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")

    def first() -> Lane:
        yield Compute(lambda: seen.append(variable.get()))
        return "done"

    assert drive(Contest(first()).flow(), SyncConnections(tls_context)) == "done"
    assert seen == ["mine"]


async def test_a_cancelled_race_is_nobodys_defeat() -> None:
    first, second = lane("first", steps=1000), lane("second", steps=1000)
    contest = Contest(first, second, after=SHORT)
    task = asyncio.ensure_future(adrive(contest.flow(), AsyncConnections(tls_context)))
    await asyncio.sleep(5 * SHORT)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert contest.lost == [(0, False), (1, False)]
    assert first.gi_frame is None
    assert second.gi_frame is None


def test_an_interrupted_race_stops_its_threads() -> None:
    contest = Contest(
        lane("first", steps=1000, until=lambda: bool(contest.lost)), None, after=SHORT
    )

    def interrupting() -> Lane | None:
        raise KeyboardInterrupt

    contest.race.second = interrupting
    with pytest.raises(KeyboardInterrupt):
        drive(contest.flow(), SyncConnections(tls_context))
    assert contest.lost == [(0, False)]
    eventually(lambda: contest.disposed == ["first"])


def test_an_answer_that_came_while_it_was_interrupted_is_let_go() -> None:
    contest = Contest(lane("first", steps=3), None, after=SHORT)

    def interrupting() -> Lane | None:
        eventually(lambda: not [t for t in threading.enumerate() if "gonka-attempt" in t.name])
        raise KeyboardInterrupt

    contest.race.second = interrupting
    with pytest.raises(KeyboardInterrupt):
        drive(contest.flow(), SyncConnections(tls_context))
    assert contest.disposed == ["first"]
    assert contest.lost == []
