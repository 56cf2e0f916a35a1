"""Constructor arguments: other spellings, and those that are no field."""

from __future__ import annotations

import difflib
import re
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError
from .connection import SECRETS
from .profiles import KnownProfile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

_SPELLINGS = {
    "model_name": "model",
    "model_id": "model",
    "max_completion_tokens": "max_tokens",
    "request_timeout": "timeout",
    "stop_sequences": "stop",
    "openai_api_base": "base_url",
    "openai_api_key": "api_key",
    "default_max_concurrent": "max_concurrent",
    "reasoning_replay": "replay_reasoning",
    "session": "given_session",
    "config": "base_config",
}
"""Spellings that other classes use -> field."""

_ALIKE = 0.8
_SECRET = re.compile(
    r"(api|private|secret|access|signing)_?key|secret|password|passphrase|mnemonic|credential"
    r"|(auth|access|bearer|api)_?token|authorization",
    re.IGNORECASE,
)
"""Names of what must not get into a request's body, or be shown."""


def named(cls: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """*arguments* under the names of the fields.

    Raises:
        GonkaConfigError: Two spellings of a field say different things.
    """
    values: dict[str, Any] = {}
    for spelling, value in arguments.items():
        name = spelling if spelling in cls.model_fields else _SPELLINGS.get(spelling, spelling)
        if values.get(name) is not None and value is not None and values[name] != value:
            raise GonkaConfigError(
                f"{name}: it is given twice, as {spelling} too; give one", field=name
            )
        if name not in values or value is not None:
            values[name] = value
    if isinstance(values.get("profile"), KnownProfile):
        del values["profile"]  # looked up, perhaps for another model; it is looked up again
    return values


def rest_in(cls: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """*values* with those that are no field moved into `model_kwargs`, with a warning.

    Raises:
        GonkaConfigError: One of them looks like a misspelt secret, and would have been sent.
    """
    unknown = [name for name in values if name not in cls.model_fields]
    if not unknown:
        return values
    extra = dict(values.get("model_kwargs") or {})
    for name in unknown:
        close = difflib.get_close_matches(name, cls.model_fields, n=1, cutoff=_ALIKE)
        if _SECRET.search(name) or (close and close[0] in SECRETS):
            meant = close[0] if close and close[0] in SECRETS else "api_key' or 'private_key"
            raise GonkaConfigError(
                f"{cls.__name__} has no argument {name!r}; did you mean '{meant}'? It was not "
                "taken as a request parameter, since it may be a secret.",
                field=name,
            )
        if name in extra:
            raise GonkaConfigError(f"{name}: it is in model_kwargs too; give one", field=name)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        warnings.warn(
            f"{name!r} is not a field of {cls.__name__}. It is sent with requests, as an entry of "
            f"model_kwargs.{hint}",
            stacklevel=4,
        )
        extra[name] = values[name]
    fields = {name: value for name, value in values.items() if name in cls.model_fields}
    return fields | {"model_kwargs": extra}
