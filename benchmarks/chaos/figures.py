"""Figures out of the outcomes of a load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common.stats import quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .control import Control
    from .load import Outcome

Figures = dict[str, float]


def within(outcomes: Sequence[Outcome], low: float, high: float) -> list[Outcome]:
    return [outcome for outcome in outcomes if low <= outcome.start < high]


def rate(outcomes: Sequence[Outcome], low: float, high: float) -> float:
    """Good answers per second that arrived in the window."""
    return sum(1 for o in outcomes if o.ok and low <= o.end < high) / (high - low)


def success(outcomes: Sequence[Outcome]) -> float:
    """Per cent of calls that brought the whole answer."""
    return 100 * sum(o.ok for o in outcomes) / len(outcomes) if outcomes else float("nan")


def ms(outcomes: Sequence[Outcome], share: float) -> float:
    return 1000 * quantile([outcome.seconds for outcome in outcomes], share)


async def share(control: Control, hosts: list[int], low: float, high: float) -> float:
    """Per cent of the requests in the window that went to *hosts*."""
    requests = (await control.counts(low, high))["requests"]
    return 100 * sum(requests[host] for host in hosts) / max(1, sum(requests))


def endings(outcomes: Sequence[Outcome]) -> Figures:
    """How streams ended that did not end well."""
    count = max(1, len(outcomes))
    kinds = ("typed", "error", "lost", "wrong")
    found = {kind: sum(o.kind == kind for o in outcomes) for kind in kinds}
    return {
        "typed error with partial text %": 100 * found["typed"] / count,
        "failed before text": found["error"],
        "failed after text, text lost": found["lost"],
        "silent truncations": found["wrong"],
    }
