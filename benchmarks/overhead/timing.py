"""CPU time of a function, memory of a process."""

from __future__ import annotations

import gc
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.stats import median

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = dict[str, float]


def cpu_us(function: Callable[[], object], count: int, rounds: int = 7) -> float:
    """CPU microseconds of one call: median over *rounds* of *count* calls each."""
    taken = []
    for _ in range(rounds):
        gc.collect()
        begin = time.process_time()
        for _ in range(count):
            function()
        taken.append((time.process_time() - begin) / count * 1e6)
    return median(taken)


def resident_mb() -> float:
    """Resident memory of this process, in MB; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6
