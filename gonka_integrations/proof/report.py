"""The chain of evidence, as lines that can be read and printed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from .errors import ProofCheckError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EvidenceLine", "Report"]


class EvidenceLine(NamedTuple):
    """One check: its name, whether it holds, and the values it was made against.

    Attributes:
        holds: None when another source was asked instead, so that nothing follows from it.
    """

    check: str
    holds: bool | None
    detail: str

    def __str__(self) -> str:
        mark = "skip" if self.holds is None else "ok  " if self.holds else "FAIL"
        return f"{mark} {self.check}: {self.detail}"


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

    def fail(self, check: str, detail: str) -> None:
        """Note that *check* does not hold."""
        self._lines.append(EvidenceLine(check, False, detail))

    def skip(self, check: str, detail: str) -> None:
        """Note that a source was passed over because of *check*."""
        self._lines.append(EvidenceLine(check, None, detail))

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Attach the evidence to a `ProofCheckError` that leaves the block."""
        try:
            yield
        except ProofCheckError as error:
            self.fail(type(error).__name__, str(error))
            error.evidence = self.lines
            raise

    def __str__(self) -> str:
        return "\n".join(map(str, self._lines))
