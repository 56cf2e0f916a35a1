"""Medians, quantiles and the ratio of two subjects over the rounds of one run."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which *share* (0..1) of *values* lies (nearest rank); nan when empty."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def paired_ratio(ours: Sequence[float], base: Sequence[float]) -> float:
    """Median of the ratios round by round: what a busy machine does to one round cancels out."""
    return statistics.median(a / b for a, b in zip(ours, base, strict=False))
