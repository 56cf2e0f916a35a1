"""The tests: what fails when, and which figures are taken.

Every scenario gets a fresh subject, ten healthy hosts and 20 callers, and gives back numbers.
Times are seconds from the start of the load; the first half second is warm-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..common.stats import median
from .figures import Figures, endings, ms, rate, share, success, within
from .load import Load, Outcome

if TYPE_CHECKING:
    from .control import Control, Fault
    from .load import Operation

ALL = list(range(10))
THREE = [0, 3, 6]
#: seconds from the start of the load, who, and what they do wrong from then on (nothing: healed)
Steps = Sequence[tuple[float, list[int], list["Fault"]]]


@dataclass(frozen=True)
class Setting:
    """What a scenario runs on: the subject's two ways to be asked, and the server's strings."""

    call: Operation
    stream: Operation | None
    control: Control
    seed: int


Scenario = Callable[[Setting], Awaitable[Figures | None]]


async def _script(control: Control, steps: Steps) -> None:
    """At each time, give *hosts* those faults (an empty list heals them)."""
    now = 0.0
    for at, hosts, faults in steps:
        await asyncio.sleep(at - now)
        now = at
        await control.fail(hosts, *faults)


async def _run(setting: Setting, load: Load, steps: Steps = ()) -> list[Outcome]:
    await setting.control.forget(setting.seed)
    if steps and steps[0][0] == 0:
        await setting.control.fail(steps[0][1], *steps[0][2])
        steps = steps[1:]
    script = asyncio.create_task(_script(setting.control, steps))
    outcomes = await load.run()
    script.cancel()
    return outcomes


def three_fail(fault: Fault, after: float = 4.0) -> Scenario:
    """Hosts 0, 3 and 6 fail from 2 s to 8 s; *after* more seconds are watched."""

    async def scenario(setting: Setting) -> Figures:
        steps = [(2.0, THREE, [fault]), (8.0, THREE, [])]
        outcomes = await _run(setting, Load(setting.call, seconds=8 + after), steps)
        before, during = within(outcomes, 0.5, 1.9), within(outcomes, 2.0, 7.9)
        usual = median([outcome.seconds for outcome in before])
        bad = [o.start - 2 for o in during if not o.ok or o.seconds > 4 * usual]
        sent = sum((await setting.control.counts(2.0, 8.0))["requests"])
        figures = {
            "success %": success(during),
            "rps before": rate(outcomes, 0.5, 2), "rps during": rate(outcomes, 2.2, 8),
            "p99 ms before": ms(before, 0.99), "p99 ms": ms(during, 0.99),
            "last bad s": max(bad, default=0.0), "bad calls": len(bad),
            "sent per call": sent / max(1, len(during)),
            "share 2-4 s after %": await share(setting.control, THREE, 10, 12),
        }  # fmt: skip
        if after >= 10:
            figures["share 8-10 s after %"] = await share(setting.control, THREE, 16, 18)
        return figures

    return scenario


_CUT = {"kind": "cut", "after_tokens": 5, "probability": 0.05}
_CHAOS: list[tuple[list[int], list[Fault]]] = [
    ([0], [{"kind": "refuse"}]),
    ([1], [{"kind": "hang"}]),
    ([2], [{"kind": "status", "status": 503}]),
    ([3], [{"kind": "slow", "delay": 1.0}, _CUT]),
    ([4, 5, 6, 7, 8, 9], [_CUT]),
]


async def _healthy(setting: Setting, operation: Operation) -> tuple[float, float]:
    """Median and 95th percentile in ms with nothing wrong."""
    outcomes = (await _run(setting, Load(operation, count=400, seconds=10)))[40:]
    return ms(outcomes, 0.5), ms(outcomes, 0.95)


async def _storm(
    setting: Setting, operation: Operation, faults: Sequence[tuple[list[int], list[Fault]]]
) -> tuple[list[Outcome], Figures]:
    """600 calls at most, under faults that are there from the first one on."""
    p50, p95 = await _healthy(setting, operation)
    await setting.control.forget(setting.seed)
    for hosts, kinds in faults:
        await setting.control.fail(hosts, *kinds)
    outcomes = await Load(operation, count=600, seconds=30).run()
    sent = sum((await setting.control.counts())["requests"])
    took = max((o.end for o in outcomes), default=1.0)
    half = outcomes[len(outcomes) // 2 :]
    return outcomes, {
        "calls": len(outcomes), "success %": success(outcomes),
        "second half %": success(half),
        "p50 ms": ms(outcomes, 0.5), "p95 ms": ms(outcomes, 0.95),
        "p95 x healthy": ms(outcomes, 0.95) / p95, "healthy p50 ms": p50, "healthy p95 ms": p95,
        "good rps": sum(o.ok for o in outcomes) / took,
        "sent per call": sent / max(1, len(outcomes)),
        "wrong": sum(o.kind == "wrong" for o in outcomes),
    }  # fmt: skip


def chaos_calls(latency: float) -> Scenario:
    async def scenario(setting: Setting) -> Figures:
        await setting.control.latency(latency)
        return (await _storm(setting, setting.call, _CHAOS))[1]

    return scenario


def chaos_streams(latency: float) -> Scenario:
    async def scenario(setting: Setting) -> Figures | None:
        if setting.stream is None:
            return None
        await setting.control.latency(latency)
        outcomes, figures = await _storm(setting, setting.stream, _CHAOS)
        return figures | endings(outcomes)

    return scenario


async def random_failures(setting: Setting) -> Figures:
    """Every host fails 20 % of its calls, in four ways."""
    chance = 0.0543  # four draws in a row of this probability hit one call in five
    kinds: list[Fault] = [
        {"kind": "status", "status": 503, "probability": chance},
        {"kind": "reset", "probability": chance},
        {"kind": "cut", "after_tokens": 5, "probability": chance},
        {"kind": "garbage", "probability": chance},
    ]
    return (await _storm(setting, setting.call, [(ALL, kinds)]))[1]


def three_calls_fail(fault: Fault) -> Scenario:
    """Three of ten hosts fail every call the same way, from before the first one on."""

    async def scenario(setting: Setting) -> Figures:
        return (await _storm(setting, setting.call, [(THREE, [fault])]))[1]

    return scenario


def three_streams_fail(fault: Fault) -> Scenario:
    """Three of ten hosts break every stream the same way; the rest is healthy."""

    async def scenario(setting: Setting) -> Figures | None:
        if setting.stream is None:
            return None
        outcomes, figures = await _storm(setting, setting.stream, [(THREE, [fault])])
        return figures | endings(outcomes)

    return scenario


async def all_down(setting: Setting) -> Figures:
    """Nobody listens from 1 s to 6 s; watched until 18 s."""
    steps: Steps = [(1.0, ALL, [{"kind": "refuse"}]), (6.0, ALL, [])]
    outcomes = await _run(setting, Load(setting.call, seconds=18), steps)
    down = within(outcomes, 1.0, 5.9)
    firsts = [outcome.end - 6 for outcome in outcomes if outcome.ok and outcome.end > 6]
    return {
        "success % of calls begun while down": success(down),
        "calls failed": sum(not o.ok for o in outcomes),
        "first success after s": min(firsts, default=float("inf")),
        "rps 1-3 s after": rate(outcomes, 7, 9),
    }


async def broad_outage(setting: Setting) -> Figures:
    """Every host answers 503 for 10 s, from before the first call."""
    outcomes = await _run(
        setting,
        Load(setting.call, seconds=10),
        [(0.0, ALL, [{"kind": "status", "status": 503}])],
    )
    counts = await setting.control.counts(0, 10)
    return {
        "calls": len(outcomes), "sent": sum(counts["requests"]),
        "sent per call": sum(counts["requests"]) / max(1, len(outcomes)),
        "sent per second": sum(counts["requests"]) / 10,
    }  # fmt: skip


async def replays(setting: Setting) -> Figures:
    """Three hosts answer 503; hosts refuse a signature they have seen."""
    steps: Steps = [(0.0, THREE, [{"kind": "status", "status": 503}])]
    outcomes = await _run(setting, Load(setting.call, count=400, seconds=20), steps)
    return {
        "success %": success(outcomes),
        "replays refused": (await setting.control.counts())["replays"],
    }


@dataclass(frozen=True)
class Test:
    """A scenario with its time limits in seconds: of one attempt, and of a whole call of ours."""

    run: Scenario
    limit: float = 1.0
    deadline: float = 10.0


SCENARIOS: dict[str, Test] = {
    "3 of 10 refuse": Test(three_fail({"kind": "refuse"})),
    "3 of 10 answer 503": Test(three_fail({"kind": "status", "status": 503})),
    "3 of 10 answer 429": Test(three_fail({"kind": "status", "status": 429})),
    "3 of 10 go silent": Test(three_fail({"kind": "hang"}, after=10)),
    "3 of 10 answer 429, Retry-After 2": Test(
        three_calls_fail({"kind": "status", "status": 429, "headers": {"Retry-After": "2"}})
    ),
    "3 of 10 reset connections": Test(three_calls_fail({"kind": "reset"})),
    "3 of 10 send HTML with 200": Test(three_calls_fail({"kind": "html"})),
    "3 of 10 send garbage with 200": Test(three_calls_fail({"kind": "garbage"})),
    "chaos, calls (20 ms)": Test(chaos_calls(0.02), limit=1.5),
    "chaos, calls (50 ms)": Test(chaos_calls(0.05), limit=1.5),
    "chaos, streams (20 ms)": Test(chaos_streams(0.02), limit=1.5),
    "every host fails 20 %": Test(random_failures),
    "3 of 10 cut after the role": Test(three_streams_fail({"kind": "role_then_cut"})),
    "3 of 10 stall after the role": Test(
        three_streams_fail({"kind": "hang_mid_stream", "after_tokens": 0})
    ),
    "3 of 10 end without finish": Test(
        three_streams_fail({"kind": "no_finish", "after_tokens": 5})
    ),
    "all down 5 s": Test(all_down),
    "broad outage (503), calls of 2 s": Test(broad_outage, deadline=2.0),
    "broad outage (503), calls of 10 s": Test(broad_outage),
    "replayed signatures refused": Test(replays),
}
