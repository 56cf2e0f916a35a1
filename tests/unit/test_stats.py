"""Counters and quantiles: right to an eighth, cheap, and plain JSON."""

from __future__ import annotations

import json
import random

import pytest

from gonka_integrations.core.stats import Histogram, ModelStats


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def test_nothing_counted() -> None:
    assert Histogram().quantile(0.5) is None
    assert Histogram().summary() == {
        "count": 0, "mean": None, "p50": None, "p95": None, "p99": None,
    }  # fmt: skip


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9, 0.95, 0.99])
def test_quantiles_are_right_to_a_quarter(share: float) -> None:
    rng = random.Random(4)
    values = [rng.lognormvariate(-1, 1) for _ in range(5_000)]
    exact = sorted(values)[int(share * len(values)) - 1]
    found = filled(values).quantile(share)
    assert found is not None
    assert exact / 1.01 <= found <= exact * 1.26


def test_mean_is_exact() -> None:
    summary = filled([1.0, 2.0, 6.0]).summary()
    assert summary["count"] == 3
    assert summary["mean"] == pytest.approx(3.0)


def test_ends_of_the_range() -> None:
    assert filled([0.0]).quantile(0.5) == 0.001
    assert filled([1e-9] * 10).quantile(0.99) == 0.001
    longest = filled([1e9]).quantile(0.5)
    assert longest is not None
    assert 1_000 < longest < 3_000


def test_snapshot() -> None:
    stats = ModelStats()
    stats.calls, stats.served = 3, 1
    stats.count_failure("cut")
    stats.count_failure("cut")
    stats.first_token.add(0.1)
    shown = json.loads(json.dumps(stats.snapshot()))
    assert shown["failures"] == {"cut": 2}
    assert shown["first_token_seconds"]["count"] == 1
    shown["failures"]["cut"] = 9
    assert stats.failures == {"cut": 2}
