"""Health of one endpoint: what sends it out of service, for how long, and how it returns."""

from __future__ import annotations

import pytest

from gonka_integrations.core.health import EndpointHealth, HealthPolicy
from gonka_integrations.core.verdicts import Health


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def fresh(policy: HealthPolicy | None = None) -> EndpointHealth:
    return EndpointHealth(policy or HealthPolicy(), middle)


def fail(
    health: EndpointHealth,
    kind: Health,
    now: float,
    wait: float | None = None,
    *,
    eject: bool = True,
    started: float | None = None,
) -> bool:
    sent = now if started is None else started
    return health.failed(kind, now, wait, may_eject=eject, started=sent)


def test_in_service_at_first() -> None:
    health = fresh()
    assert not health.is_out(0.0)
    assert (health.reason, health.on_trial, health.gone, health.ever_served) == (
        "", False, False, False,
    )  # fmt: skip


class TestHardFailures:
    def test_one_is_enough_and_the_cooldown_doubles(self) -> None:
        health, now, cooldowns = fresh(), 100.0, []
        for _ in range(9):
            assert fail(health, Health.HARD, now)
            cooldowns.append(health.out_until - now)
            now = health.out_until
            assert not health.is_out(now)
        assert cooldowns == [1, 2, 4, 8, 16, 32, 60, 60, 60]

    def test_a_host_that_costs_time_is_out_for_twice_that_time(self) -> None:
        health = fresh()
        fail(health, Health.HARD, 10.0, started=7.0)
        assert health.out_until == 16.0
        fail(health, Health.HARD, 20.0, started=19.9)  # the second in a row
        assert health.out_until == 22.0
        fail(health, Health.HARD, 100.0, started=40.0)
        assert health.out_until == 160.0
        other = fresh()
        for _ in range(2):  # it was at work all the time
            fail(other, Health.SOFT, 10.0, started=0.0)
        assert other.out_until == 11.0

    def test_what_was_under_way_at_a_fault_is_part_of_it(self) -> None:
        health = fresh()
        assert fail(health, Health.HARD, 10.0, started=9.9)
        for late in (10.1, 10.5, 12.0):
            assert not fail(health, Health.HARD, late, started=9.5)
        assert health.out_until == 11.0
        assert fail(health, Health.HARD, 12.0, started=11.5)
        assert health.out_until == 14.0

    def test_a_busy_host_says_so_to_many_at_once(self) -> None:
        health = fresh()
        for _ in range(5):
            fail(health, Health.FULL, 10.0, started=9.9)
            fail(health, Health.FULL, 10.1, started=9.9)
        assert health.out_until == 11.0
        fail(health, Health.FULL, 11.1, started=11.0)
        assert health.out_until == 13.1
        fail(health, Health.FULL, 11.2, 9.0, started=11.0)  # one that names a time is heard
        assert health.out_until == 20.2

    def test_also_when_it_has_come_back_meanwhile(self) -> None:
        health = fresh()
        fail(health, Health.HARD, 10.0, started=9.0)
        health.succeeded()
        assert not fail(health, Health.HARD, 20.0, started=9.5)
        assert not health.is_out(20.0)
        assert fail(health, Health.HARD, 20.0, started=19.5)

    def test_the_cooldown_is_spread(self) -> None:
        spreads: list[tuple[float, float]] = []

        def uniform(low: float, high: float) -> float:
            spreads.append((low, high))
            return high

        health = EndpointHealth(HealthPolicy(), uniform)
        fail(health, Health.HARD, 0.0)
        assert spreads == [(0.8, 1.2)]
        assert health.out_until == 1.2

    def test_a_success_ends_it_all(self) -> None:
        health = fresh()
        fail(health, Health.HARD, 0.0)
        fail(health, Health.HARD, 1.0)
        assert health.on_trial
        health.succeeded()
        assert not health.is_out(1.5)
        assert (health.on_trial, health.reason, health.ever_served) == (False, "", True)
        fail(health, Health.HARD, 2.0)
        assert health.out_until == 3.0

    def test_a_thousand_in_a_row_do_not_overflow(self) -> None:
        health = fresh()
        for now in range(1000):
            fail(health, Health.HARD, now * 100.0)
        assert health.out_until == 999 * 100.0 + 60


class TestSoftFailures:
    def test_two_in_a_row(self) -> None:
        health = fresh()
        assert not fail(health, Health.SOFT, 0.0)
        assert not health.is_out(0.0)
        assert fail(health, Health.SOFT, 0.0)
        assert health.out_until == 1.0

    def test_not_two_with_a_success_between(self) -> None:
        health = fresh()
        fail(health, Health.SOFT, 0.0)
        health.succeeded()
        assert not fail(health, Health.SOFT, 0.0)

    def test_an_answer_about_the_request_counts_as_a_success(self) -> None:
        for kind in (Health.OK, Health.MODEL):
            health = fresh()
            fail(health, Health.SOFT, 0.0)
            assert not fail(health, kind, 0.0)
            assert not fail(health, Health.SOFT, 0.0)

    def test_one_is_enough_while_on_trial(self) -> None:
        health = fresh()
        fail(health, Health.HARD, 0.0)
        assert fail(health, Health.SOFT, 1.0)
        assert health.out_until == 3.0


class TestWeakFailures:
    def test_most_of_at_least_five(self) -> None:
        health = fresh()
        outcomes = [fail(health, Health.SHARE, 0.0) for _ in range(5)]
        assert outcomes == [False] * 4 + [True]

    def test_not_half(self) -> None:
        health = fresh()
        for _ in range(20):
            health.succeeded()
            assert not fail(health, Health.SHARE, 0.0)
        assert not health.is_out(0.0)

    def test_five_percent_never_eject(self) -> None:
        health = fresh()
        for call in range(1000):
            if call % 20:
                health.succeeded()
            else:
                assert not fail(health, Health.SHARE, 0.0)

    def test_never_when_too_much_is_out_already(self) -> None:
        health = fresh()
        assert not any(fail(health, Health.SHARE, 0.0, eject=False) for _ in range(50))

    def test_they_are_forgotten_with_time(self) -> None:
        health = fresh()
        for _ in range(4):
            fail(health, Health.SHARE, 0.0)
        for _ in range(10):
            health.succeeded()
        for _ in range(5):
            assert not fail(health, Health.SHARE, 0.0)


class TestBusy:
    def test_left_alone_for_a_short_doubling_time(self) -> None:
        health, now, times = fresh(), 0.0, []
        for _ in range(7):
            assert fail(health, Health.FULL, now)
            times.append(health.out_until - now)
            now = health.out_until
        assert times == [1, 2, 4, 8, 16, 30, 30]
        assert not health.on_trial
        health.succeeded()
        fail(health, Health.FULL, now)
        assert health.out_until - now == 1

    def test_or_for_as_long_as_it_says(self) -> None:
        health = fresh()
        assert fail(health, Health.FULL, 0.0, wait=7.0)
        assert health.out_until == 7.0
        fail(health, Health.FULL, 7.0, wait=86_400.0)
        assert health.out_until == 7.0 + 120.0

    @pytest.mark.parametrize("kind", [Health.FULL, Health.HARD])
    def test_no_time_at_all_is_none_named(self, kind: Health) -> None:
        """Or a failing host could keep itself in service."""
        health = fresh()
        assert fail(health, kind, 5.0, wait=0.0)
        assert health.out_until == 6.0

    def test_another_answer_does_not_call_it_back(self) -> None:
        """It may have been asked before it was full."""
        health = fresh()
        fail(health, Health.FULL, 0.0, wait=7.0)
        health.succeeded()
        assert health.is_out(6.0)

    @pytest.mark.parametrize("kind", [Health.SOFT, Health.HARD, Health.SHARE, Health.BLOCKED])
    def test_any_failure_may_name_a_time(self, kind: Health) -> None:
        health = fresh()
        assert fail(health, kind, 0.0, wait=10.0)
        assert health.out_until == 10.0
        assert not health.may_be_probed(), "what it asked for is obeyed"
        health.succeeded()
        assert health.is_out(9.0)


class TestRefusals:
    def test_denied_for_ten_minutes_whatever_it_says(self) -> None:
        health = fresh()
        assert fail(health, Health.DENIED, 0.0, wait=1.0)
        assert health.out_until == 600.0
        assert not health.gone

    def test_gone(self) -> None:
        health = fresh()
        fail(health, Health.GONE, 0.0)
        assert (health.out_until, health.gone) == (600.0, True)
        health.succeeded()
        assert not health.gone

    def test_blocked_by_proof_of_compute(self) -> None:
        health = fresh()
        assert fail(health, Health.BLOCKED, 0.0)
        assert health.out_until == 30.0

    def test_the_longest_time_holds(self) -> None:
        health = fresh()
        fail(health, Health.DENIED, 0.0)
        assert not fail(health, Health.HARD, 1.0)
        assert (health.out_until, health.reason) == (600.0, "DENIED")

    @pytest.mark.parametrize(
        ("kind", "may"),
        [
            (Health.HARD, True),
            (Health.FULL, False),
            (Health.BLOCKED, False),
            (Health.DENIED, False),
            (Health.GONE, False),
        ],
    )
    def test_only_the_failing_may_be_tried_before_their_time(self, kind: Health, may: bool) -> None:
        health = fresh()
        fail(health, kind, 0.0)
        assert health.may_be_probed() is may


def test_a_policy_of_one_s_own() -> None:
    health = fresh(HealthPolicy(base_cooldown=3.0, soft_limit=1, max_cooldown=5.0))
    assert fail(health, Health.SOFT, 0.0)
    assert health.out_until == 3.0
    fail(health, Health.SOFT, 3.0)
    assert health.out_until == 8.0
