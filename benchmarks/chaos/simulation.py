"""The real pool and plan in simulated time, at sizes and durations no loopback test reaches.

    python -m benchmarks.chaos.simulation --hosts 10 100 1000

A model, not a measurement. Stakes are heavy-tailed; hosts with 30 % of the stake are dead (half
of them refuse, half are silent), 10 % are ten times slower, 5 % of streams are cut. A host serves
in proportion to its stake and slows down with its load; arrivals keep 40 % of the whole busy. The
first content must come within 10 s, the call within 60 s. Nothing is known at the start.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gonka_integrations.core.attempts import AttemptPlan, Pause
from gonka_integrations.core.endpoints import Bearer, Endpoint
from gonka_integrations.core.pool import EndpointPool, Outcome
from gonka_integrations.core.retries import RetryBudget, RetryPolicy
from gonka_integrations.core.verdicts import Health, judge_failure

from ..common.stats import quantile

if TYPE_CHECKING:
    from gonka_integrations.core.pool import Lease

LIMIT, DEADLINE, REFUSAL, BODY = 10.0, 60.0, 0.05, 3.0
SLOTS_PER_HOST = 8
#: what a process yields: seconds to sleep, or a waiter that may be woken before
Process = Generator[Any, None, None]


@dataclass
class Host:
    """One host of the model; *weight* is its share of the stake, *slots* what it does at once."""

    weight: float
    slots: float
    dead: str = ""
    slower: float = 1.0
    in_flight: int = 0
    begun: int = 0

    def first_token(self, chance: random.Random) -> float:
        """Seconds to the first content at the present load."""
        usual = math.exp(chance.gauss(math.log(0.6), 0.4)) * self.slower
        return usual * (1 + self.in_flight / self.slots)


def network(count: int, chance: random.Random) -> list[Host]:
    weights = [chance.paretovariate(1.2) for _ in range(count)]
    total = sum(weights)
    hosts = [Host(w / total, max(1.0, w / total * count * SLOTS_PER_HOST)) for w in weights]
    dead = 0.0
    for number, host in enumerate(chance.sample(hosts, count)):
        if dead + host.weight <= 0.3:
            host.dead = "refuse" if number % 2 else "hang"
            dead += host.weight
        elif chance.random() < 0.1:
            host.slower = 10.0
    return hosts


@dataclass
class World:
    """Simulated time, and what the calls came to."""

    hosts: list[Host]
    chance: random.Random
    now: float = 0.0
    firsts: list[float] = field(default_factory=list)
    calls: int = 0
    attempts: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _order: Any = field(default_factory=itertools.count)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), action))

    def spawn(self, process: Process) -> None:
        """Run *process* until it ends, resuming it after what it yields."""
        waited = next(process, None)
        if waited is None:
            return
        seconds, waiter = waited if isinstance(waited, tuple) else (waited, None)
        resumed = [False]

        def resume() -> None:
            if not resumed[0]:
                resumed[0] = True
                self.spawn(process)

        if waiter is not None:
            waiter.wake = lambda: self.at(0.0, resume)
        self.at(seconds, resume)

    def run(self) -> None:
        while self._events:
            self.now, _, action = heapq.heappop(self._events)
            action()


class Ours:
    """Calls decided by the library's own pool and plan."""

    def __init__(self, world: World, hedge_after: float | None) -> None:
        self.world, self.hedge_after = world, hedge_after
        self.by_url = {f"http://host-{i}/v1": host for i, host in enumerate(world.hosts)}
        clock = lambda: world.now  # noqa: E731
        self.pool = EndpointPool(clock=clock, rng=random.Random(world.chance.random()))
        self.pool.replace(
            Endpoint("gateway", url, Bearer(None, url), weight=host.weight)
            for url, host in self.by_url.items()
        )
        self.budget = RetryBudget(clock=clock)

    def call(self) -> Process:
        world, begun = self.world, self.world.now
        plan = AttemptPlan(
            self.pool, budget=self.budget, policy=RetryPolicy(), model="model",
            deadline=begun + DEADLINE, uniform=world.chance.uniform,
        )  # fmt: skip
        while (step := plan.next()) is not None:
            if isinstance(step, Pause):
                yield step.seconds, step.waiter
                continue
            limit = plan.first_token_limit(LIMIT) - world.now
            first, failure = self._draw(step, limit)
            second: Lease | None = None
            if self.hedge_after is not None and first > self.hedge_after:
                yield self.hedge_after
                second = plan.hedge(step)
                first -= self.hedge_after
            if second is None:
                yield first
                if self._ended(plan, step, failure, begun):
                    return
                continue
            other, other_failure = self._draw(second, plan.first_token_limit(LIMIT) - world.now)
            if (yield from self._race(
                plan, begun, (first, failure, step), (other, other_failure, second)
            )):  # fmt: skip
                return

    def _race(self, plan: AttemptPlan, begun: float, *lanes: tuple[float, str, Lease]) -> Any:
        """Two attempts side by side: the first that answers serves, the other is let go."""
        passed = 0.0
        ordered = sorted(lanes, key=lambda lane: lane[0])
        for number, (seconds, failure, lease) in enumerate(ordered):
            yield seconds - passed
            passed = seconds
            if self._ended(plan, lease, failure, begun):
                for _, _, loser in ordered[number + 1 :]:
                    self._release(loser)
                    waited = self.world.now - loser.started
                    self.pool.settle(
                        loser, Outcome(Health.SHARE, "outrun", first_token=waited, ambiguous=True)
                    )
                return True
        return False

    def _draw(self, lease: Lease, limit: float) -> tuple[float, str]:
        """Seconds until the attempt says something, and what is wrong with that."""
        world, host = self.world, self.by_url[lease.endpoint.base_url]
        world.attempts += 1
        host.in_flight += 1
        host.begun += 1
        if host.dead == "refuse":
            return REFUSAL, "refused"
        first = math.inf if host.dead else host.first_token(world.chance)
        return (limit, "first_token_timeout") if first > limit else (first, "")

    def _release(self, lease: Lease) -> None:
        self.by_url[lease.endpoint.base_url].in_flight -= 1

    def _ended(self, plan: AttemptPlan, lease: Lease, failure: str, begun: float) -> bool:
        """Take in how an attempt went; whether the call is served by it."""
        world, spent = self.world, self.world.now - lease.started
        if failure:
            self._release(lease)
            verdict = judge_failure(failure)
            self.pool.settle(lease, Outcome(verdict.health, failure))
            plan.failed(lease, verdict, "", ambiguous=failure != "refused")
            return False
        self.pool.heard(lease)
        world.firsts.append(world.now - begun)
        self.budget.deposit()
        world.spawn(self._body(lease, spent))
        return True

    def _body(self, lease: Lease, first: float) -> Process:
        yield BODY
        self._release(lease)
        if self.world.chance.random() < 0.05:
            self.pool.settle(lease, Outcome(judge_failure("cut").health, "cut"))
        else:
            self.pool.settle(lease, Outcome(first_token=first, total=first + BODY))


class Naive:
    """Three tries, drawn uniformly or by stake, the same host as likely as before."""

    def __init__(self, world: World, *, by_stake: bool) -> None:
        self.world = world
        self.weights = [host.weight if by_stake else 1.0 for host in world.hosts]

    def call(self) -> Process:
        world, begun = self.world, self.world.now
        for host in world.chance.choices(world.hosts, self.weights, k=3):
            world.attempts += 1
            host.in_flight += 1
            host.begun += 1
            first = math.inf if host.dead else host.first_token(world.chance)
            failed = host.dead == "refuse" or first > LIMIT
            yield REFUSAL if host.dead == "refuse" else min(first, LIMIT)
            if not failed:
                world.firsts.append(world.now - begun)
                yield BODY
            host.in_flight -= 1
            if not failed:
                return


POLICIES: dict[str, Callable[[World], Any]] = {
    "uniform, 3 tries": lambda world: Naive(world, by_stake=False),
    "by stake, 3 tries": lambda world: Naive(world, by_stake=True),
    "ours": lambda world: Ours(world, None),
    "ours, hedged at 2.5 s": lambda world: Ours(world, 2.5),
}


def simulate(policy: str, count: int, seed: int) -> dict[str, float]:
    """Figures of one policy: as many calls as 60 for each host, 6,000 at least."""
    chance = random.Random(seed)
    world = World(network(count, chance), chance)
    caller = POLICIES[policy](world)
    world.calls = max(6_000, 60 * count)
    rate = 0.4 * sum(host.slots for host in world.hosts) / (0.8 + BODY)
    moment = 0.0
    for _ in range(world.calls):
        moment += chance.expovariate(rate)
        world.at(moment, lambda: world.spawn(caller.call()))
    world.run()
    alive = [host for host in world.hosts if not host.dead]
    begun, stake = sum(host.begun for host in alive), sum(host.weight for host in alive)
    moved = sum(abs(host.begun / begun - host.weight / stake) for host in alive) / 2
    return {
        "first content %": 100 * len(world.firsts) / world.calls,
        "p95 s": quantile(world.firsts, 0.95), "p99 s": quantile(world.firsts, 0.99),
        "attempts": world.attempts / world.calls, "off stake %": 100 * moved,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found = {
        f"{count} hosts, {policy}": [
            simulate(policy, count, seed) for seed in range(1, options.seeds + 1)
        ]
        for count in options.hosts
        for policy in POLICIES
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
