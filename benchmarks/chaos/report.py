"""From the figures of every run to the tables of ``benchmarks/chaos/README.md``."""

from __future__ import annotations

import json
import math
from typing import Any

from ..common import envs, machine, stats
from ..common.table import markdown, replace_section
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


def collect(runs: Runs, seeds: int, load: str) -> dict[str, Any]:
    """Medians over the seeds of every figure, and what they were measured on."""
    medians = {
        scenario: {name: _median(answers) for name, answers in subjects.items()}
        for scenario, subjects in runs.items()
    }
    measured = {s.env for s in SUBJECTS if any(s.name in found for found in runs.values())}
    return {
        "machine": machine.describe(), "load at start": load, "load at end": machine.load(),
        "seeds": seeds, "medians": medians, "runs": runs,
        "versions": {name: envs.versions(name) for name in sorted(measured | {"server"})},
    }  # fmt: skip


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
        names = next((list(f) for f in subjects.values() if "error" not in f), [])
        rows = [
            [subject, *([found["error"]] + [""] * (len(names) - 1) if "error" in found
                        else [_shown(found[name]) for name in names])]
            for subject, found in subjects.items()
        ]  # fmt: skip
        parts.append(f"### {scenario}\n\n{markdown(['', *names], rows)}")
    return "\n\n".join(parts)


def _shown(value: float) -> str:
    if not math.isfinite(value):
        return "never" if value > 0 else "-"
    return f"{value:,.0f}" if abs(value) >= 200 else f"{value:.4g}"


def write(result: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    replace_section(PAGE, "chaos", tables(result))
