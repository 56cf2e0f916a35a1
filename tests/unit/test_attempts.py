"""The plan of a call: who is next, what a failure changes, when to stop. Time is a number."""

from __future__ import annotations

import random
from typing import Any

import pytest
from made import FakeClock, gateway, node, provider

from gonka_integrations.core.attempts import AttemptPlan, Pause
from gonka_integrations.core.endpoints import Endpoint
from gonka_integrations.core.pool import EndpointPool, Lease, Outcome, Want
from gonka_integrations.core.retries import RetryBudget, RetryPolicy
from gonka_integrations.core.verdicts import Action, Health, Verdict, judge_failure, judge_status


def middle(low: float, high: float) -> float:
    return (low + high) / 2


class Field:
    """A real pool with a fake clock, and plans over it."""

    def __init__(self, *endpoints: Endpoint, seed: int = 3, **options: Any) -> None:
        self.clock = FakeClock()
        rng = random.Random(seed)
        rng.uniform = middle  # type: ignore[method-assign]
        self.pool = EndpointPool(clock=self.clock, rng=rng, **options)
        self.pool.replace(endpoints)
        self.budget = RetryBudget(clock=self.clock)

    def plan(self, model: str = "", timeout: float = 600.0, **policy: Any) -> AttemptPlan:
        return AttemptPlan(
            self.pool,
            budget=self.budget,
            policy=RetryPolicy(**policy),
            model=model,
            deadline=self.clock() + timeout,
            uniform=middle,
        )

    def step(self, plan: AttemptPlan) -> Lease:
        """The next lease; pauses pass."""
        for _ in range(10_000):
            step = plan.next()
            if isinstance(step, Lease):
                return step
            assert isinstance(step, Pause), f"stopped: {plan.stopped}"
            self.clock.advance(step.seconds)
        raise AssertionError("it pauses for ever")

    def until_stopped(self, plan: AttemptPlan) -> float:
        """Seconds until the plan gives up without another lease."""
        before = self.clock()
        while isinstance(step := plan.next(), Pause):
            self.clock.advance(step.seconds)
        assert step is None
        return self.clock() - before

    def fail(
        self, plan: AttemptPlan, lease: Lease, how: Verdict, text: str = "", *, after: float = 0.0
    ) -> bool:
        self.clock.advance(after)
        self.pool.settle(lease, Outcome(how.health, "status"))
        return plan.failed(lease, how, text, ambiguous=False)

    def serve(self, lease: Lease, seconds: float = 0.1) -> None:
        self.pool.settle(lease, Outcome(first_token=seconds, total=seconds))

    def warm(self) -> None:
        """Every endpoint has served once."""
        for state in self.pool._members.states.values():
            want = Want("")
            want.tried = set(self.pool._members.states.values()) - {state}
            lease = self.pool.acquire(want)
            assert lease is not None
            self.serve(lease)

    def kill(self, times: int = 1) -> None:
        """Every endpoint has failed hard."""
        for _ in range(times):
            leases = [
                self.pool._lease(s, "", self.clock()) for s in self.pool._members.states.values()
            ]
            for lease in leases:
                self.pool.settle(lease, Outcome(Health.HARD, "refused"))


REFUSED = judge_failure("refused")
CUT = judge_failure("cut")


def status(code: int, text: str = "", kind: str = "participant") -> Verdict:
    return judge_status(kind, code, text)  # type: ignore[arg-type]


class TestOrder:
    def test_every_endpoint_once_before_any_twice(self) -> None:
        field = Field(*(node(number) for number in range(5)))
        plan, seen = field.plan(max_retries=4), []
        for _ in range(5):
            lease = field.step(plan)
            seen.append(lease.state)
            field.fail(plan, lease, CUT)
        assert len(set(seen)) == 5
        assert field.until_stopped(plan) == 0.0
        assert plan.stopped == "attempts"

    def test_a_heavy_host_that_failed_is_not_drawn_again(self) -> None:
        for seed in range(20):
            field = Field(node(1, weight=1000.0), node(2), seed=seed)
            plan = field.plan()
            first = field.step(plan)
            field.fail(plan, first, CUT)
            second = field.step(plan)
            assert second.state is not first.state

    def test_tiers_one_after_the_other(self) -> None:
        field = Field(provider(2, tier=2), provider(1, tier=1), gateway(), node(1))
        plan, kinds = field.plan(), []
        for _ in range(4):
            lease = field.step(plan)
            kinds.append((lease.endpoint.kind, lease.endpoint.tier))
            field.fail(plan, lease, CUT)
        assert {kind for kind, _ in kinds[:2]} == {"participant", "gateway"}
        assert kinds[2:] == [("provider", 1), ("provider", 2)]

    def test_then_all_of_them_again_after_a_pause(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan(max_retries=3)
        for _ in range(2):
            field.fail(plan, field.step(plan), CUT)
        pause = plan.next()
        assert isinstance(pause, Pause)
        assert pause.seconds == pytest.approx(0.25 * 2 * 0.75)
        field.clock.advance(pause.seconds)
        third = field.step(plan)
        field.fail(plan, third, CUT)
        assert field.step(plan).state is not third.state

    def test_the_first_attempt_costs_nothing_and_no_retry_is_no_retry(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan(max_retries=0)
        field.fail(plan, field.step(plan), REFUSED)
        assert plan.next() is None
        assert plan.stopped == "attempts"


class TestVerdicts:
    def test_stop(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        field.fail(plan, field.step(plan), status(400, "messages is required"))
        assert plan.next() is None
        assert plan.stopped == "refused"

    def test_the_same_error_from_two_hosts_is_the_request_s(self) -> None:
        field = Field(*(node(number) for number in range(4)))
        plan = field.plan()
        field.fail(plan, field.step(plan), status(500), "Bad token 17 at 0x1f")
        field.fail(plan, field.step(plan), status(500), "bad token 23 at 0x2e")
        assert plan.next() is None
        assert plan.stopped == "refused"

    def test_two_errors_that_differ_are_theirs(self) -> None:
        field = Field(*(node(number) for number in range(4)))
        plan = field.plan()
        for text in ("one thing", "another thing", "", ""):
            field.fail(plan, field.step(plan), status(500), text)
        assert plan.stopped == ""

    def test_one_host_may_say_the_same_as_often_as_it_likes(self) -> None:
        field = Field(node(1))
        plan = field.plan(max_retries=2)
        for _ in range(3):
            field.fail(plan, field.step(plan), status(500), "same words")
        assert plan.next() is None
        assert plan.stopped == "attempts"

    def test_a_prompt_that_is_too_long_here_is_not_sent_here_again(self) -> None:
        long = status(400, "maximum context length exceeded")
        field = Field(node(1), node(2))
        plan = field.plan()
        field.fail(plan, field.step(plan), long, "maximum context length is 4096")
        field.fail(plan, field.step(plan), long, "this model has a context size of 1")
        assert plan.next() is None
        assert plan.stopped == "nobody"

    def test_an_account_error_is_believed_when_two_hosts_agree(self) -> None:
        wrong = status(401, "Unable to validate request against PubKey:invalid signature")
        field = Field(*(node(number) for number in range(4)))
        plan = field.plan()
        field.fail(plan, field.step(plan), wrong)
        second = field.step(plan)
        field.fail(plan, second, wrong)
        assert plan.next() is None
        assert plan.stopped == "nobody"
        assert "private key" in plan.advice
        assert all(state["out_because"] == "" for state in field.pool.snapshot())

    def test_but_other_credentials_may_do(self) -> None:
        field = Field(node(1), node(2), node(3, key=2), gateway(), provider())
        plan, seen = field.plan(), []
        for _ in range(3):
            lease = field.step(plan)
            seen.append(lease)
            group = lease.state.group
            field.fail(plan, lease, Verdict(Action.OTHER_CREDENTIALS, Health.OK))
            assert group in plan.want.barred_groups
        assert len({lease.state.group for lease in seen}) == 3

    @pytest.mark.parametrize("code", [402, 403])
    def test_a_key_that_is_refused_is_not_used_again(self, code: int) -> None:
        field = Field(gateway(0), gateway(1))
        plan = field.plan()
        first = field.step(plan)
        field.fail(plan, first, status(code, kind="gateway"))
        assert field.step(plan).state is not first.state

    def test_the_clock_is_learnt_once_per_host(self) -> None:
        old = status(400, "signature is too old")
        field = Field(node(1))
        plan = field.plan()
        first = field.step(plan)
        assert field.fail(plan, first, old)
        second = field.step(plan)
        assert second.state is first.state
        assert not field.fail(plan, second, old)
        assert isinstance(plan.next(), Pause), "then it is like any other failure"

    @pytest.mark.parametrize(
        ("code", "text"), [(410, "deprecated"), (403, "Transfer Agent not allowed"), (404, "model")]
    )
    def test_a_host_that_will_not_is_asked_once(self, code: int, text: str) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        for _ in range(2):
            field.fail(plan, field.step(plan), status(code, text))
        assert plan.next() is None
        assert plan.stopped == "nobody"

    def test_gone_everywhere_says_what_to_do(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        for _ in range(2):
            field.fail(plan, field.step(plan), status(410, "deprecated"))
        assert plan.next() is None
        assert "GONKA_BROKER_URL" in plan.advice
        assert field.pool.gone("")

    def test_stream_options_are_left_out_where_they_are_not_known(self) -> None:
        simpler = status(400, "Unknown parameter: stream_options", kind="provider")
        assert simpler.action is Action.SIMPLER
        field = Field(provider(tier=0))
        plan = field.plan()
        first = field.step(plan)
        field.fail(plan, first, simpler)
        assert first.state.bare_streams
        second = field.step(plan)
        assert second.state is first.state
        field.fail(plan, second, simpler)
        assert plan.next() is None
        assert plan.stopped == "refused"


class TestAmbiguity:
    @pytest.mark.parametrize(
        ("endpoint", "ambiguous", "goes_on"),
        [
            (node(1), True, False),
            (node(1), False, True),
            (gateway(), True, True),
            (provider(tier=0), True, True),
        ],
    )
    def test_a_signed_request_that_may_be_charged(
        self, endpoint: Endpoint, ambiguous: bool, goes_on: bool
    ) -> None:
        field = Field(endpoint, provider(9))
        plan = field.plan(retry_ambiguous=False)
        lease = field.step(plan)
        field.pool.settle(lease, Outcome(CUT.health, "cut"))
        plan.failed(lease, CUT, "", ambiguous=ambiguous)
        assert (plan.stopped == "") is goes_on
        assert ("retry_ambiguous" in plan.advice) is not goes_on

    def test_is_repeated_by_default(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        lease = field.step(plan)
        field.pool.settle(lease, Outcome(CUT.health, "cut"))
        plan.failed(lease, CUT, "", ambiguous=True)
        assert field.step(plan).state is not lease.state


class TestTime:
    def test_the_deadline_ends_it(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan(timeout=10.0)
        field.fail(plan, field.step(plan), CUT, after=10.0)
        assert plan.next() is None
        assert plan.stopped == "deadline"

    def test_no_pause_goes_beyond_it(self) -> None:
        field = Field(node(1))
        plan = field.plan(timeout=0.2, backoff=5.0)
        field.fail(plan, field.step(plan), CUT)
        assert field.until_stopped(plan) == pytest.approx(0.2)
        assert plan.stopped == "deadline"

    def test_one_attempt_gets_a_share_while_others_remain(self) -> None:
        field = Field(node(1), node(2), node(3))
        plan, limits = field.plan(timeout=80.0), []
        for _ in range(3):
            lease = field.step(plan)
            limit = plan.first_token_limit(1000.0) - field.clock()
            limits.append(limit)
            field.fail(plan, lease, judge_failure("first_token_timeout"), after=limit)
        assert limits == [40.0, 20.0, 20.0]

    def test_but_no_more_than_the_first_token_timeout(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        field.step(plan)
        assert plan.first_token_limit(60.0) - field.clock() == 60.0

    def test_pauses_between_rounds_double_and_are_bounded(self) -> None:
        field = Field(node(1))
        plan, pauses = field.plan(max_retries=8), []
        for _ in range(7):
            lease = field.step(plan)
            before = field.clock()
            # Neither good nor bad for the host, so that only the plan's own pauses are seen.
            field.fail(plan, lease, status(409))
            pause = plan.next()
            assert isinstance(pause, Pause)
            pauses.append(pause.seconds / 0.75)
            field.clock.advance(pause.seconds)
            assert field.clock() > before
        assert pauses == pytest.approx([0.25, 0.5, 1, 2, 4, 5, 5])


class TestBudget:
    def test_it_starts_full_and_refills_with_time(self) -> None:
        clock = FakeClock()
        budget = RetryBudget(capacity=3, per_second=2, clock=clock)
        assert [budget.take() for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
        clock.advance(0.5)
        assert budget.take() == 0.0
        clock.advance(0.1)
        assert budget.take() == pytest.approx(0.4)
        clock.advance(1000)
        assert [budget.take() for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]

    def test_successes_refill_it(self) -> None:
        clock = FakeClock()
        budget = RetryBudget(capacity=2, per_second=1, per_success=0.5, clock=clock)
        budget.take()
        budget.take()
        assert budget.take() > 0
        budget.deposit()
        budget.deposit()
        assert budget.take() == 0.0
        for _ in range(100):
            budget.deposit()
        assert [budget.take() for _ in range(3)] == [0.0, 0.0, 1.0]

    def test_an_empty_one_delays_retries_but_not_first_attempts(self) -> None:
        field = Field(*(node(number) for number in range(10)))
        while not field.budget.take():
            pass
        plan = field.plan()
        lease = plan.next()
        assert isinstance(lease, Lease)
        field.fail(plan, lease, CUT)
        pause = plan.next()
        assert isinstance(pause, Pause)
        assert pause.seconds == pytest.approx(0.2)
        field.clock.advance(0.2)
        assert isinstance(plan.next(), Lease)

    def test_a_broad_outage_is_not_doubled(self) -> None:
        """1,000 calls in ten seconds that all fail: little more than one attempt each."""
        field = Field(*(node(number) for number in range(50)))
        attempts = 0
        plans = []
        for _ in range(1000):
            plans.append(field.plan(timeout=10.0))
            for plan in plans[-20:]:
                if isinstance(lease := plan.next(), Lease):
                    attempts += 1
                    field.fail(plan, lease, status(409))
            field.clock.advance(0.01)
        assert 1000 < attempts < 1200

    def test_hedges_are_paid_from_it(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        lease = field.step(plan)
        other = plan.hedge(lease)
        assert other is not None
        assert other.state is not lease.state
        while not field.budget.take():
            pass
        assert field.plan().hedge(lease) is None

    def test_no_hedge_where_nobody_else_is_or_all_is_over(self) -> None:
        field = Field(node(1), node(2))
        plan = field.plan()
        lease = field.step(plan)
        field.fail(plan, lease, status(400))
        assert plan.hedge(lease) is None
        alone = Field(node(1))
        plan = alone.plan()
        assert plan.hedge(alone.step(plan)) is None


class TestEverythingOut:
    def test_a_pool_that_never_worked_is_tried_a_few_times(self) -> None:
        field = Field(node(1), node(2))
        plan, tries = field.plan(max_retries=4), 0
        while (step := plan.next()) is not None:
            if isinstance(step, Pause):
                field.clock.advance(step.seconds)
            else:
                tries += 1
                field.fail(plan, step, REFUSED)
        assert tries == 5
        assert plan.stopped == "attempts"
        assert field.clock() - 1000.0 < 15.0

    def test_one_that_has_worked_is_waited_for(self) -> None:
        """Trying now and then, and noticing at once when it is back."""
        field = Field(node(1), node(2))
        field.warm()
        field.kill(times=6)
        plan, tries = field.plan(max_retries=200), 0
        back = field.clock() + 5.0
        while True:
            lease = field.step(plan)
            tries += 1
            if field.clock() >= back:
                field.serve(lease)
                break
            field.fail(plan, lease, REFUSED)
        assert field.clock() - back < 0.2
        assert 10 < tries <= 60

    def test_a_call_that_was_refused_by_more_hosts_than_it_has_attempts_waits_too(self) -> None:
        field = Field(*(node(number) for number in range(10)))
        field.warm()
        plan = field.plan(max_retries=4, timeout=10.0)
        for _ in range(10):
            field.fail(plan, field.step(plan), REFUSED)
        field.clock.advance(1.0)
        lease = field.step(plan)
        field.serve(lease)
        assert plan.stopped == ""

    def test_probing_is_shared_by_all_calls(self) -> None:
        field = Field(node(1), node(2))
        field.warm()
        field.kill(times=6)
        plans = [field.plan() for _ in range(50)]
        tries = 0
        for _ in range(100):  # one second
            for plan in plans:
                if isinstance(lease := plan.next(), Lease):
                    tries += 1
                    field.fail(plan, lease, REFUSED)
            field.clock.advance(0.01)
        assert tries <= 11

    def test_but_not_for_ever(self) -> None:
        field = Field(node(1))
        field.warm()
        field.kill(times=8)
        plan = field.plan(max_retries=1000, outage_patience=30.0)
        tries = 0
        while (step := plan.next()) is not None:
            if isinstance(step, Pause):
                field.clock.advance(step.seconds)
            else:
                tries += 1
                field.fail(plan, step, REFUSED)
        assert plan.stopped == "outage"
        assert 25.0 < field.clock() - 1000.0 < 35.0

    def test_hosts_that_say_when_to_come_back_are_not_probed(self) -> None:
        field = Field(gateway())
        field.warm()
        plan = field.plan()
        lease = field.step(plan)
        field.pool.settle(lease, Outcome(Health.FULL, "status", retry_after=7.0))
        plan.failed(lease, status(429), "", ambiguous=False)
        before = field.clock()
        assert field.step(plan).state is lease.state
        assert field.clock() - before == pytest.approx(7.0, abs=0.6)

    def test_nor_waited_for_beyond_what_a_call_may_take(self) -> None:
        field = Field(gateway())
        field.warm()
        plan = field.plan(timeout=5.0)
        lease = field.step(plan)
        field.pool.settle(lease, Outcome(Health.FULL, "status", retry_after=60.0))
        plan.failed(lease, status(429), "", ambiguous=False)
        assert field.until_stopped(plan) == 0.0
        assert plan.stopped == "outage"

    def test_a_new_pool_that_is_busy_is_waited_for_a_moment(self) -> None:
        field = Field(gateway())
        plan = field.plan()
        lease = field.step(plan)
        field.fail(plan, lease, status(429))
        before = field.clock()
        field.step(plan)
        assert field.clock() - before == pytest.approx(1.0, abs=0.1)

    def test_a_new_pool_that_refuses_is_not(self) -> None:
        field = Field(gateway())
        plan = field.plan()
        lease = field.step(plan)
        field.pool.settle(lease, Outcome(Health.FULL, "status", retry_after=60.0))
        plan.failed(lease, status(429), "", ambiguous=False)
        assert field.until_stopped(plan) == 0.0
        assert plan.stopped == "outage"


class TestNobody:
    def test_in_an_empty_pool(self) -> None:
        field = Field()
        plan = field.plan()
        assert plan.next() is None
        assert plan.stopped == "nobody"

    def test_for_a_model_that_nobody_serves(self) -> None:
        field = Field(node(1, models=frozenset({"a"})))
        plan = field.plan("b")
        assert plan.next() is None
        assert plan.stopped == "nobody"

    def test_only_who_serves_it_is_asked(self) -> None:
        field = Field(*(node(n, models=frozenset({"a"})) for n in range(9)),
                      node(9, models=frozenset({"b"})))  # fmt: skip
        for _ in range(20):
            lease = field.step(field.plan("b"))
            assert lease.endpoint.models == {"b"}
            field.serve(lease)


class TestWaiting:
    def test_a_full_host_is_passed_over(self) -> None:
        field = Field(node(1, weight=1000.0, max_concurrent=1), node(2, max_concurrent=1))
        one, two = field.step(field.plan()), field.step(field.plan())
        assert one.state is not two.state

    def test_first_come_first_served(self) -> None:
        field = Field(node(1, max_concurrent=1))
        held = field.step(field.plan())
        plans = [field.plan() for _ in range(4)]
        for plan in plans:
            assert isinstance(plan.next(), Pause)
        order = []
        for _ in range(4):
            field.serve(held)
            ready = [plan for plan in plans if plan._waiter and plan._waiter.lease]
            assert len(ready) == 1
            order.append(plans.index(ready[0]))
            held = field.step(ready[0])
        assert order == [0, 1, 2, 3]

    def test_no_newcomer_overtakes(self) -> None:
        field = Field(node(1, max_concurrent=1))
        held = field.step(field.plan())
        waiting = field.plan()
        assert isinstance(waiting.next(), Pause)
        field.serve(held)
        assert isinstance(field.plan().next(), Pause)
        assert isinstance(waiting.next(), Lease)

    def test_not_beyond_the_deadline(self) -> None:
        field = Field(node(1, max_concurrent=1))
        field.step(field.plan())
        plan = field.plan(timeout=3.0)
        assert field.until_stopped(plan) == pytest.approx(3.0)
        assert plan.stopped == "deadline"
        assert field.pool.waiting() == 0

    def test_a_full_queue_says_so(self) -> None:
        field = Field(node(1, max_concurrent=1), queue_limit=1)
        field.step(field.plan())
        assert isinstance(field.plan().next(), Pause)
        plan = field.plan()
        assert plan.next() is None
        assert plan.stopped == "full"

    def test_an_abandoned_call_gives_back_what_was_handed_to_it(self) -> None:
        field = Field(node(1, max_concurrent=1))
        held = field.step(field.plan())
        first, second = field.plan(), field.plan()
        first.next()
        second.next()
        field.serve(held)
        first.abandon()
        first.abandon()
        assert isinstance(second.next(), Lease)
        assert field.pool.in_flight() == 1

    def test_a_retry_waits_for_a_full_host_it_has_not_tried(self) -> None:
        field = Field(node(1, max_concurrent=1), node(2, max_concurrent=1))
        plan = field.plan()
        mine, others = field.step(plan), field.step(field.plan())
        field.fail(plan, mine, status(409))
        pause = plan.next()
        assert isinstance(pause, Pause)
        assert pause.waiter is not None
        field.serve(others)
        assert field.step(plan).state is others.state
