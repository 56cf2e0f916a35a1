"""The tests that only ours can take, each in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

from ..common import envs

#: module -> its tests
TESTS = {
    "stress": ("many_hosts", "many_streams", "threads", "endurance", "shares", "small_host"),
    "changes": ("epoch_change", "clock", "sources_fail", "one_of_ten"),
}


def simulate() -> dict[str, list[dict[str, float]]]:
    """network and policy -> figures of each seed."""
    done = subprocess.run(
        [str(envs.python_of("ours3")), "-m", "benchmarks.chaos.simulation"],
        cwd=envs.ROOT, env=envs.child_environment(), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found: dict[str, list[dict[str, float]]] = json.loads(done.stdout)
    return found


def run_all() -> dict[str, dict[str, float | str]]:
    """test -> its figures, or why it failed."""
    found: dict[str, dict[str, float | str]] = {}
    for module, names in TESTS.items():
        for name in names:
            done = subprocess.run(
                [str(envs.python_of("ours3")), "-m", f"benchmarks.chaos.{module}", name],
                cwd=envs.ROOT, env=envs.child_environment(), capture_output=True, text=True,
                check=False,
            )  # fmt: skip
            lines = done.stdout.splitlines()
            found[name] = (
                {"error": done.stderr.strip()[-200:]} if done.returncode else json.loads(lines[-1])
            )
            print(f"{name}: {found[name]}", file=sys.stderr, flush=True)
    return found
