"""Callers that never stop asking, and what each of their calls came to."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ..common import answers
from .host import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBERS = re.compile(r"\d+")
TEXT = answers.text(WORDS)

#: does one call; appends the pieces of text it hands to the application
Operation = Callable[[list[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One call. Times in seconds; *start* counts from the beginning of the load.

    *kind* is ``ok``; ``wrong`` (it returned as if all were well, with other than the whole
    answer); ``typed`` (an error that carries the text which had been handed over); ``error`` (an
    error before any text); ``lost`` (an error after text, without that text).
    """

    start: float
    seconds: float
    kind: str
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.kind == "ok"

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass
class Load:
    """*callers* tasks that repeat *operation* until *count* calls began or *seconds* passed."""

    #: what calls failed with in this process, for the record of the run
    errors: ClassVar[Counter[str]] = Counter()

    operation: Operation
    callers: int = 20
    count: int = 10**9
    seconds: float = 60.0

    async def run(self) -> list[Outcome]:
        outcomes: list[Outcome] = []
        begin, left = time.perf_counter(), iter(range(self.count))

        async def caller() -> None:
            for _ in left:
                start = time.perf_counter() - begin
                if start >= self.seconds:
                    return
                outcome = await self._one(start)
                outcomes.append(outcome)
                if outcome.seconds < 0.001:  # an instant failure must not become a busy loop
                    await asyncio.sleep(0.01)

        tasks = [asyncio.create_task(caller()) for _ in range(self.callers)]
        await asyncio.wait(tasks, timeout=self.seconds + 15)
        for task in tasks:
            task.cancel()
        return sorted(outcomes, key=lambda outcome: outcome.start)

    async def _one(self, start: float) -> Outcome:
        pieces: list[str] = []
        began = time.perf_counter()
        try:
            await self.operation(pieces)
        except Exception as error:  # noqa: BLE001 - every failure of a library is a result
            kind, reason = _failure(error, pieces), f"{type(error).__name__}: {error}"[:160]
            self.errors[_NUMBERS.sub("N", reason)] += 1
            return Outcome(start, time.perf_counter() - began, kind, reason)
        kind = "ok" if "".join(pieces) == TEXT else "wrong"
        return Outcome(start, time.perf_counter() - began, kind)


def _failure(error: Exception, pieces: Sequence[str]) -> str:
    if not pieces:
        return "error"
    return "typed" if getattr(error, "partial_text", None) == "".join(pieces) else "lost"
