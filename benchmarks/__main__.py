"""``python -m benchmarks [overhead | chaos] [options]``; overhead when nothing is said."""

from __future__ import annotations

import sys

from .chaos.__main__ import main as chaos
from .overhead.__main__ import main as overhead

if __name__ == "__main__":
    wanted = sys.argv.pop(1) if sys.argv[1:2] in (["overhead"], ["chaos"]) else "overhead"
    (chaos if wanted == "chaos" else overhead)()
