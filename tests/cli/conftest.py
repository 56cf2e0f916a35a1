"""Runs the `gonka` command: in this process for speed, and as a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")

from gonka_integrations import cli

FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Gonka = Callable[..., Ran]


@pytest.fixture
def gonka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gonka:
    """Run `gonka …`; keywords become environment variables."""

    def run(*arguments: str, stdin: str = "", **environment: str) -> Ran:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch:
            for name, value in _environment(tmp_path, environment).items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as end,
            ):
                cli.main(arguments)
        return Ran(int(end.value.code or 0), out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def gonka_process(tmp_path: Path) -> Gonka:
    """The same as a process of its own."""

    def run(*arguments: str, stdin: str = "", seconds: float = 60, **environment: str) -> Ran:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GONKA_")}
        done = subprocess.run(
            [sys.executable, "-m", "gonka_integrations", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=kept | _environment(tmp_path, environment),
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


def _environment(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    return dict.fromkeys(FOLDERS, str(folder)) | {"NO_COLOR": "1"} | environment
