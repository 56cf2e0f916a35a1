"""Who is next: weighted choice in constant time, and the better of two chosen that way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from .leases import EndpointState, Want

T = TypeVar("T")

_DRAWS = 16
_MOST_SEEN = 4
_FAR = 8.0


class WeightedTable(Generic[T]):
    """Items that are drawn in proportion to their weights, by Walker's alias method; immutable.

    Each item has a cell of equal size; what a light item leaves free of its cell is given to a
    heavy one, so that a draw is one multiplication and one comparison however many there are.

    Args:
        items: What is drawn.
        weights: One positive weight for each item.

    Raises:
        ValueError: The lengths differ, or a weight is not positive.
    """

    __slots__ = ("_cells", "items")

    def __init__(self, items: Sequence[T], weights: Sequence[float]) -> None:
        if len(items) != len(weights):
            raise ValueError(f"{len(items)} items but {len(weights)} weights")
        if any(weight <= 0 for weight in weights):
            raise ValueError("weights must be positive")
        self.items = tuple(items)
        self._cells = _cells(self.items, weights)

    def draw(self, random: Callable[[], float]) -> T:
        """One item; *random* gives numbers in [0, 1). Empty tables have nothing to draw."""
        cells = self._cells
        place = random() * len(cells)
        index = int(place)
        border, own, guest = cells[index]
        return own if place < border else guest

    def __len__(self) -> int:
        return len(self.items)


def choose(
    table: WeightedTable[EndpointState],
    want: Want,
    now: float,
    rng: random.Random,
    usual: float = math.inf,
) -> EndpointState | None:
    """The cheaper of two usable endpoints drawn by weight; None when none is usable.

    A call that has failed already tries no endpoint that is on trial while there are others.

    Args:
        table: Who is drawn from.
        want: What the call is looking for.
        now: Current time in seconds.
        rng: Source of randomness.
        usual: Seconds until first content that are usual here; when the cheaper of two is far
            from that, more are drawn.
    """
    far = _FAR * usual
    best: EndpointState | None = None
    cost, seen = math.inf, 0
    if len(table.items) > 2:  # noqa: PLR2004 - fewer are compared whole
        draw, random = table.draw, rng.random
        for _ in range(_DRAWS):
            state = draw(random)
            if state is best or not state.usable(want, now):
                continue
            if want.tried and state.health.on_trial:
                continue
            seen += 1
            this = state.cost(now, usual)
            if best is None or this < cost:
                best, cost = state, this
            if (seen > 1 and cost <= far) or seen == _MOST_SEEN:
                return best
    return _scan(table.items, want, now, rng, usual) if best is None else best


def _scan(
    states: Sequence[EndpointState], want: Want, now: float, rng: random.Random, usual: float
) -> EndpointState | None:
    usable = [state for state in states if state.usable(want, now)]
    if want.tried:
        usable = [state for state in usable if not state.health.on_trial] or usable
    if len(usable) < 2:  # noqa: PLR2004 - nothing to compare
        return usable[0] if usable else None

    def cost(state: EndpointState) -> float:
        return state.cost(now, usual)

    best = min(rng.choices(usable, [state.endpoint.weight for state in usable], k=2), key=cost)
    return best if cost(best) <= _FAR * usual else min(usable, key=cost)


def _cells(items: Sequence[T], weights: Sequence[float]) -> list[tuple[float, T, T]]:
    """For each item: up to where its cell is its own, itself, and who has the rest."""
    total = sum(weights)
    left = [weight * len(items) / total for weight in weights]
    light = [index for index, share in enumerate(left) if share < 1.0]
    heavy = [index for index, share in enumerate(left) if share >= 1.0]
    cells = [(index + 1.0, item, item) for index, item in enumerate(items)]
    while light and heavy:
        poor, rich = light.pop(), heavy[-1]
        cells[poor] = (poor + left[poor], items[poor], items[rich])
        left[rich] -= 1.0 - left[poor]
        if left[rich] < 1.0:
            light.append(heavy.pop())
    return cells  # those that rounding left over keep their cells
