"""Counters and latency quantiles, cheap enough to keep for every endpoint and model."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

# Upper bounds in seconds, growing by a quarter: quantiles are right to about 12 %.
_BOUNDS = tuple(0.001 * 1.25**step for step in range(66))


class Histogram:
    """Durations in geometric buckets from 1 ms to about half an hour."""

    __slots__ = ("_counts", "count", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self.count = 0
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self.count += 1
        self.total += seconds

    def quantile(self, share: float) -> float | None:
        """Duration below which *share* (0 to 1) of the counted ones lie, None without any."""
        if not self.count:
            return None
        wanted, seen = share * self.count, 0
        for index, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return _BOUNDS[min(index, len(_BOUNDS) - 1)]
        return _BOUNDS[-1]

    def summary(self) -> dict[str, float | int | None]:
        """Count, mean and the quantiles people look at, in seconds."""
        return {
            "count": self.count,
            "mean": self.total / self.count if self.count else None,
            "p50": self.quantile(0.5),
            "p95": self.quantile(0.95),
            "p99": self.quantile(0.99),
        }


@dataclass(slots=True)
class ModelStats:
    """What one endpoint did for one model."""

    calls: int = 0
    served: int = 0
    cancelled: int = 0
    ambiguous: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    first_token: Histogram = field(default_factory=Histogram)
    total: Histogram = field(default_factory=Histogram)

    def count_served(self, first_token: float | None, total: float | None) -> None:
        """Count an answer, and its times in seconds where they are known."""
        self.served += 1
        if first_token is not None:
            self.first_token.add(first_token)
        if total is not None:
            self.total.add(total)

    def count_failure(self, kind: str, *, ambiguous: bool = False) -> None:
        """Count a failure under its kind."""
        self.failures[kind] = self.failures.get(kind, 0) + 1
        self.ambiguous += ambiguous

    def snapshot(self) -> dict[str, Any]:
        """The counters as plain JSON values."""
        return {
            "calls": self.calls,
            "served": self.served,
            "cancelled": self.cancelled,
            "ambiguous": self.ambiguous,
            "failures": dict(self.failures),
            "first_token_seconds": self.first_token.summary(),
            "total_seconds": self.total.summary(),
        }
