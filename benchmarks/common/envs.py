"""One virtual environment per peer, made on first use under ``benchmarks/.envs``.

The peers pin openai differently (litellm and llama-index below 3, multiplexer-llm at exactly one
3.x release), so no single environment can hold them all.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "benchmarks" / ".envs"

_OURS = ("-e", ".[langchain,llama-index,fast,devnet]")

#: environment -> what pip is asked for
ENVS: dict[str, tuple[str, ...]] = {
    "server": ("uvloop",),
    "openai3": ("openai>=3,<4", "aiohttp"),
    "openai2": ("openai>=2.45,<3", "aiohttp"),
    "langchain3": ("openai>=3,<4", "langchain-openai", "langchain-groq"),
    "langchain2": ("openai>=2.45,<3", "langchain-openai"),
    "llamaindex2": ("llama-index-llms-openai-like",),
    "litellm": ("litellm",),
    "multiplexer": ("multiplexer-llm",),
    "gonka_openai": ("gonka-openai", "httpx"),
    "ours3": (*_OURS, "openai>=3,<4"),
    "ours2": (*_OURS, "openai>=2.45,<3"),
}

_SHOWN = (
    "openai", "httpx", "httpx2", "aiohttp", "langchain-core", "langchain-openai", "langchain-groq",
    "llama-index-core", "llama-index-llms-openai-like", "litellm", "multiplexer-llm",
    "gonka-openai", "coincurve", "uvloop", "gonka-integrations",
)  # fmt: skip


class EnvironmentUnavailableError(RuntimeError):
    """pip could not make an environment; the subject is reported as not run."""


def python_of(name: str) -> Path:
    """The interpreter of environment *name*, which is made first when missing or out of date.

    Raises:
        EnvironmentUnavailableError: pip failed; the message ends with its last line.
    """
    home = HOME / name
    python = home / "bin" / "python"
    stamp = home / "requirements.sha256"
    digest = hashlib.sha256("\n".join(ENVS[name]).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"making environment {name}: {' '.join(ENVS[name])}", file=sys.stderr, flush=True)
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "-q", *ENVS[name]],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise EnvironmentUnavailableError(f"{name}: {last}")
    stamp.write_text(digest)
    return python


def child_environment() -> dict[str, str]:
    """The environment variables of a subject: no proxies, no keys, this repository importable."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE"}
    }
    return kept | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "OPENAI_API_KEY": "sk-benchmark",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DO_NOT_TRACK": "1",
        "NLTK_DATA": str(HOME),
    }


def versions(name: str) -> dict[str, str]:
    """The versions of the packages that matter in environment *name*."""
    done = subprocess.run(
        [str(python_of(name)), "-m", "pip", "list", "--format=json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = {item["name"].lower(): item["version"] for item in json.loads(done.stdout)}
    return {package: found[package] for package in _SHOWN if package in found}
