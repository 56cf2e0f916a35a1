"""Making `init_chat_model("gonka:MODEL")` work. LangChain has no public registry for this."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from .metadata import PROVIDER

_logger = logging.getLogger("gonka_integrations.langchain")


def register_with_langchain() -> bool:
    """Make `init_chat_model("gonka:MODEL")` work in this process; may be called repeatedly.

    It adds an entry to a private table of the `langchain` package, since there is no public way.

    Returns:
        Whether it worked. When the package is not installed, or has changed, a warning is logged
        and nothing else happens: `ChatGonka(model=…)` always works.
    """
    try:
        base = importlib.import_module("langchain.chat_models.base")
    except ImportError:
        _logger.warning("init_chat_model is not available: the langchain package is not installed")
        return False
    table: Any = getattr(base, "_BUILTIN_PROVIDERS", None)
    if isinstance(table, dict) and PROVIDER in table:
        return True
    if not _is_as_known(table):
        _logger.warning(
            "init_chat_model does not know %r: this version of langchain keeps its providers in "
            "another way. Make ChatGonka(model=…) and pass it on instead",
            PROVIDER,
        )
        return False
    table[PROVIDER] = ("gonka_integrations", "ChatGonka", _create)
    return True


def _is_as_known(table: Any) -> bool:
    """Whether the table maps providers to (module, class, creator)."""
    if not isinstance(table, dict) or not table:
        return False
    entry = next(iter(table.values()))
    return (
        isinstance(entry, tuple)
        and [isinstance(part, str) for part in entry] == [True, True, False]
        and callable(entry[2])
    )


def _create(cls: type[Any], **arguments: Any) -> Any:
    return cls(**arguments)
