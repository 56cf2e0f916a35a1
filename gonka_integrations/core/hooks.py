"""Calling what users hang in: it may fail without stopping anything."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["call_hook"]

_logger = logging.getLogger("gonka_integrations.hooks")


def call_hook(hook: Callable[..., object], *arguments: object) -> None:
    """Call a user's hook; what it raises is logged and stops nothing."""
    try:
        hook(*arguments)
    except Exception:
        _logger.exception("A hook failed; what called it goes on")
