"""One small module per library: the same question asked through each.

A subject has any of ``call``, ``stream`` (sync; the text, the number of text chunks) and
``acall``, ``astream``; what it lacks is shown as not supported. Each checks what it read, so that
no subject is fast by not doing the work.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

#: about 1 KB of request, as a chat with a short system prompt has
MESSAGES = [
    {"role": "system", "content": "You answer briefly and to the point. " * 12},
    {"role": "user", "content": "Write two hundred words about foxes and dogs. " * 10},
]
TEXT_BYTES = 600


@dataclass(frozen=True)
class Place:
    """Where the server of this run listens, and which model to ask for."""

    urls: tuple[str, ...]
    model: str = "bench"

    @property
    def base(self) -> str:
        return f"{self.urls[0]}/v1"


def load(module: str, place: Place, options: dict[str, Any]) -> Any:
    """The subject made by ``benchmarks.overhead.subjects.<module>.make(place, **options)``."""
    return importlib.import_module(f"{__name__}.{module}").make(place, **options)


def check_text(text: object) -> None:
    if not isinstance(text, str) or len(text) < TEXT_BYTES:
        raise AssertionError(f"expected an answer of >= {TEXT_BYTES} characters, got {text!r:.80}")


def check_chunks(count: int, least: int = 200) -> None:
    if count < least:
        raise AssertionError(f"expected >= {least} text chunks, got {count}")
