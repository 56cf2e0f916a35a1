"""Weighted choice in O(log n): prefix sums and a binary search."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class WeightedTable(Generic[T]):
    """Items that are drawn in proportion to their weights; immutable.

    Args:
        items: What is drawn.
        weights: One positive weight for each item.

    Raises:
        ValueError: The lengths differ, or a weight is not positive.
    """

    __slots__ = ("_cumulative", "_total", "items")

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        if len(items) != len(weights):
            raise ValueError(f"{len(items)} items but {len(weights)} weights")
        if any(weight <= 0 for weight in weights):
            raise ValueError("weights must be positive")
        self.items = tuple(items)
        sums = list(accumulate(weights))
        self._total = sums[-1] if sums else 0.0
        # Without the last sum a search cannot run past the end, whatever rounding does.
        self._cumulative = sums[:-1]

    def draw(self, random: Callable[[], float]) -> T:
        """One item; *random* gives numbers in [0, 1). Empty tables have nothing to draw."""
        return self.items[bisect_right(self._cumulative, random() * self._total)]

    def __len__(self) -> int:
        return len(self.items)
