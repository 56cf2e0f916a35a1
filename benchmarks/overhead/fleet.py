"""The processes of a run: one server, one worker per subject, spoken to over pipes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from ..common import envs

if TYPE_CHECKING:
    from pathlib import Path

    from .plan import Case, Subject


class Server:
    """The canned server in its own process."""

    def __init__(self, ports: int, core: int | None) -> None:
        command = [str(_server_python()), "-m", "benchmarks.overhead.server", "--ports", str(ports)]
        if core is not None:
            command += ["--core", str(core)]
        self._process = subprocess.Popen(
            command, cwd=envs.ROOT, env=envs.child_environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.urls = [
            f"http://127.0.0.1:{port}" for port in json.loads(self._process.stdout.readline())
        ]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def _server_python() -> Path:
    return envs.python_of("server")


class Worker:
    """One subject's process. `error` says why it does not run, when it does not."""

    def __init__(self, subject: Subject, urls: list[str], core: int | None, log: Path) -> None:
        self.subject, self.error = subject, ""
        task = {
            "module": subject.module, "options": subject.options, "urls": urls,
            "without": list(subject.without), "core": core,
        }  # fmt: skip
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(envs.python_of(subject.env)), "-m", "benchmarks.overhead.worker",
                 json.dumps(task)],
                cwd=envs.ROOT, env=envs.child_environment(), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self.error = self._read().get("error", "")

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else {"error": "the process ended"}

    def run(self, case: Case, share: float = 1.0) -> dict[str, float] | str | None:
        """Seconds per operation as ``{"cpu", "wall"}``; None: not supported; text: it failed."""
        count = max(case.concurrency, round(case.count * self.subject.share * share))
        job = {"case": case.operation, "count": count, "concurrency": case.concurrency}
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return "the process ended"
        answer = self._read()
        if "error" in answer:
            return str(answer["error"])
        result = answer["result"]
        return result and {name: value / count for name, value in result.items()}

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
