"""The HTTP library under the installed openai SDK, chosen in this one place.

openai 3 stands on ``httpx2``/``httpcore2``, openai 2 on ``httpx``/``httpcore``. The classes have
the same names and behaviour, so everything else imports them from here.
"""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

__all__ = ["httpcore", "httpx"]

if TYPE_CHECKING or int(importlib.metadata.version("openai").split(".")[0]) >= 3:  # noqa: PLR2004
    import httpcore2 as httpcore
    import httpx2 as httpx
else:
    import httpcore
    import httpx
