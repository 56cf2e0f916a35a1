"""The machine a table was measured on, without anything that identifies it."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def load() -> str:
    """One-minute load average, as text."""
    return f"{os.getloadavg()[0]:.1f}"


def describe() -> str:
    kernel = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} cores ({cpu_model()}), {kernel}, CPython {platform.python_version()}"


def pin(core: int | None) -> None:
    """Keep this process on *core* where the system can; None leaves it free."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})
