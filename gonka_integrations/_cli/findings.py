"""A line of the report of `gonka doctor`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ADVICE", "OK", "WRONG", "Finding"]

OK, ADVICE, WRONG = "ok", "note", "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        check: What was looked at.
        state: "ok"; "note" when it can stay so; "wrong" when something must be done.
        detail: What was found.
        advice: What to do, when there is something.
    """

    check: str
    state: str
    detail: str
    advice: str = ""
