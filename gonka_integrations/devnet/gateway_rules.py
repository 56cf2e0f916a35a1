"""The rule of each single parameter that a gateway passes on.

Source: gonka-ai/gonka `docs/chat-api/README.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .exchange import dump
from .gateway_schemas import RESPONSE_NODES, PolicyError, check_schema

Rule: TypeAlias = Callable[[str, Any], Any]
"""Takes name and value of a parameter, gives the value that goes on, or raises PolicyError."""

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_TEMPLATE_DENIED = frozenset(
    {
        "chat_template",
        "continue_final_message",
        "conversation",
        "documents",
        "max_length",
        "padding",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tools",
        "truncation",
    }
)


def _clamped(low: float, high: float, *, above: float | None = None) -> Rule:
    """A number within bounds; at or below *above* it is refused instead."""

    def rule(name: str, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise PolicyError(f"{name} must be a number")
        if above is not None and value <= above:
            raise PolicyError(f"{name} must be greater than {above:g}")
        return min(max(value, low), high)

    return rule


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"{name} must be a boolean")
    return value


def _integer(low: int, high: int | None = None) -> Rule:
    def rule(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise PolicyError(f"{name} must be an integer")
        if value < low:
            raise PolicyError(f"{name} must be at least {low}")
        if high is not None and value > high:
            raise PolicyError(f"{name} must be at most {high}")
        return value

    return rule


def _top_k(name: str, value: Any) -> int:
    if isinstance(value, bool) or value != int(value) or (value != -1 and value < 1):
        raise PolicyError(f"{name} must be -1 or at least 1")
    return int(value)


def _text(max_bytes: int) -> Rule:
    def rule(name: str, value: Any) -> str:
        if not isinstance(value, str) or len(value.encode()) > max_bytes:
            raise PolicyError(f"{name} must be a string of at most {max_bytes} bytes")
        return value

    return rule


def _listed(kind: type, count: int, max_bytes: int | None = None) -> Rule:
    def rule(name: str, value: Any) -> Any:
        items = [value] if isinstance(value, kind) and name == "stop" else value
        if not isinstance(items, list) or any(not isinstance(item, kind) for item in items):
            raise PolicyError(f"{name} must be an array of {kind.__name__}")
        if len(items) > count:
            raise PolicyError(f"{name} exceeds {count} entries")
        if max_bytes and any(len(item.encode()) > max_bytes for item in items):
            raise PolicyError(f"{name} entries exceed {max_bytes} bytes")
        return value

    return rule


def _logit_bias(name: str, value: Any) -> Any:
    if not isinstance(value, dict) or len(value) > 1024:
        raise PolicyError(f"{name} must be an object of at most 1024 entries")
    if any(not isinstance(bias, int | float) or abs(bias) > 100 for bias in value.values()):
        raise PolicyError(f"{name} values must be within [-100, 100]")
    return value


def _metadata(name: str, value: Any) -> Any:
    if not isinstance(value, dict) or len(value) > 16:
        raise PolicyError(f"{name} must be an object of at most 16 entries")
    if any(len(key) > 64 or len(str(item)) > 512 for key, item in value.items()):
        raise PolicyError(f"{name} entries are too long")
    return value


def _effort(name: str, value: Any) -> Any:
    if value not in _EFFORTS:
        raise PolicyError(f"{name} {value!r} is not supported")
    return value


def _template_kwargs(name: str, value: Any) -> Any:
    if not isinstance(value, dict) or len(dump(value)) > 16 * 1024:
        raise PolicyError(f"{name} must be an object of at most 16384 bytes")
    denied = sorted(_TEMPLATE_DENIED & value.keys())
    if denied:
        raise PolicyError(f"{name}.{denied[0]} is not allowed")
    return value


def _structured_outputs(name: str, value: Any) -> Any:
    if not isinstance(value, dict):
        raise PolicyError(f"{name} must be an object")
    if "json" in value:
        check_schema(value["json"], f"{name}.json", max_nodes=RESPONSE_NODES)
    return value


RULES: Mapping[str, Rule] = {
    "temperature": _clamped(0, 2),
    "top_p": _clamped(0, 1, above=0),
    "top_k": _top_k,
    "min_p": _clamped(0, 1),
    "frequency_penalty": _clamped(-2, 2),
    "presence_penalty": _clamped(-2, 2),
    "repetition_penalty": _clamped(0, 2, above=0),
    "logit_bias": _logit_bias,
    "max_tokens": _integer(1),
    "max_completion_tokens": _integer(1),
    "stream": _boolean,
    "stop": _listed(str, 16, 256),
    "n": _integer(1, 5),
    "seed": _integer(0),
    "structured_outputs": _structured_outputs,
    "parallel_tool_calls": _boolean,
    "user": _text(512),
    "metadata": _metadata,
    "min_tokens": _integer(0),
    "bad_words": _listed(str, 64, 128),
    "stop_token_ids": _listed(int, 64),
    "skip_special_tokens": _boolean,
    "detokenize": _boolean,
    "chat_template_kwargs": _template_kwargs,
    "reasoning_effort": _effort,
    "thinking_token_budget": _integer(0),
}
