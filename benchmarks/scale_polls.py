"""What a fleet of sessions reads of the nodes it discovers from, by simulation.

    python -m benchmarks.scale_polls [--workers 1000] [--interval 60] [--minutes 120]

Every worker follows the refresher's own decisions (`PollPlan`, `spread`) on a simulated clock, with
a change of the epoch in the middle. Counted are reads of the fleet: where the chain is
(`/v1/epochs/latest`) and the list (`/v1/epochs/current/participants`). Budgets are left out: the
numbers are what the fleet would read if it were allowed to.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Callable, Iterator

from benchmarks.common.table import markdown
from gonka_integrations.core.refresh_policy import PollPlan, Situation, spread

LATE = 20.0  # seconds by which the change comes after its prediction
PUBLISHED = 3.0  # seconds until the new list is there, once the chain is in the new epoch
Uniform = Callable[[float, float], float]


def together(_: float, high: float) -> float:
    """No chance at all: what the refresher did if it spread nothing."""
    return high


def reads(
    plan: PollPlan, change: float, end: float, start: float, uniform: Uniform
) -> Iterator[tuple[float, str]]:
    """Moments, in seconds, and kinds of one worker's reads until *end*."""
    now, list_read, has_new = start, start, False
    yield now, "list"  # before the first call
    now += uniform(plan.floor, plan.interval)
    while now < end:
        yield now, "epoch"
        in_new = now >= change + LATE
        situation = Situation(
            to_change=None if in_new else change - now,
            behind=in_new and not has_new,
            list_age=now - list_read,
        )
        if plan.wants_list(situation):
            yield now, "list"
            list_read = now
            has_new = has_new or now >= change + LATE + PUBLISHED
            situation = Situation(situation.to_change, in_new and not has_new, list_age=0.0)
        now += spread(plan.delay(situation), plan.floor, uniform)


def fleet(workers: int, interval: float, minutes: float, *, spreads: bool) -> list[str]:
    chance = random.Random(1)
    uniform = chance.uniform if spreads else together
    plan, end = PollPlan(interval=interval), minutes * 60
    change = end / 2
    moments: list[tuple[float, str]] = []
    for _ in range(workers):
        moments += reads(plan, change, end, chance.uniform(0.0, 2.0), uniform)
    quiet = [m for m, _ in moments if 300 <= m < change - interval - 60]
    around = [m for m, _ in moments if change - 60 <= m < change + 120]
    span = (change - interval - 60 - 300) / 60
    seconds = Counter(int(m) for m in quiet)
    change_minutes = Counter(int(m // 60) for m in around)
    return [
        f"{interval:g} s, {'spread' if spreads else 'in step'}",
        f"{len(quiet) / span:,.0f}",
        f"{max(seconds.values()):,}",
        f"{max(change_minutes.values()):,}",
        f"{len(around) / workers:.1f}",
    ]


HEAD = [
    "interval",
    "reads a minute",
    "most in one second",
    "most in a minute around the change",
    "reads of each worker around it",
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--interval", type=float, nargs="+", default=[60.0, 600.0, 3_600.0])
    parser.add_argument("--minutes", type=float, default=480.0)
    options = parser.parse_args()
    rows = [
        fleet(options.workers, interval, options.minutes, spreads=spreads)
        for interval in options.interval
        for spreads in (False, True)
    ]
    print(f"{options.workers} workers, one source, all started within 2 s\n")
    print(markdown(HEAD, rows))


if __name__ == "__main__":
    main()
