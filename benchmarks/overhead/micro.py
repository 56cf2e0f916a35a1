"""Single pieces, timed by themselves in CPU time, each in a fresh process.

    python -m benchmarks.overhead.micro pick

prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from ..common import envs
from .peer_pieces import peer_construct, peer_pick, peer_sign
from .pieces import construct, decode, pick, sign
from .sizes import assemble, growth, memory, stream_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from .timing import Figures

PIECES: dict[str, Callable[[], Figures]] = {
    piece.__name__: piece
    for piece in (
        pick, sign, decode, construct, memory, stream_memory, assemble, growth,
        peer_pick, peer_sign, peer_construct,
    )
}  # fmt: skip

#: piece -> environment, and what is hidden from the second of two runs
RUNS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("pick", "ours3", ()),
    ("peer_pick", "multiplexer", ()),
    ("sign", "ours3", ()),
    ("sign", "ours3", ("coincurve",)),
    ("peer_sign", "gonka_openai", ()),
    ("decode", "ours3", ()),
    ("construct", "ours3", ()),
    ("peer_construct", "langchain3", ()),
    ("memory", "ours3", ()),
    ("stream_memory", "ours3", ()),
    ("assemble", "ours3", ()),
    ("growth", "ours3", ()),
)


def run_all() -> Figures:
    """Every piece in a fresh process of its environment; what fails is left out and said."""
    found: Figures = {}
    for piece, env, hidden in RUNS:
        done = subprocess.run(
            [str(envs.python_of(env)), "-m", "benchmarks.overhead.micro", piece, *hidden],
            cwd=envs.ROOT, env=envs.child_environment(), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            print(f"{piece}: {done.stderr.strip()[-300:]}", file=sys.stderr)
        else:
            found |= json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    for name in sys.argv[2:]:
        sys.modules[name] = None  # type: ignore[assignment]
    out, sys.stdout = sys.stdout, sys.stderr  # some libraries print
    figures = PIECES[sys.argv[1]]()
    out.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
