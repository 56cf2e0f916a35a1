"""Execute the notebooks of the cookbook.

python tools/notebooks.py run [--write] [--only NAME ...] [--skip NAME ...]

Without --write nothing is changed: it only shows that they run. With it, outputs are stored.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import nbclient
import nbformat

_COOKBOOK = Path(__file__).resolve().parents[1] / "cookbook"
_SECONDS = 120
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PORT = re.compile(r"(?<=127\.0\.0\.1:)\d+")


def execute(path: Path, *, write: bool) -> str:
    """Run one notebook; its error, or nothing."""
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": _COOKBOOK}}
    client = nbclient.NotebookClient(
        notebook, timeout=_SECONDS, kernel_name="python3", resources=place
    )
    try:
        client.execute(stderr=subprocess.DEVNULL)
    except nbclient.exceptions.CellExecutionError as trouble:
        return _COLOURS.sub("", str(trouble))
    stray = [out for cell in notebook.cells for out in cell.get("outputs", ()) if _is_stray(out)]
    if stray:
        return f"warnings or errors were shown: {stray[0].get('text', '')}"
    if write:
        _store(notebook, path)
    return ""


def _is_stray(output: dict[str, Any]) -> bool:
    return output.get("output_type") == "stream" and output.get("name") == "stderr"


def _store(notebook: Any, path: Path) -> None:
    """Write it without what differs from run to run."""
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    ports = {port: str(9000 + i) for i, port in enumerate(dict.fromkeys(_PORT.findall(text)))}
    path.write_text(_PORT.sub(lambda found: ports[found[0]], text) + "\n")


def _timed(path: Path, write: bool) -> tuple[Path, str, float]:
    begun = time.monotonic()
    return path, execute(path, write=write), time.monotonic() - begun


def main() -> int:
    """Run the notebooks that were asked for; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--write", action="store_true", help="store the outputs")
    parser.add_argument("--only", nargs="+", default=[], help="parts of names")
    parser.add_argument("--skip", nargs="+", default=[], help="parts of names")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    paths = [
        path
        for path in sorted(_COOKBOOK.glob("*.ipynb"))
        if (not options.only or any(part in path.name for part in options.only))
        and not any(part in path.name for part in options.skip)
    ]
    failed = 0
    with ProcessPoolExecutor(options.jobs) as workers:
        for path, trouble, seconds in workers.map(_timed, paths, [options.write] * len(paths)):
            sys.stdout.write(f"{'FAILED' if trouble else 'ok':6s} {path.name} ({seconds:.0f} s)\n")
            sys.stdout.write(f"{trouble}\n" if trouble else "")
            failed += bool(trouble)
    sys.stdout.write(f"{len(paths) - failed} passed, {failed} failed\n")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
