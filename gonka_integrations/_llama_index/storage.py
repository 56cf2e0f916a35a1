"""How a GonkaLLM is dumped and pickled: no secret in a dump, no change to what is pickled."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_index.core.llms.llm import LLM

_logger = logging.getLogger("gonka_integrations.llama_index")


def keyless(specs: Any) -> Any:
    """Gateways or providers as plain data without their keys.

    A key that came from the environment leaves the name of its variable, so that what is loaded
    from the dump finds it again.
    """
    if specs is None:
        return None
    return [_keyless(spec) for spec in specs]


def _keyless(spec: Any) -> dict[str, Any]:
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    key = values.pop("api_key")
    if key is not None and key.env is not None and key.item is None:
        values["api_key_env"] = key.env
    if values.get("models"):
        values["models"] = dict(values["models"])
    return {name: value for name, value in values.items() if value not in (None, ())}


@dataclass(frozen=True)
class _Frozen:
    """Another LLM, pickled on its own."""

    data: bytes


def freeze(fields_: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in a form that can be pickled; what cannot be is left out, as the framework does."""
    state: dict[str, Any] = {}
    for name, value in fields_.items():
        if name == "fallback_llms":
            state[name] = [_Frozen(_pickled(llm)) for llm in value]
        elif _can_be_pickled(name, value):
            state[name] = value
    return state


def thaw(state: Mapping[str, Any]) -> dict[str, Any]:
    """What `freeze` was given."""
    frozen = state.get("fallback_llms")
    if frozen is None:
        return dict(state)
    return {**state, "fallback_llms": [_whole(pickle.loads(llm.data)) for llm in frozen]}  # noqa: S301


def _whole(llm: LLM) -> LLM:
    """The LLM with defaults for what the framework left out of its pickle."""
    for name, field in type(llm).model_fields.items():
        if name not in llm.__dict__ and not field.is_required():
            llm.__dict__[name] = field.get_default(call_default_factory=True)
    return llm


def _pickled(llm: LLM) -> bytes:
    """An LLM of any class, pickled.

    The framework's classes lose from the live object what cannot be pickled; it is put back.
    """
    before = dict(llm.__dict__)
    private = dict(llm.__pydantic_private__ or {})
    try:
        return pickle.dumps(llm)
    finally:
        llm.__dict__.update(before)
        if llm.__pydantic_private__ is not None:
            llm.__pydantic_private__.update(private)


def _can_be_pickled(name: str, value: Any) -> bool:
    if value is None or isinstance(value, str | int | float):
        return True
    try:
        pickle.dumps(value)
    except Exception as error:  # noqa: BLE001 - any class may refuse, with any error
        _logger.debug("%s is left out of the pickle: %s", name, error)
        return False
    return True
