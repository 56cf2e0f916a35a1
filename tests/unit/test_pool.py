"""The pool beside its state machine (see test_scenarios): questions, queues, threads."""

from __future__ import annotations

import json
import random
import sys
import threading
from typing import Any

import pytest
from made import FakeClock, gateway, node, provider

from gonka_integrations.core.endpoints import Endpoint
from gonka_integrations.core.pool import EndpointPool, Lease, Outcome, Want
from gonka_integrations.core.verdicts import Health


def pool_of(*endpoints: Endpoint, **options: object) -> tuple[EndpointPool, FakeClock]:
    clock = FakeClock()
    pool = EndpointPool(clock=clock, rng=random.Random(1), **options)  # type: ignore[arg-type]
    pool.replace(endpoints)
    return pool, clock


def lease(pool: EndpointPool, want: Want | None = None) -> Lease:
    found = pool.acquire(want or Want(""))
    assert found is not None
    return found


class TestModels:
    def test_names_that_are_known(self) -> None:
        pool, _ = pool_of(
            node(1, models=frozenset({"b", "a"})), provider(model_map={"c": "gpt"}), gateway()
        )
        assert pool.models() == ("a", "b", "c")

    def test_who_serves(self) -> None:
        pool, _ = pool_of(node(1, models=frozenset({"a"})))
        assert pool.serves("a")
        assert pool.serves("")
        assert not pool.serves("b")

    def test_an_endpoint_may_say_so_itself(self) -> None:
        gate = gateway()
        pool, clock = pool_of(gate)
        pool.advise(gate.identity, {"a": False, "b": True}, 60.0)
        assert pool.lacks("a")
        assert pool.acquire(Want("a")) is None
        assert not pool.lacks("b")
        clock.advance(60.0)
        assert not pool.lacks("a")
        pool.advise(gate.identity, {"a": False}, 60.0)
        pool.advise(gate.identity, {"a": True}, 60.0)
        assert not pool.lacks("a")
        pool.advise("nobody", {"a": False}, 60.0)

    def test_whoever_waits_hears_of_it(self) -> None:
        gate = gateway()
        pool, _ = pool_of(gate)
        pool.advise(gate.identity, {"a": False}, 60.0)
        waiter = pool.enqueue(Want("a"))
        assert waiter is not None
        assert waiter.lease is None
        pool.advise(gate.identity, {"a": True}, 60.0)
        assert waiter.lease is not None
        assert waiter.woken

    def test_all_gone(self) -> None:
        pool, _ = pool_of(node(1))
        assert not pool.gone("a")
        pool.settle(lease(pool), Outcome(Health.GONE, "status"))
        assert pool.gone("a")
        assert not EndpointPool().gone("a")
        assert not EndpointPool().lacks("a")

    def test_many_names_are_not_remembered_for_ever(self) -> None:
        pool, _ = pool_of(node(1))
        for number in range(1_000):
            assert pool.serves(f"model-{number}")
        assert len(pool._members.remembered) <= 256


def test_what_a_call_costs_does_not_grow_with_the_pool() -> None:
    """No step of a call that goes well looks at every member."""
    pool, _ = pool_of(*(node(i) for i in range(500)))
    states = list(pool._members.states.values())
    reads = 0

    class Watched(dict[str, float]):
        def get(self, *arguments: Any) -> Any:
            nonlocal reads
            reads += 1
            return super().get(*arguments)

    for state in states:
        state.lacks = Watched(other=1e18)
    want = Want("")
    held = lease(pool, want)
    assert pool.others_remain(want, held.state)
    pool.heard(held)
    pool.settle(held, Outcome(first_token=0.1, total=0.2))
    assert reads < 20


class TestTrials:
    @pytest.mark.parametrize("hosts", [2, 3, 6])
    def test_are_for_calls_that_have_not_failed(self, hosts: int) -> None:
        pool, clock = pool_of(*(node(i) for i in range(hosts)))
        failed, tried = (state for state in list(pool._members.states.values())[:2])
        pool.settle(pool._lease(failed, "", clock()), Outcome(Health.HARD, "refused"))
        clock.advance(2.0)
        want = Want("")
        want.tried = frozenset({tried})
        for _ in range(100):
            if hosts == 2:  # nobody else is left
                assert lease(pool, want).state is failed
                return
            assert lease(pool, want).state is not failed
        assert failed in {lease(pool).state for _ in range(100)}


class TestSettling:
    def test_counts_once(self) -> None:
        pool, _ = pool_of(node(1))
        held = lease(pool)
        assert pool.in_flight() == 1
        assert not pool.settle(held, Outcome(first_token=0.1, total=0.2))
        assert not pool.settle(held, Outcome(Health.HARD, "refused"))
        assert pool.in_flight() == 0
        assert pool.snapshot()[0]["models"][""]["served"] == 1
        assert pool.snapshot()[0]["out_because"] == ""

    def test_tells_whether_the_endpoint_went_out(self) -> None:
        pool, _ = pool_of(node(1))
        first, second = lease(pool), lease(pool)
        assert pool.settle(first, Outcome(Health.HARD, "refused"))
        assert not pool.settle(second, Outcome(Health.HARD, "refused"))

    def test_a_cancelled_one_says_nothing_of_the_endpoint(self) -> None:
        pool, _ = pool_of(node(1))
        for _ in range(20):
            pool.settle(lease(pool), Outcome(failure="cancelled"))
        shown = pool.snapshot()[0]
        assert shown["out_because"] == ""
        assert shown["latency_seconds"] is None
        assert shown["models"][""]["cancelled"] == 20

    def test_is_observed(self) -> None:
        seen: list[tuple[str, str]] = []
        pool, _ = pool_of(
            node(1),
            observe=lambda held, outcome: seen.append((held.endpoint.kind, outcome.failure)),
        )
        pool.settle(lease(pool), Outcome())
        pool.settle(lease(pool), Outcome(Health.SOFT, "reset"))
        assert seen == [("participant", ""), ("participant", "reset")]

    def test_statistics_are_by_model_and_kind(self) -> None:
        pool, _ = pool_of(node(1))
        pool.settle(lease(pool, Want("a")), Outcome(first_token=0.1, total=0.5))
        pool.settle(lease(pool, Want("b")), Outcome(Health.SHARE, "cut", ambiguous=True))
        pool.settle(lease(pool, Want("b")), Outcome(Health.SHARE, "cut"))
        models = json.loads(json.dumps(pool.snapshot()))[0]["models"]
        assert models["a"]["served"] == models["a"]["calls"] == 1
        assert models["b"]["failures"] == {"cut": 2}
        assert models["b"]["ambiguous"] == 1

    def test_latency_goes_up_quickly_and_down_slowly(self) -> None:
        pool, _ = pool_of(node(1))
        latencies = []
        for seconds in (1.0, 3.0, 1.0):
            pool.settle(lease(pool), Outcome(first_token=seconds, total=seconds))
            latencies.append(pool.snapshot()[0]["latency_seconds"])
        assert latencies == pytest.approx([1.0, 2.0, 1.8])


class TestQueue:
    def test_is_bounded(self) -> None:
        pool, _ = pool_of(node(1, max_concurrent=1), queue_limit=2)
        lease(pool)
        waiters = [pool.enqueue(Want("")) for _ in range(3)]
        assert [waiter is not None for waiter in waiters] == [True, True, False]

    def test_can_be_left(self) -> None:
        pool, _ = pool_of(node(1, max_concurrent=1), queue_limit=1)
        held = lease(pool)
        waiter = pool.enqueue(Want(""))
        assert waiter is not None
        assert pool.leave_queue(waiter) is None
        assert pool.leave_queue(waiter) is None
        pool.settle(held, Outcome())
        assert waiter.lease is None
        assert pool.in_flight() == 0
        assert pool.enqueue(Want("")) is not None

    def test_leaving_gives_a_lease_that_came_meanwhile(self) -> None:
        pool, _ = pool_of(node(1, max_concurrent=1))
        held = lease(pool)
        waiter = pool.enqueue(Want(""))
        assert waiter is not None
        pool.settle(held, Outcome())
        assert pool.leave_queue(waiter) is waiter.lease is not None

    def test_nobody_waits_for_what_became_free_meanwhile(self) -> None:
        pool, _ = pool_of(node(1, max_concurrent=1), queue_limit=0)
        waiter = pool.enqueue(Want(""))
        assert waiter is not None
        assert waiter.lease is not None
        assert waiter.woken

    def test_models_do_not_block_each_other(self) -> None:
        pool, _ = pool_of(
            node(1, models=frozenset({"a"}), max_concurrent=1),
            node(2, models=frozenset({"b"}), max_concurrent=1),
        )
        lease(pool, Want("a"))
        held = lease(pool, Want("b"))
        first, second = pool.enqueue(Want("a")), pool.enqueue(Want("b"))
        assert first is not None
        assert second is not None
        pool.settle(held, Outcome())
        assert first.lease is None
        assert second.lease is not None


class TestOutlook:
    def test_of_a_pool_that_can_serve(self) -> None:
        pool, _ = pool_of(node(1), node(2))
        outlook = pool.outlook(Want(""))
        assert (outlook.due, outlook.busy, outlook.warm, outlook.untried) == (
            0.0,
            False,
            False,
            True,
        )
        assert outlook.next_probe is None

    def test_of_an_empty_one(self) -> None:
        assert EndpointPool().outlook(Want("")).due is None

    def test_of_barred_endpoints(self) -> None:
        pool, _ = pool_of(node(1), gateway())
        want = Want("")
        want.barred_groups = {endpoint.credentials.group for endpoint in pool.endpoints()}
        assert pool.outlook(want).due is None
        assert pool.acquire(want) is None
        assert pool.probe(want) is None

    def test_of_failing_ones(self) -> None:
        pool, clock = pool_of(node(1))
        pool.settle(lease(pool), Outcome(first_token=0.1))
        pool.settle(lease(pool), Outcome(Health.HARD, "refused"))
        outlook = pool.outlook(Want(""))
        assert outlook.due == pytest.approx(1.0, rel=0.2)
        assert outlook.next_probe == 0.0
        assert outlook.warm
        assert pool.probe(Want("")) is not None
        assert pool.outlook(Want("")).next_probe == pytest.approx(0.1)
        clock.advance(0.05)
        assert pool.outlook(Want("")).next_probe == pytest.approx(0.05)

    def test_others_remain(self) -> None:
        pool, _ = pool_of(node(1), node(2))
        held = lease(pool)
        assert pool.others_remain(Want(""), held.state)
        other = next(state for state in pool._members.states.values() if state is not held.state)
        tried, barred = Want(""), Want("")
        tried.tried, barred.barred = {other}, {other}
        assert not pool.others_remain(tried, held.state)
        assert not pool.others_remain(barred, held.state)
        without_held = Want("")
        without_held.tried = {held.state}
        pool.settle(lease(pool, without_held), Outcome(Health.HARD, "reset"))
        assert not pool.others_remain(Want(""), held.state)

    def test_waiting_calls_spread_their_tries(self) -> None:
        pool, _ = pool_of(node(1, max_concurrent=1))
        assert pool.probe_spread() == pytest.approx(0.1)
        lease(pool)
        for _ in range(100):
            pool.enqueue(Want(""))
        assert pool.probe_spread() == 2.0


def test_an_endpoint_named_twice_is_one() -> None:
    pool, _ = pool_of(node(1), node(1))
    assert len(pool.endpoints()) == 1
    pool.settle(lease(pool), Outcome(first_token=0.5))
    joined, left = pool.replace([node(1), node(1)])
    assert (joined, left) == ([], [])
    assert pool.snapshot()[0]["latency_seconds"] == 0.5


def test_connections_that_a_member_uses_are_not_dropped() -> None:
    dropped: list[str] = []
    pool, _ = pool_of(
        node(1), provider(), provider(tier=2),
        on_drained=lambda endpoint: dropped.append(endpoint.identity),
    )  # fmt: skip
    pool.replace([node(1), provider(tier=2)])
    assert dropped == []
    pool.replace([])
    assert dropped == [node(1).identity, provider(tier=2).identity]


def test_the_more_heavily_loaded_of_two_is_passed_over() -> None:
    pool, _ = pool_of(*(node(number) for number in range(10)))
    for _ in range(100):
        lease(pool)
    loads = [state["in_flight"] for state in pool.snapshot()]
    assert min(loads) >= 8
    assert max(loads) <= 12


def test_threads_leave_nothing_behind() -> None:
    pool = EndpointPool()
    pool.replace(node(number, max_concurrent=2) for number in range(5))
    failures: list[BaseException] = []
    outcomes = (
        Outcome(first_token=0.01, total=0.02),
        Outcome(failure="cancelled"),
        Outcome(Health.SHARE, "cut"),
    )

    def work(seed: int) -> None:
        rng, want = random.Random(seed), Want("")
        try:
            for _ in range(300):
                held = pool.acquire(want)
                if held is None:
                    waiter = pool.enqueue(want)
                    held = pool.leave_queue(waiter) if waiter is not None else None
                if held is not None:
                    pool.settle(held, rng.choice(outcomes))
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not failures
    assert pool.in_flight() == 0
    assert all(state["in_flight"] == 0 for state in pool.snapshot())
    assert not pool._waiting.queues
    assert pool.waiting() == 0
