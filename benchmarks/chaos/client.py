"""One subject and one scenario in a process of its own: a JSON task in, figures out."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from typing import Any

from .control import Control
from .load import Load
from .scenarios import SCENARIOS, Setting
from .subjects import Place


async def run(task: dict[str, Any]) -> dict[str, Any]:
    control = Control(task["control"])
    await control.forget(task["seed"])
    await control.latency(0.05)
    module = importlib.import_module(f"benchmarks.chaos.subjects.{task['module']}")
    test = SCENARIOS[task["scenario"]]
    place = Place(task["urls"], test.limit, test.deadline, task["seed"])
    subject = module.make(place, **task["options"])
    setting = Setting(subject.call, getattr(subject, "stream", None), control, task["seed"])
    cpu = time.process_time()
    figures = await test.run(setting)
    if figures is not None:
        figures["cpu s"] = time.process_time() - cpu
    return {"figures": figures, "errors": dict(Load.errors.most_common(3))}


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        answer = asyncio.run(run(json.loads(sys.argv[1])))
    except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
        answer = {"error": f"{type(error).__name__}: {error}"[:300]}
    out.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
