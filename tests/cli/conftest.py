"""Runs the `gonka` command as its users do: another process, its output and its exit code."""

from __future__ import annotations

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
def gonka(tmp_path: Path) -> Gonka:
    """Run `gonka …`; keywords become environment variables."""

    def run(*arguments: str, stdin: str = "", seconds: float = 60, **environment: str) -> Ran:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GONKA_")}
        done = subprocess.run(
            [sys.executable, "-m", "gonka_integrations", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            env=kept | dict.fromkeys(FOLDERS, str(tmp_path)) | {"NO_COLOR": "1"} | environment,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
