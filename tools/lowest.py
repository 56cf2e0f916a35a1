"""Print constraints that pin every dependency of the package to the oldest release it allows.

python tools/lowest.py > constraints.txt
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_BOUND = re.compile(r"(?P<name>[A-Za-z0-9._-]+)[^;]*?>=(?P<version>[0-9.]+)")


def lowest(requirement: str) -> str | None:
    """The pin for one requirement: ``name==its lower bound``; None for one without a bound."""
    found = _BOUND.match(requirement)
    return f"{found['name']}=={found['version']}" if found else None


def main() -> None:
    """Print the pins of the core and of every extra."""
    project = tomllib.loads(_PROJECT.read_text())["project"]
    extras = project["optional-dependencies"].values()
    requirements = [*project["dependencies"], *(line for extra in extras for line in extra)]
    pins = {pin for pin in map(lowest, requirements) if pin}
    sys.stdout.write("\n".join(sorted(pins)) + "\n")


if __name__ == "__main__":
    main()
