"""A gateway's memory of its answers: the same question within an hour gets the same answer."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .texts import ErrorAnswer

Keeps: TypeAlias = Literal["nothing", "successes", "everything"]
"""`everything` is the build of June 2026, which answers from cached failures too."""


@dataclass(frozen=True, slots=True)
class Cached:
    """One remembered answer: an error, a plain body, or the chunks of a stream."""

    error: ErrorAnswer | None = None
    body: Mapping[str, Any] | None = None
    chunks: tuple[Mapping[str, Any], ...] = ()


@dataclass(slots=True)
class ResponseCache:
    """Answers by model and normalised body, across API keys.

    Attributes:
        keeps: What is remembered.
        seconds: For how long.
        capacity: Answers kept; the oldest go first.
        hits: Requests answered from it.
    """

    keeps: Keeps = "successes"
    seconds: float = 3600.0
    capacity: int = 4096
    hits: int = 0
    _entries: OrderedDict[str, tuple[float, Cached]] = field(default_factory=OrderedDict)

    def key(self, request: Mapping[str, Any]) -> str:
        """Key of a normalised request."""
        return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()

    def get(self, key: str, now: float) -> Cached | None:
        """The remembered answer, if it is not too old. *now* in seconds."""
        found = self._entries.get(key)
        if found is None or found[0] < now - self.seconds:
            return None
        self.hits += 1
        return found[1]

    def put(self, key: str, answer: Cached, now: float) -> None:
        """Remember an answer, as far as this cache remembers."""
        if self.keeps == "nothing" or (answer.error is not None and self.keeps != "everything"):
            return
        self._entries[key] = (now, answer)
        while len(self._entries) > self.capacity:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
