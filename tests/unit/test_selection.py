"""Weighted choice: shares are right, and cost does not grow with the pool."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from made import FakeClock, node

from gonka_integrations.core.pool import EndpointPool, Outcome, Want
from gonka_integrations.core.selection import WeightedTable

DRAWS = 200_000


def stakes(count: int = 100) -> list[float]:
    """A heavy-tailed distribution, as stake is distributed."""
    rng = random.Random(7)
    return [100.0 * rng.paretovariate(1.2) for _ in range(count)]


def worst_of_the_heaviest(counts: Counter[int], weights: list[float]) -> float:
    """Largest relative error of the shares of the ten heaviest."""
    total, drawn = sum(weights), counts.total()
    heaviest = sorted(range(len(weights)), key=weights.__getitem__)[-10:]
    return max(abs(counts[i] / drawn / (weights[i] / total) - 1) for i in heaviest)


def test_the_heaviest_get_their_share() -> None:
    weights, rng = stakes(), random.Random(1)
    table = WeightedTable(range(100), weights)
    counts = Counter(table.draw(rng.random) for _ in range(DRAWS))
    assert worst_of_the_heaviest(counts, weights) < 0.05


def test_also_through_a_pool_whose_endpoints_are_equally_quick() -> None:
    weights, clock = stakes(), FakeClock()
    pool = EndpointPool(clock=clock, rng=random.Random(2))
    pool.replace(node(i, weight=weight) for i, weight in enumerate(weights))
    want, quick = Want("llama"), Outcome(first_token=0.05, total=0.1)
    position = {endpoint.address: i for i, endpoint in enumerate(pool.endpoints())}
    for _ in range(2_000):  # each is measured once at least, as a running pool's are
        lease = pool.acquire(want)
        assert lease is not None
        pool.settle(lease, quick)
        clock.advance(0.01)
    counts: Counter[int] = Counter()
    for _ in range(DRAWS // 2):
        lease = pool.acquire(want)
        assert lease is not None
        counts[position[lease.endpoint.address]] += 1
        pool.settle(lease, quick)
        clock.advance(0.01)  # those that are idle are not preferred for it
    assert worst_of_the_heaviest(counts, weights) < 0.05
    assert pool.in_flight() == 0


def test_ends_of_the_range() -> None:
    table = WeightedTable("abc", [1, 2, 3])
    assert table.draw(lambda: 0.0) == "a"
    assert {table.draw(lambda: 1 / 3 - 1e-9), table.draw(lambda: 1.0 - 2**-53)} == {"c"}
    assert len(table) == 3
    assert table.items == ("a", "b", "c")


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1_000])
def test_shares_are_exact(count: int) -> None:
    """Of equally spaced draws each item gets what its weight says, however rounding falls."""
    weights = stakes(count)
    table, draws = WeightedTable(range(count), weights), 1_000 * count
    counts = Counter(table.draw(lambda n=n: (n + 0.5) / draws) for n in range(draws))
    wanted = [weight / sum(weights) * draws for weight in weights]
    assert sum(abs(counts[item] - share) for item, share in enumerate(wanted)) <= 2 * count


@pytest.mark.parametrize(
    ("items", "weights"), [("ab", [1]), ("a", [0]), ("ab", [1, -1])], ids=["short", "zero", "less"]
)
def test_weights_that_are_none(items: str, weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        WeightedTable(items, weights)


def test_an_empty_table() -> None:
    assert len(WeightedTable("", [])) == 0
