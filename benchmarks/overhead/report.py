"""From measures to the tables of ``benchmarks/README.md``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..common import envs, machine, stats
from ..common import table as tables
from . import targets
from .plan import CASES, SUBJECTS

if TYPE_CHECKING:
    from .rounds import Measures

PAGE = envs.ROOT / "benchmarks" / "README.md"
RESULTS = envs.ROOT / "benchmarks" / "results" / "overhead.json"


def collect(
    measures: Measures, failures: dict[str, str], rounds: int, load: str, *, pinned: bool
) -> dict[str, Any]:
    """One JSON value: every median, every ratio, and what it was measured on."""
    cells: dict[str, dict[str, dict[str, float]]] = {}
    for subject in SUBJECTS:
        for case in CASES:
            taken = measures.get((subject.name, case.name))
            base = measures.get((subject.base, case.name))
            if taken and base:
                cells.setdefault(subject.name, {})[case.name] = _cell(taken, base)
    measured = {subject.env for subject in SUBJECTS if subject.name in cells}
    return {
        "machine": machine.describe(), "load at start": load, "load at end": machine.load(),
        "rounds": rounds, "pinned": pinned, "cells": cells, "failures": failures,
        "pieces": {}, "imports": {},
        "versions": {name: envs.versions(name) for name in sorted(measured | {"server"})},
    }  # fmt: skip


def _cell(taken: list[dict[str, float]], base: list[dict[str, float]]) -> dict[str, float]:
    cell: dict[str, float] = {}
    for kind in ("cpu", "wall"):
        ours, sdk = [m[kind] for m in taken], [m[kind] for m in base]
        cell[f"{kind} us"] = round(stats.median(ours) * 1e6, 1)
        cell[f"{kind} ratio"] = round(stats.paired_ratio(ours, sdk), 3)
    return cell


def table(result: dict[str, Any]) -> str:
    """CPU microseconds (ratio to the SDK of the same major) of every subject and case."""
    rows = []
    for subject in SUBJECTS:
        cells = result["cells"].get(subject.name)
        if cells is not None:
            rows.append([subject.name, *(_shown(cells.get(case.name)) for case in CASES)])
    return tables.markdown(["CPU us per operation (x SDK)", *(case.title for case in CASES)], rows)


def _shown(cell: dict[str, float] | None) -> str:
    if not cell:
        return "-"
    return f"{cell['cpu us']:,.0f} (**{cell['cpu ratio']:.2f}**, wall {cell['wall ratio']:.2f})"


def pieces_table(result: dict[str, Any]) -> str:
    found = {**result["pieces"]}
    found |= {f"import {name}, CPU ms": taken for name, taken in result["imports"].items()}
    return tables.markdown(
        ["piece", ""], [[name, f"{value:,.4g}"] for name, value in found.items()]
    )


def conditions(result: dict[str, Any]) -> str:
    """Command, machine and versions, as every table must have them."""
    pinned = ", server and clients pinned to a core each" if result["pinned"] else ""
    lines = [
        (
            f"`python -m benchmarks.overhead`: {result['rounds']} interleaved rounds{pinned}; "
            f"{result['machine']}; load average {result['load at start']} at the start and "
            f"{result['load at end']} at the end."
        ),
        "",
    ]
    for env, packages in result["versions"].items():
        lines.append(f"- {env}: " + ", ".join(f"{name} {v}" for name, v in packages.items()))
    return "\n".join(lines)


def write(result: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    render(result)


def render(result: dict[str, Any]) -> None:
    """Put the tables of *result* into the page."""
    failed = "\n".join(f"- {name}: {why}" for name, why in result["failures"].items())
    tables.replace_section(PAGE, "targets", tables.markdown(targets.HEAD, targets.rows(result)))
    tables.replace_section(PAGE, "overhead", table(result))
    tables.replace_section(PAGE, "pieces", pieces_table(result))
    tables.replace_section(PAGE, "conditions", conditions(result))
    tables.replace_section(PAGE, "did not run", failed or "Everything ran.")
