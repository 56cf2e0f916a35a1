"""One small module per library: ``make(place, **options)`` gives `call` and `stream`.

Each appends the text it hands to the application to the list it is given; a subject without
``stream`` cannot stream.
"""

from __future__ import annotations

from dataclasses import dataclass

MESSAGES = [{"role": "user", "content": "Say something about foxes."}]
MODEL = "bench"


@dataclass(frozen=True)
class Place:
    """The hosts of a run, and its limits in seconds.

    *limit* is how long one attempt may take, *deadline* how long a whole call, where the library
    knows such a thing; *seed* is for what a subject draws itself.
    """

    urls: list[str]
    limit: float
    deadline: float
    seed: int


def take(text: str | None, pieces: list[str]) -> None:
    """Note a piece of text the application was handed, if there is one."""
    if text:
        pieces.append(text)
