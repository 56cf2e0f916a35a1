"""The figures the project sets itself under failure, held against one run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HEAD = ("test", "to reach", "ours", "ours, hedged", "best peer", "reached")
Row = tuple[str, str, str, str, str, str]
_OURS, _HEDGED = "ours: core.chat", "ours: core.chat, hedged"
_PEERS = (
    "plain clients, random", "LiteLLM Router", "multiplexer-llm, SDK retries 0",
    "multiplexer-llm as its README", "LangChain with_fallbacks",
)  # fmt: skip


class Run:
    """Medians of one result; nan where something did not run."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._medians = result["medians"]
        self.alone: dict[str, dict[str, float]] = result["alone"]

    def get(self, scenario: str, subject: str, figure: str) -> float:
        found = self._medians.get(scenario, {}).get(subject, {})
        return float(found.get(figure, "nan"))

    def best(self, scenario: str, figure: str, better: Callable[[Sequence[float]], float]) -> str:
        """The best figure of a peer, and whose it is."""
        found = {name: self.get(scenario, name, figure) for name in _PEERS}
        known = {name: value for name, value in found.items() if not math.isnan(value)}
        if not known:
            return "-"
        name, value = better(list(known.items()), key=lambda item: item[1])  # type: ignore[call-arg]
        return f"{value:.4g} ({name})"


def rows(result: dict[str, Any]) -> list[Row]:
    run = Run(result)
    return [*_three(run), *_chaos(run), *_streams(run), *_outages(run), *_alone(run)]


def _row(
    run: Run, scenario: str, figure: str, limit: float, *, at_least: bool = False,
    hedged_counts: bool = False,
) -> Row:  # fmt: skip
    plain, hedged = run.get(scenario, _OURS, figure), run.get(scenario, _HEDGED, figure)
    judged = hedged if hedged_counts else plain
    good = judged >= limit if at_least else judged <= limit
    sign = ">=" if at_least else "<="
    return (
        f"{scenario}: {figure}", f"{sign} {limit:g}{' hedged' if hedged_counts else ''}",
        f"{plain:.4g}", f"{hedged:.4g}", run.best(scenario, figure, max if at_least else min),
        "yes" if good else "**no**",
    )  # fmt: skip


def _ratio(run: Run, scenario: str, top: str, bottom: str, subject: str) -> float:
    return run.get(scenario, subject, top) / run.get(scenario, subject, bottom)


def _three(run: Run) -> Iterator[Row]:
    for scenario in ("3 of 10 refuse", "3 of 10 answer 503", "3 of 10 answer 429"):
        yield _row(run, scenario, "success %", 100, at_least=True)
        yield _relative(run, scenario, "p99 ms", "p99 ms before", 1.2, at_least=False)
        yield _row(run, scenario, "share 2-4 s after %", 20, at_least=True)
    silent = "3 of 10 go silent"
    yield _row(run, silent, "success %", 100, at_least=True)
    yield _relative(run, silent, "rps during", "rps before", 0.85, at_least=True)
    yield _row(run, silent, "p99 ms", 200, hedged_counts=True)
    yield _row(run, silent, "p99 ms", 1_100)
    yield _row(run, silent, "share 8-10 s after %", 20, at_least=True)


def _relative(
    run: Run, scenario: str, top: str, bottom: str, limit: float, *, at_least: bool
) -> Row:
    plain, hedged = (_ratio(run, scenario, top, bottom, who) for who in (_OURS, _HEDGED))
    peers = [_ratio(run, scenario, top, bottom, who) for who in _PEERS]
    known = [value for value in peers if not math.isnan(value)]
    best = (max(known) if at_least else min(known)) if known else float("nan")
    good = plain >= limit if at_least else plain <= limit
    return (
        f"{scenario}: {top} / {bottom}", f"{'>=' if at_least else '<='} {limit:g}",
        f"{plain:.3g}", f"{hedged:.3g}", f"{best:.3g}", "yes" if good else "**no**",
    )  # fmt: skip


def _chaos(run: Run) -> Iterator[Row]:
    for scenario in ("chaos, calls (20 ms)", "chaos, calls (50 ms)"):
        yield _row(run, scenario, "success %", 99.9, at_least=True)
        yield _row(run, scenario, "p95 x healthy", 5)
        yield _row(run, scenario, "sent per call", 1.15)
        yield _row(run, scenario, "good rps", 300, at_least=True)
    yield _row(run, "every host fails 20 %", "success %", 99.9, at_least=True)


def _streams(run: Run) -> Iterator[Row]:
    chaos = "chaos, streams (20 ms)"
    yield _row(run, chaos, "success %", 94.5, at_least=True)
    for scenario in (chaos, "3 of 10 cut after the role", "3 of 10 stall after the role"):
        yield _row(run, scenario, "failed before text", 0)
    for scenario in (chaos, "3 of 10 end without finish"):
        yield _row(run, scenario, "silent truncations", 0)
        yield _row(run, scenario, "failed after text, text lost", 0)


def _outages(run: Run) -> Iterator[Row]:
    yield _row(run, "all down 5 s", "first success after s", 0.2)
    yield _row(run, "all down 5 s", "calls failed", 0)
    yield _row(run, "broad outage (503), calls of 2 s", "sent per call", 1.2)
    yield _row(run, "replayed signatures refused", "replays refused", 0)


_ALONE: tuple[tuple[str, str, float, bool], ...] = (
    ("many_hosts", "1,000 hosts, all connected, x one host", 1.2, False),
    ("many_streams", "failed", 0, False),
    ("many_streams", "in flight afterwards", 0, False),
    ("threads", "failed threads and loops", 0, False),
    ("threads", "in flight afterwards", 0, False),
    ("endurance", "growth MB", 2, False),
    ("shares", "worst share error of the ten heaviest, %", 5, False),
    ("small_host", "had to wait", 0, False),
    ("epoch_change", "failed calls", 0, False),
    ("epoch_change", "new calls to gone hosts", 0, False),
    ("epoch_change", "kept hosts with their latency", 8, True),
    ("clock", "failed calls", 0, False),
    ("sources_fail", "failed calls", 0, False),
    ("one_of_ten", "calls to hosts without it", 0, False),
    ("one_of_ten", "requests for a model nobody has", 0, False),
)


def _alone(run: Run) -> Iterator[Row]:
    for test, figure, limit, at_least in _ALONE:
        value = float(run.alone.get(test, {}).get(figure, "nan"))
        good = value >= limit if at_least else value <= limit
        yield (
            f"{test}: {figure}", f"{'>=' if at_least else '<='} {limit:g}", f"{value:.4g}", "-",
            "-", "yes" if good else "**no**",
        )  # fmt: skip
