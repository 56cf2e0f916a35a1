"""Interleaved rounds: every subject does every case in every round, in rotated order."""

from __future__ import annotations

import itertools
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

from ..common import envs
from .fleet import Server, Worker
from .plan import CASES, Subject

if TYPE_CHECKING:
    from pathlib import Path

#: (subject, case) -> one ``{"cpu", "wall"}`` per round, in seconds per operation
Measures = dict[tuple[str, str], list[dict[str, float]]]


def measure(
    subjects: list[Subject], rounds: int, cores: tuple[int | None, int | None], logs: Path
) -> tuple[Measures, dict[str, str]]:
    """What every subject took, and why those that failed did."""
    logs.mkdir(parents=True, exist_ok=True)
    server = Server(10, cores[0])
    failures: dict[str, str] = {}
    workers: list[Worker] = []
    try:
        for subject in subjects:
            worker = _start(subject, server.urls, cores[1], logs, failures)
            if worker is not None:
                workers.append(worker)
        return _rounds(workers, rounds, failures), failures
    finally:
        for worker in workers:
            worker.close()
        server.close()


def _start(
    subject: Subject, urls: list[str], core: int | None, logs: Path, failures: dict[str, str]
) -> Worker | None:
    name = "".join(letter if letter.isalnum() else "_" for letter in subject.name)
    try:
        worker = Worker(subject, urls, core, logs / f"{name}.log")
    except envs.EnvironmentUnavailableError as error:
        failures[subject.name] = str(error)
        return None
    if worker.error:
        failures[subject.name] = worker.error
        worker.close()
        return None
    return worker


def _rounds(workers: list[Worker], rounds: int, failures: dict[str, str]) -> Measures:
    """Round 0 warms connections and caches and is not kept."""
    measures: Measures = defaultdict(list)
    skipped: set[tuple[str, str]] = set()
    for turn in range(rounds + 1):
        order = workers[turn % len(workers) :] + workers[: turn % len(workers)]
        for case, worker in itertools.product(CASES, order):
            key = (worker.subject.name, case.name)
            if key in skipped:
                continue
            result = worker.run(case, share=1.0 if turn else 0.3)
            if not isinstance(result, dict):
                skipped.add(key)
            elif turn:
                measures[key].append(result)
            if isinstance(result, str):
                failures[f"{worker.subject.name}: {case.title}"] = result
        print(f"round {turn} of {rounds} done", file=sys.stderr, flush=True)
    return measures
