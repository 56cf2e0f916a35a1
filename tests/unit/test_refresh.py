"""RefreshManager: what it applies, what it refuses, whom it tells; discovery is scripted."""

from __future__ import annotations

import gc
import threading
import weakref
from datetime import UTC, datetime
from typing import Any

import pytest

from gonka_integrations.core.epochs import EpochInfo
from gonka_integrations.core.participants import GonkaParticipant, ParticipantSet
from gonka_integrations.core.refresh import RefreshManager, RefreshResult
from gonka_integrations.errors import GonkaConfigError, GonkaDiscoveryError, GonkaRefreshError

NOW = datetime(2026, 8, 20, tzinfo=UTC)


def a_set(epoch: int, *names: str, url: str = "http://{}") -> ParticipantSet:
    hosts = tuple(GonkaParticipant(name, url.format(name), epoch_id=epoch) for name in names)
    return ParticipantSet(epoch, hosts, source_url="http://source")


def info(epoch: int, height: int = 1_000, change: int = 100_000) -> EpochInfo:
    stages = {"set_new_validators": 0}
    return EpochInfo(height, epoch, "Inference", stages, {"set_new_validators": change})


class Scripted:
    """Discovery that answers from lists."""

    def __init__(self, sets: list[Any], infos: list[Any] | None = None) -> None:
        self.sets = sets
        self.infos = infos or []
        self.distrusted: list[str] = []

    def run(self, flow: Any) -> Any:
        try:
            next(flow)
        except StopIteration as stop:
            return stop.value
        raise AssertionError

    async def arun(self, flow: Any) -> Any:
        return self.run(flow)

    def participants_flow(self) -> Any:
        return self._next(self.sets)

    def epoch_flow(self) -> Any:
        return self._next(self.infos)

    def distrust(self, url: str) -> None:
        self.distrusted.append(url)

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
        yield


class Setup:
    def __init__(self, *sets: Any, infos: list[Any] | None = None) -> None:
        self.discovery = Scripted(list(sets), infos)
        self.applied: list[ParticipantSet] = []
        self.changes: list[tuple[int | None, int, int]] = []
        self.ranges: list[tuple[float, float]] = []
        self.time = 0.0
        self.manager = RefreshManager(
            discovery=self.discovery,  # type: ignore[arg-type]
            apply=self.applied.append,
            clock=lambda: self.time,
            now=lambda: NOW,
            uniform=self.uniform,
        )
        self.manager.on_epoch_change = lambda old, new, hosts: self.changes.append(
            (old, new, len(hosts))
        )

    def uniform(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return high

    def poll(self) -> float:
        return self.manager.work()  # as the thread does it


FAILED = GonkaDiscoveryError("source is down")


def test_the_first_refresh() -> None:
    setup = Setup(a_set(5, "a", "b"))
    assert setup.manager.current_epoch is setup.manager.last_refresh is None
    assert setup.manager.participants == ()
    result = setup.manager.refresh_now()
    assert result == RefreshResult(
        success=True, epoch_changed=True, new_epoch=5, participants_added=2
    )
    assert setup.manager.current_epoch == 5
    assert setup.manager.last_refresh == NOW
    assert len(setup.manager.participants) == len(setup.applied[0]) == 2
    assert setup.changes == []  # there was no epoch before


def test_a_new_epoch() -> None:
    setup = Setup(a_set(5, "a", "b"), a_set(6, "b", "c", "d"))
    setup.manager.refresh_now()
    result = setup.manager.refresh_now()
    assert (result.old_epoch, result.new_epoch, result.epoch_changed) == (5, 6, True)
    assert (result.participants_added, result.participants_removed) == (2, 1)
    assert setup.changes == [(5, 6, 3)]


def test_another_url_is_another_participant() -> None:
    setup = Setup(a_set(5, "a"), a_set(5, "a", url="https://{}"))
    setup.manager.refresh_now()
    result = setup.manager.refresh_now()
    assert (result.participants_added, result.participants_removed) == (1, 1)
    assert not result.epoch_changed
    assert len(setup.applied) == 2


def test_nothing_new_is_not_applied_again() -> None:
    setup = Setup(a_set(5, "a"), a_set(5, "a"))
    setup.manager.refresh_now()
    assert setup.manager.refresh_now().success
    assert len(setup.applied) == 1


def test_a_failure_keeps_what_is_there() -> None:
    setup = Setup(a_set(5, "a"), FAILED)
    setup.manager.refresh_now()
    result = setup.manager.refresh_now()
    assert (result.success, result.error) == (False, FAILED)
    assert (result.old_epoch, result.new_epoch) == (5, 5)
    assert setup.manager.current_epoch == 5
    with pytest.raises(GonkaDiscoveryError):
        result.raise_for_error()
    RefreshResult(success=True).raise_for_error()


@pytest.mark.parametrize("unbelievable", [a_set(4, "a"), a_set(6)])
def test_what_cannot_be_is_not_applied(unbelievable: ParticipantSet) -> None:
    setup = Setup(a_set(5, "a"), unbelievable)
    setup.manager.refresh_now()
    result = setup.manager.refresh_now()
    assert isinstance(result.error, GonkaRefreshError)
    assert "http://source" in str(result.error)
    assert len(setup.applied) == 1
    assert setup.discovery.distrusted == ["http://source"]


async def test_refreshing_on_an_event_loop() -> None:
    setup = Setup(a_set(5, "a"))
    assert (await setup.manager.async_refresh_now()).success


def test_a_hook_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(a_set(5, "a"), a_set(6, "a"))

    def broken(*_: Any) -> None:
        raise ValueError

    setup.manager.on_epoch_change = broken
    setup.manager.refresh_now()
    assert setup.manager.refresh_now().success
    assert "A hook failed" in caplog.text
    setup.manager.on_epoch_change = None


def test_polls_read_the_list_only_when_the_epoch_has_changed() -> None:
    setup = Setup(a_set(5, "a"), a_set(6, "a"), infos=[info(5), info(5), info(6), info(6)])
    assert setup.poll() == 60.0  # read: there was none
    assert setup.poll() == 60.0
    assert setup.manager.current_epoch == 5
    assert setup.poll() == 60.0  # read: a new epoch
    assert setup.manager.current_epoch == 6
    setup.poll()
    assert setup.discovery.sets == setup.discovery.infos == []


def test_polls_are_close_around_the_change() -> None:
    infos = [info(5, height=change) for change in (99_980, 99_990, 99_994, 99_999)]
    setup = Setup(a_set(5, "a"), infos=infos)
    assert [setup.poll() for _ in range(4)] == [60.0, 25.0, 6.0, 6.0]


def test_polls_are_close_while_the_new_list_is_awaited() -> None:
    setup = Setup(a_set(5, "a"), a_set(5, "a"), a_set(6, "a"), infos=[info(5), info(6), info(6)])
    assert [setup.poll() for _ in range(3)] == [60.0, 6.0, 60.0]
    assert setup.manager.current_epoch == 6


def test_the_list_is_read_now_and_then_since_it_shrinks_within_an_epoch() -> None:
    setup = Setup(a_set(5, "a", "b"), a_set(5, "a"), infos=[info(5)] * 3)
    setup.poll()
    setup.time = 599.0
    setup.poll()
    assert len(setup.applied) == 1
    setup.time = 600.0
    setup.poll()
    assert len(setup.applied[-1]) == 1


def test_a_woken_manager_reads_the_list() -> None:
    setup = Setup(a_set(5, "a"), a_set(5, "b"), infos=[info(5)] * 3)
    setup.poll()
    setup.manager.wake()
    setup.poll()
    assert [one.address for one in setup.manager.participants] == ["b"]
    setup.poll()


def test_without_the_epoch_the_list_is_read() -> None:
    setup = Setup(a_set(5, "a"), a_set(6, "a"), infos=[FAILED, FAILED])
    setup.poll()
    setup.poll()
    assert setup.manager.current_epoch == 6


def test_failed_polls_come_less_and_less_often() -> None:
    setup = Setup(*[FAILED] * 6, a_set(5, "a"), infos=[FAILED] * 6 + [info(5)])
    assert [setup.poll() for _ in range(7)] == [6.0, 12.0, 24.0, 48.0, 60.0, 60.0, 60.0]


def test_a_stopped_manager_applies_nothing() -> None:
    setup = Setup(a_set(5, "a"), infos=[info(5)])
    setup.manager.stop()  # in the middle of what follows
    setup.manager.work()
    assert setup.applied == []


def test_what_is_in_use_already() -> None:
    setup = Setup(a_set(6, "a"))
    setup.manager.adopt(a_set(5, "a"))
    assert setup.manager.current_epoch == 5
    setup.manager.refresh_now()
    assert setup.changes == [(5, 6, 1)]


def test_a_missing_owner_ends_the_thread() -> None:
    class Owner:
        pass

    owner = Owner()
    manager = RefreshManager(
        discovery=Scripted([a_set(5, "a")], [info(5)]),  # type: ignore[arg-type]
        apply=lambda _: None,
        owner=owner,
    )
    assert manager.work() > 0
    del owner
    assert manager.work() == 0.0


def test_a_fleet_that_starts_together_does_not_poll_in_step() -> None:
    setup = Setup(infos=[info(5)])
    setup.manager.adopt(a_set(5, "a"))
    setup.manager.start(3_600)
    assert setup.ranges == [(6.0, 3_600)]  # the first look: at any moment of the interval
    setup.poll()
    assert setup.ranges[1:] == [(2_880, 3_600)]
    setup.manager.stop()


def refreshers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "gonka-refresh"}


def test_starting_and_stopping() -> None:
    others = refreshers()
    setup = Setup()
    setup.manager.adopt(a_set(5, "a"))
    assert not setup.manager.is_running
    setup.manager.start(3_600)
    setup.manager.start(3_600)
    assert setup.manager.is_running
    assert len(refreshers() - others) == 1
    setup.manager.stop()
    assert not setup.manager.is_running
    setup.manager.stop()


async def test_stopping_on_an_event_loop() -> None:
    setup = Setup()
    setup.manager.adopt(a_set(5, "a"))
    setup.manager.start(3_600)
    await setup.manager.async_stop()
    assert not setup.manager.is_running


def test_a_forgotten_manager_lets_its_thread_end() -> None:
    others = refreshers()
    discovery: Any = Scripted([])
    manager = RefreshManager(discovery=discovery, apply=lambda _: None)
    manager.adopt(a_set(5, "a"))
    manager.start(3_600)
    [running] = refreshers() - others
    gone = weakref.ref(manager)
    del manager
    gc.collect()
    running.join(10)
    assert gone() is None
    assert not running.is_alive()


@pytest.mark.parametrize("interval", [0, -1, None, float("nan")])
def test_intervals_that_are_refused(interval: Any) -> None:
    with pytest.raises(GonkaConfigError, match="interval_seconds"):
        Setup().manager.start(interval)


def test_the_form_of_the_documents() -> None:
    """RefreshManager(multiplexer=…, discovery=…, registrar=…)."""

    class Registrar:
        calls: list[Any] = []  # noqa: RUF012 - of this test

        def replace_all(self, target: Any, found: Any, as_fallback: bool) -> None:
            self.calls.append((target, len(found), as_fallback))

    class Target:
        pass

    target, registrar = Target(), Registrar()
    discovery: Any = Scripted([a_set(5, "a"), a_set(6, "a")])
    manager = RefreshManager(
        multiplexer=target,
        discovery=discovery,
        registrar=registrar,
        as_fallback=True,  # type: ignore[arg-type]
    )
    manager.refresh_now()
    assert registrar.calls == [(target, 1, True)]
    registrar.calls.clear()
    del target
    manager.refresh_now()
    assert registrar.calls == []


def test_what_a_manager_needs() -> None:
    with pytest.raises(GonkaConfigError, match="discovery"):
        RefreshManager()
    discovery: Any = Scripted([])
    with pytest.raises(GonkaConfigError, match="apply"):
        RefreshManager(discovery=discovery)
