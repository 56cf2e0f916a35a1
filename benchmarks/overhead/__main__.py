"""Run the overhead benchmark and write its tables into ``benchmarks/README.md``.

python -m benchmarks.overhead                  # everything
python -m benchmarks.overhead --rounds 3 --only "openai 3,ChatGonka" --dry
"""

from __future__ import annotations

import argparse
import json
import sys

from ..common import envs, machine
from . import imports, micro, report
from .plan import SUBJECTS, Subject
from .rounds import measure


def _chosen(only: str) -> list[Subject]:
    """The subjects whose name holds one of the comma-separated words, and their bases."""
    words = [word.strip().lower() for word in only.split(",") if word.strip()]
    picked = [s for s in SUBJECTS if not words or any(w in s.name.lower() for w in words)]
    needed = {subject.base for subject in picked}
    return [s for s in SUBJECTS if s in picked or s.name in needed]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="names of subjects, comma separated")
    parser.add_argument("--pin", action="store_true", help="server on core 0, clients on core 1")
    parser.add_argument("--dry", action="store_true", help="print the table, write nothing")
    options = parser.parse_args()

    load = machine.load()
    cores = (0, 1) if options.pin else (None, None)
    logs = envs.ROOT / ".benchmarks" / "overhead-logs"
    measures, failures = measure(_chosen(options.only), options.rounds, cores, logs)
    result = report.collect(measures, failures, options.rounds, load, pinned=options.pin)
    if options.dry:
        print(report.table(result))
        json.dump(result["failures"], sys.stdout, indent=1)
        return
    result["pieces"] = micro.run_all()
    result["imports"] = imports.measure(options.rounds)
    report.write(result)


if __name__ == "__main__":
    main()
