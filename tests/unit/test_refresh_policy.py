"""When to look next, and what not to believe."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonka_integrations.core.participants import GonkaParticipant, ParticipantSet
from gonka_integrations.core.refresh_policy import PollPlan, Situation, objection, spread

PLAN = PollPlan(interval=60.0)


@pytest.mark.parametrize(
    ("situation", "delay"),
    [
        (Situation(), 60.0),  # nothing is known
        (Situation(to_change=10_000.0), 60.0),  # far away
        (Situation(to_change=91.0), 60.0),
        (Situation(to_change=80.0), 50.0),  # up to where the window begins
        (Situation(to_change=40.0), 10.0),
        (Situation(to_change=30.0), 6.0),  # in the window: closely
        (Situation(to_change=1.0), 6.0),
        (Situation(to_change=-50.0), 6.0),
        (Situation(to_change=10_000.0, behind=True), 6.0),
        (Situation(to_change=10_000.0, woken=True), 6.0),
        (Situation(failures=1), 6.0),
        (Situation(failures=2), 12.0),
        (Situation(failures=4), 48.0),
        (Situation(failures=5), 60.0),
        (Situation(failures=1_000), 60.0),
        (Situation(to_change=1.0, failures=3, woken=True), 24.0),
    ],
)
def test_when_to_look_next(situation: Situation, delay: float) -> None:
    assert PLAN.delay(situation) == delay


def test_a_shorter_interval_is_a_shorter_floor() -> None:
    plan = PollPlan(interval=0.5)
    assert plan.floor == 0.5
    assert plan.delay(Situation(failures=3)) == 0.5
    assert plan.delay(Situation(to_change=1.0)) == 0.5


SITUATIONS = st.builds(
    Situation,
    to_change=st.none() | st.floats(-1e6, 1e7),
    behind=st.booleans(),
    failures=st.integers(0, 100),
    woken=st.booleans(),
    list_age=st.none() | st.floats(0, 1e6),
)


@given(SITUATIONS, st.floats(0.01, 86_400))
def test_delays_are_never_shorter_than_the_floor_nor_longer_than_the_interval(
    situation: Situation, interval: float
) -> None:
    plan = PollPlan(interval=interval)
    assert plan.floor <= plan.delay(situation) <= max(plan.floor, interval)


@given(SITUATIONS, st.floats(0.01, 86_400), st.randoms(use_true_random=False))
def test_a_spread_delay_keeps_the_floor_and_is_cut_by_a_fifth_at_most(
    situation: Situation, interval: float, random: Random
) -> None:
    plan = PollPlan(interval=interval)
    delay = plan.delay(situation)
    found = spread(delay, plan.floor, random.uniform)
    assert plan.floor <= found + 1e-9
    assert 0.8 * delay <= found + 1e-9
    assert found <= delay + 1e-9


@pytest.mark.parametrize(
    ("delay", "shortest"), [(60.0, 48.0), (25.0, 20.0), (7.0, 6.0), (6.0, 6.0), (0.5, 0.5)]
)
def test_how_far_a_delay_is_cut(delay: float, shortest: float) -> None:
    assert spread(delay, 6.0, lambda low, _: low) == pytest.approx(shortest)
    assert spread(delay, 6.0, lambda _, high: high) == delay


@pytest.mark.parametrize(
    ("situation", "wants"),
    [
        (Situation(), True),
        (Situation(list_age=1.0), False),
        (Situation(list_age=1.0, behind=True), True),
        (Situation(list_age=1.0, woken=True), True),
        (Situation(list_age=600.0), True),
        (Situation(list_age=1.0, failures=5), False),
    ],
)
def test_when_the_whole_list_is_read(situation: Situation, wants: bool) -> None:
    assert PLAN.wants_list(situation) is wants


def a_set(epoch: int, count: int) -> ParticipantSet:
    hosts = tuple(GonkaParticipant(f"gonka1{n}", "http://h") for n in range(count))
    return ParticipantSet(epoch, hosts)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (None, (5, 3), None),
        ((5, 3), (5, 3), None),
        ((5, 3), (6, 1), None),
        ((5, 30), (6, 4), None),
        ((5, 30), (6, 3), "there were 30"),
        ((5, 1_000), (6, 100), "there were 1000"),
        ((5, 3), (4, 3), "epoch 5 is known already"),
        (None, (5, 0), "empty"),
        ((5, 3), (6, 0), "empty"),
    ],
)
def test_what_is_not_believed(
    old: tuple[int, int] | None, new: tuple[int, int], reason: str | None
) -> None:
    found = objection(a_set(*old) if old else None, a_set(*new))
    assert found is None if reason is None else reason in str(found)
