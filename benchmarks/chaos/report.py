"""From the figures of every run to the tables of ``benchmarks/chaos/README.md``."""

from __future__ import annotations

import json
import math
from typing import Any

from ..common import envs, machine, stats
from ..common.table import markdown, replace_section
from . import targets
from .plan import SUBJECTS

PAGE = envs.ROOT / "benchmarks" / "chaos" / "README.md"
RESULTS = envs.ROOT / "benchmarks" / "results" / "chaos.json"

Runs = dict[str, dict[str, list[dict[str, Any]]]]


def brief(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return str(answer["error"])
    figures = answer["figures"]
    return "not supported" if figures is None else json.dumps(_rounded(figures))


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in figures.items()}


def collect(runs: Runs) -> dict[str, Any]:
    """Medians over the seeds of every figure, and what they were measured on."""
    medians = {
        scenario: {name: _median(answers) for name, answers in subjects.items()}
        for scenario, subjects in runs.items()
    }
    measured = {s.env for s in SUBJECTS if any(s.name in found for found in runs.values())}
    loads = [
        float(answer["load"])
        for subjects in runs.values() for answers in subjects.values() for answer in answers
    ]  # fmt: skip
    return {
        "machine": machine.describe(), "load": [min(loads), stats.median(loads), max(loads)],
        "seeds": _seeds(runs), "medians": medians, "runs": runs, "alone": {},
        "versions": {name: envs.versions(name) for name in sorted(measured | {"server"})},
    }  # fmt: skip


def _seeds(runs: Runs) -> dict[str, int]:
    """Subject -> how many seeds each of its tests had, the fewest."""
    counts: dict[str, int] = {}
    for subjects in runs.values():
        for name, answers in subjects.items():
            counts[name] = min(len(answers), counts.get(name, len(answers)))
    return counts


def _median(answers: list[dict[str, Any]]) -> dict[str, Any]:
    errors = [answer["error"] for answer in answers if "error" in answer]
    if errors:
        return {"error": errors[0]}
    figures = [answer["figures"] for answer in answers]
    if figures[0] is None:
        return {"error": "not supported"}
    return {name: stats.median([found[name] for found in figures]) for name in figures[0]}


def tables(result: dict[str, Any]) -> str:
    """One table per scenario: a row per subject, a column per figure."""
    parts = []
    for scenario, subjects in result["medians"].items():
        names = next((list(found) for found in subjects.values() if "error" not in found), [])
        rows = [[subject, *_cells(found, names)] for subject, found in subjects.items()]
        parts.append(f"### {scenario}\n\n{markdown(['', *names], rows)}")
    return "\n\n".join(parts)


def _cells(found: dict[str, Any], names: list[str]) -> list[str]:
    if "error" in found:
        return [found["error"], *[""] * (len(names) - 1)]
    return [_shown(found[name]) for name in names]


def _shown(value: float) -> str:
    if not math.isfinite(value):
        return "never" if value > 0 else "-"
    return f"{value:,.0f}" if abs(value) >= 200 else f"{value:.4g}"


def conditions(result: dict[str, Any]) -> str:
    """Command, machine and versions."""
    low, usual, high = result["load"]
    lines = [
        (
            f"`python -m benchmarks.chaos`: medians of {_said(result['seeds'])}; "
            f"{result['machine']}; load average of the machine before each test: median "
            f"{usual:.1f}, {low:.1f} to {high:.1f}."
        ),
        "",
    ]
    for env, packages in result["versions"].items():
        lines.append(f"- {env}: " + ", ".join(f"{name} {v}" for name, v in packages.items()))
    return "\n".join(lines)


def _said(seeds: dict[str, int]) -> str:
    """How many seeds, and who had fewer."""
    most = max(seeds.values())
    fewer = [f"{name}: {count}" for name, count in seeds.items() if count < most]
    return f"{most} seeds" + (f" ({', '.join(fewer)})" if fewer else "")


def alone_table(result: dict[str, Any]) -> str:
    rows = [
        [test, figure, value if isinstance(value, str) else _shown(value)]
        for test, figures in result["alone"].items()
        for figure, value in figures.items()
    ]
    return markdown(["test", "figure", ""], rows)


def simulation_table(result: dict[str, Any]) -> str:
    found: dict[str, list[dict[str, float]]] = result["simulation"]
    names = list(next(iter(found.values()))[0])
    rows = [
        [title, *(_shown(stats.median([seed[name] for seed in seeds])) for name in names)]
        for title, seeds in found.items()
    ]
    return markdown(["", *names], rows)


def write(result: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    render(result)


def render(result: dict[str, Any]) -> None:
    """Put the tables of *result* into the page."""
    replace_section(PAGE, "targets", markdown(targets.HEAD, targets.rows(result)))
    replace_section(PAGE, "conditions", conditions(result))
    replace_section(PAGE, "chaos", tables(result))
    replace_section(PAGE, "alone", alone_table(result))
    replace_section(PAGE, "simulation", simulation_table(result))
