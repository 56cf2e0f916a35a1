"""One subject in a process of its own, told over standard input what to run.

Each line in is a job, ``{"case": "acall", "count": 400, "concurrency": 50}``; each line out is its
CPU and wall time in seconds, or why it could not run. Libraries that print do so to standard
error.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any

from ..common import machine
from .subjects import Place, load

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Runner:
    """Drives one subject; its event loop lives as long as the process."""

    def __init__(self, subject: Any) -> None:
        self._subject = subject
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def run(self, case: str, count: int, concurrency: int) -> dict[str, float] | None:
        """CPU and wall seconds of *count* operations; None when the subject cannot do *case*."""
        operation = getattr(self._subject, case, None)
        if operation is None:
            return None
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        if case.startswith("a"):
            self._loop.run_until_complete(_many(operation, count, concurrency))
        else:
            for _ in range(count):
                operation()
        return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall}

    def close(self) -> None:
        closing = getattr(self._subject, "aclose", None)
        if closing is not None:
            self._loop.run_until_complete(closing())


async def _many(operation: Callable[[], Awaitable[None]], count: int, concurrency: int) -> None:
    left = iter(range(count))

    async def caller() -> None:
        for _ in left:
            await operation()

    await asyncio.gather(*(caller() for _ in range(concurrency)))


def _answer(out: Any, value: object) -> None:
    out.write(json.dumps(value) + "\n")
    out.flush()


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr
    task = json.loads(sys.argv[1])
    machine.pin(task.get("core"))
    for name in task["without"]:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        place = Place(tuple(task["urls"]))
        runner = Runner(load(task["module"], place, task["options"]))
    except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
        traceback.print_exc()
        _answer(out, {"error": f"{type(error).__name__}: {error}"[:300]})
        return
    _answer(out, {"ready": True})
    for line in sys.stdin:
        try:
            _answer(out, {"result": runner.run(**json.loads(line))})
        except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
            traceback.print_exc()
            _answer(out, {"error": f"{type(error).__name__}: {error}"[:300]})
    runner.close()


if __name__ == "__main__":
    main()
