"""The bounds a gateway sets on JSON schemas, and on JSON as such.

Source: gonka-ai/gonka `docs/chat-api/README.md`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .exchange import dump

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOL_NODES = 256
RESPONSE_NODES = 128
_MAX_DEPTH = 16
_MAX_BYTES = 16 * 1024
_MAX_ARMS = 16
_MAX_ENUM = 256
_MAX_PATTERN_BYTES = 512
_FORBIDDEN = ("$ref", "$defs", "definitions")
_ARMS = ("anyOf", "oneOf", "allOf")


class PolicyError(ValueError):
    """The gateway refuses the request; the text is its message."""


def check_schema(schema: Any, where: str, *, max_nodes: int) -> None:
    """Refuse a schema that is too deep, too large, or has references.

    Raises:
        PolicyError: With the reason.
    """
    if not isinstance(schema, dict):
        raise PolicyError(f"{where} must be an object")
    if len(dump(schema)) > _MAX_BYTES:
        raise PolicyError(f"{where}: schema exceeds {_MAX_BYTES} bytes")
    for nodes, (depth, node) in enumerate(_walk(schema), start=1):
        if nodes > max_nodes:
            raise PolicyError(f"{where}: schema exceeds {max_nodes} nodes")
        if depth > _MAX_DEPTH:
            raise PolicyError(f"{where}: schema exceeds depth {_MAX_DEPTH}")
        _check_node(node, where)


def _walk(value: Any, depth: int = 1) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every object of a schema with its depth; depth first, bounded by its own limit."""
    if isinstance(value, dict):
        yield depth, value
        if depth <= _MAX_DEPTH:
            for item in value.values():
                yield from _walk(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, depth)


def _check_node(node: dict[str, Any], where: str) -> None:
    for key in _FORBIDDEN:
        if key in node:
            raise PolicyError(f"{where}: {key} is not allowed")
    for key in _ARMS:
        if isinstance(node.get(key), list) and len(node[key]) > _MAX_ARMS:
            raise PolicyError(f"{where}: {key} exceeds {_MAX_ARMS} branches")
    if isinstance(node.get("enum"), list) and len(node["enum"]) > _MAX_ENUM:
        raise PolicyError(f"{where}: enum exceeds {_MAX_ENUM} values")
    pattern = node.get("pattern")
    if isinstance(pattern, str):
        _check_pattern(pattern, where)


def _check_pattern(pattern: str, where: str) -> None:
    if len(pattern.encode()) > _MAX_PATTERN_BYTES:
        raise PolicyError(f"{where}: pattern exceeds {_MAX_PATTERN_BYTES} bytes")
    try:
        re.compile(pattern)
    except re.error:
        raise PolicyError(f"{where}: pattern does not compile") from None


def nesting(value: Any) -> int:
    """Depth of nested arrays and objects, without recursion."""
    deepest = 0
    stack: list[tuple[Any, int]] = [(value, 1)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, dict | list):
            deepest = max(deepest, depth)
            children = item.values() if isinstance(item, dict) else item
            stack.extend((child, depth + 1) for child in children)
    return deepest
