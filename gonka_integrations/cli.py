"""The `gonka` command. Needs the extra ``cli``.

Exit codes: 0 all is well; 1 something failed, or a check of `gonka doctor` did; 2 the command line
or the configuration is wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_MISSING = "the gonka command needs one more package: pip install 'gonka-integrations[cli]'"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Args:
        arguments: What stands after ``gonka``; None takes the process's own.
    """
    try:
        from ._cli.app import run  # noqa: PLC0415 - typer and rich are optional
    except ImportError as missing:
        if missing.name not in {"typer", "rich", "click"}:
            raise
        sys.stderr.write(f"error: {_MISSING}\n")
        sys.exit(2)
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))
