"""Run the chaos harness and write its table into ``benchmarks/chaos/README.md``.

python -m benchmarks.chaos                        # everything, 3 seeds
python -m benchmarks.chaos --only "refuse" --subjects "ours" --seeds 1 --dry
python -m benchmarks.chaos --subjects "ours" --resume --part; python -m benchmarks.chaos --resume
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from typing import Any

from ..common import envs, machine
from . import alone, report
from .plan import SUBJECTS, Subject
from .record import Record
from .scenarios import SCENARIOS

_RECORD = envs.ROOT / ".benchmarks" / "chaos-runs.json"


class Server:
    """The chaos server in its own process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(envs.python_of("server")), "-m", "benchmarks.chaos.server"],
            cwd=envs.ROOT, env=envs.child_environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        place = json.loads(self._process.stdout.readline())
        self.urls = [f"http://127.0.0.1:{port}" for port in place["ports"]]
        self.control = place["control"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def run_one(subject: Subject, scenario: str, seed: int) -> dict[str, Any]:
    """Figures of one subject in one scenario, on a server of its own."""
    server = Server()
    task = {
        "module": subject.module, "options": subject.options, "urls": server.urls,
        "control": server.control, "scenario": scenario, "seed": seed,
    }  # fmt: skip
    try:
        done = subprocess.run(
            [str(envs.python_of(subject.env)), "-m", "benchmarks.chaos.client", json.dumps(task)],
            cwd=envs.ROOT, env=envs.child_environment(), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(done.stdout or "{}") or {
            "error": f"ended with {done.returncode}: {done.stderr[-300:]}"
        }
    except subprocess.TimeoutExpired:
        answer = {"error": "did not end within 120 s"}
    finally:
        server.close()
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="scenarios whose name holds this")
    parser.add_argument("--subjects", default="", help="subjects whose name holds this")
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    parser.add_argument("--resume", action="store_true", help="keep what an earlier run finished")
    parser.add_argument("--part", action="store_true", help="only this part; no tables yet")
    options = parser.parse_args()
    scenarios = [name for name in SCENARIOS if options.only.lower() in name.lower()]
    subjects = [s for s in SUBJECTS if options.subjects.lower() in s.name.lower()]

    record = Record(None if options.dry else _RECORD, resume=options.resume)
    for seed in range(1, options.seeds + 1):
        for scenario, subject in itertools.product(scenarios, subjects):
            if record.has(scenario, subject.name, seed):
                continue
            load = machine.load()
            answer = run_one(subject, scenario, seed) | {"load": load}
            record.add(scenario, subject.name, seed, answer)
            print(f"seed {seed}: {scenario}: {subject.name}: {report.brief(answer)}",
                  file=sys.stderr, flush=True)  # fmt: skip
    if options.part:
        return
    result = report.collect(record.runs())
    if options.dry:
        print(report.tables(result))
        return
    result["alone"] = alone.run_all()
    result["simulation"] = alone.simulate()
    report.write(result)


if __name__ == "__main__":
    main()
