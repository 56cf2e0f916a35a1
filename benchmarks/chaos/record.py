"""What a long run has found so far, kept on disk so that it can be taken up again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class Record:
    """Answers by scenario, subject and seed.

    Args:
        path: Where they are kept; None keeps them in memory alone.
        resume: Whether to begin with what is there.
    """

    def __init__(self, path: Path | None, *, resume: bool) -> None:
        self._path = path
        self._answers: dict[str, dict[str, dict[str, Any]]] = {}
        if resume and path is not None and path.exists():
            self._answers = json.loads(path.read_text())

    def has(self, scenario: str, subject: str, seed: int) -> bool:
        return str(seed) in self._answers.get(scenario, {}).get(subject, {})

    def add(self, scenario: str, subject: str, seed: int, answer: dict[str, Any]) -> None:
        self._answers.setdefault(scenario, {}).setdefault(subject, {})[str(seed)] = answer
        if self._path is not None:
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(json.dumps(self._answers, indent=1))

    def runs(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """scenario -> subject -> one answer per seed."""
        return {
            scenario: {name: list(by_seed.values()) for name, by_seed in subjects.items()}
            for scenario, subjects in self._answers.items()
        }
