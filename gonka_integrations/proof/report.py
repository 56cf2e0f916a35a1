"""The chain of evidence, as lines that can be read and printed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from .errors import ProofCheckError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EvidenceLine", "Report"]


class EvidenceLine(NamedTuple):
    """One check: its name, whether it holds, and the values it was made against."""

    check: str
    holds: bool
    detail: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.holds else 'FAIL'} {self.check}: {self.detail}"


class Report:
    """Collects the evidence of one verification, in the order of the checks."""

    def __init__(self) -> None:
        self._lines: list[EvidenceLine] = []

    @property
    def lines(self) -> tuple[EvidenceLine, ...]:
        """What was established, and the failed check as the last line when there is one."""
        return tuple(self._lines)

    def add(self, check: str, detail: str) -> None:
        """Note that *check* holds."""
        self._lines.append(EvidenceLine(check, True, detail))

    def note(self, check: str, detail: str) -> None:
        """Note that *check* does not hold, without giving up: another source may serve better."""
        self._lines.append(EvidenceLine(check, False, detail))

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Attach the evidence to a `ProofCheckError` that leaves the block."""
        try:
            yield
        except ProofCheckError as error:
            self.note(type(error).__name__, str(error))
            error.evidence = self.lines
            raise

    def __str__(self) -> str:
        return "\n".join(map(str, self._lines))
