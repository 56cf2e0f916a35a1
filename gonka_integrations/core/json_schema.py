"""JSON Schemas as the network's gateways accept them.

Gateways forbid `$ref`, `$defs` and `definitions` (newer builds resolve them themselves) and bound
the size of schemas, because deep or wide ones stall the grammar compilers behind them. Pydantic
writes `$defs` for every nested class, so schemas are inlined here before they are sent, and
measured as the gateway measures them: a clear error at home instead of a 400 from afar.

Limits: gonka-ai/gonka docs/chat-api/README.md and devshardctl's parameter validators. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ..errors import GonkaConfigError

#: Keywords whose values are data, not schemas.
_DATA = frozenset({"enum", "const", "default", "examples", "required", "dependentRequired"})
#: Keywords whose values map names to schemas.
_NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
_DEFINITIONS = frozenset({"$defs", "definitions"})
_RESOLVED = _DEFINITIONS | {"$ref", "discriminator"}
_BRANCHES = ("anyOf", "oneOf", "allOf")
_TYPES = frozenset({"string", "number", "integer", "object", "boolean", "array", "null"})
#: A schema that grows beyond this while it is inlined is refused: no gateway takes a tenth of it.
_MAX_EXPANDED_NODES = 20_000

_FUNCTION_NAME_BYTES = 64
_FORMAT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class SchemaLimits:
    """Bounds on one schema. Sizes in bytes of compact UTF-8 JSON."""

    depth: int = 16
    nodes: int = 256
    size: int = 16 * 1024
    branches: int = 16
    enum: int = 256
    pattern: int = 512


#: Bounds on `tools[].function.parameters` and on `response_format.json_schema.schema`.
TOOL_LIMITS = SchemaLimits()
RESPONSE_LIMITS = SchemaLimits(nodes=128)


def inline_refs(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of *schema* without references: each is replaced by what it points to.

    Keywords beside a `$ref` (a description, a default) win over those of its target. The OpenAPI
    keyword `discriminator` is dropped, because its mapping consists of references.

    Raises:
        GonkaConfigError: A reference is recursive, points nowhere or out of the document, or the
            result grows out of all proportion.
    """
    return _Inliner(schema).node(schema)


class _Inliner:
    """One walk over a schema; remembers the references it is inside of."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._inside: list[str] = []
        self._nodes = 0

    def node(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > _MAX_EXPANDED_NODES:
            raise _refused(
                f"it has more than {_MAX_EXPANDED_NODES} parts once its references are inlined"
            )
        resolved: dict[str, Any] = {}
        if "$ref" in schema:
            resolved = self._target(schema["$ref"])
        for key, value in schema.items():
            if key not in _RESOLVED:
                resolved[key] = self._keyword(key, value)
        return resolved

    def _keyword(self, key: str, value: Any) -> Any:
        if key in _DATA:
            return value
        if key in _NAMED and isinstance(value, Mapping):
            return {name: self._child(child) for name, child in value.items()}
        return self._child(value)

    def _child(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self.node(value)
        if isinstance(value, list | tuple):
            return [self._child(item) for item in value]
        return value

    def _target(self, reference: Any) -> dict[str, Any]:
        if not isinstance(reference, str):
            raise _refused(f"its $ref {reference!r} is not a string")
        if reference in self._inside:
            raise _refused(
                f"it is recursive ({' -> '.join([*self._inside, reference])}); a recursive schema "
                "cannot be written without references. Bound its depth with one class per level, "
                "or ask for text and parse it yourself"
            )
        target = _pointer(self._root, reference)
        self._inside.append(reference)
        try:
            return self.node(target)
        finally:
            self._inside.pop()


def _pointer(root: Mapping[str, Any], reference: str) -> Mapping[str, Any]:
    """What a local JSON pointer points to."""
    if not reference.startswith("#"):
        raise _refused(f"its $ref {reference!r} points out of the document")
    found: Any = root
    for token in unquote(reference[1:]).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(name)] if isinstance(found, list | tuple) else found[name]
        except (KeyError, IndexError, ValueError, TypeError):
            raise _refused(f"its $ref {reference!r} points nowhere") from None
    if not isinstance(found, Mapping):
        raise _refused(f"its $ref {reference!r} does not point to a schema")
    return found


def _refused(why: str, *, where: str | None = None) -> GonkaConfigError:
    place = f" of {where}" if where else ""
    return GonkaConfigError(f"The JSON schema{place} cannot be sent: {why}.", field="schema")


def check_limits(
    schema: Mapping[str, Any], *, where: str, limits: SchemaLimits = TOOL_LIMITS
) -> None:
    """Refuse a schema that a gateway would refuse.

    Args:
        schema: The schema as it will be sent (see `inline_refs`).
        where: What it belongs to, for the message: "tool 'search'", "output class Invoice".
        limits: `TOOL_LIMITS` or `RESPONSE_LIMITS`.

    Raises:
        GonkaConfigError: A limit is passed; the message names it, the value and the limit.
    """
    for nodes, (node, depth) in enumerate(_walk(schema, 1), start=1):
        if depth > limits.depth:
            raise _over(where, "nested levels", f"more than {limits.depth}", limits.depth)
        if nodes > limits.nodes:
            raise _over(where, "parts", f"more than {limits.nodes}", limits.nodes)
        _check_node(node, where, limits)
    size = len(json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode())
    if size > limits.size:
        raise _over(where, "bytes", size, limits.size)


def _walk(schema: Any, depth: int) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Every schema node with its depth, counted as the gateway counts them."""
    if not isinstance(schema, Mapping):
        return
    yield schema, depth
    if depth > 10 * TOOL_LIMITS.depth:  # far past every limit; do not exhaust the stack
        return
    for key, value in schema.items():
        if key in _DATA:
            continue
        children: Iterable[Any] = ()
        if isinstance(value, Mapping):
            children = value.values() if key in _NAMED else (value,)
        elif isinstance(value, list | tuple):
            children = value
        for child in children:
            yield from _walk(child, depth + 1)


def _check_node(node: Mapping[str, Any], where: str, limits: SchemaLimits) -> None:
    for key in ("$ref", *_DEFINITIONS):
        if key in node:
            raise _refused(f"gateways do not accept {key!r}; inline it first", where=where)
    for key in _BRANCHES:
        if isinstance(node.get(key), list) and len(node[key]) > limits.branches:
            raise _over(where, f"alternatives in {key}", len(node[key]), limits.branches)
    if isinstance(node.get("enum"), list) and len(node["enum"]) > limits.enum:
        raise _over(where, "values in enum", len(node["enum"]), limits.enum)
    pattern = node.get("pattern")
    if isinstance(pattern, str) and len(pattern.encode()) > limits.pattern:
        raise _over(where, "bytes of pattern", len(pattern.encode()), limits.pattern)
    kinds = node.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in _TYPES:
            raise _refused(f"{kind!r} is not a JSON type", where=where)


def _over(where: str, what: str, value: object, limit: int) -> GonkaConfigError:
    return _refused(
        f"it has {value} {what}, and gateways of the network take {limit} at most. "
        "Shorten it, or split it into several",
        where=where,
    )


def check_function_name(name: str) -> None:
    """Refuse a tool name that a gateway would refuse: empty, or over 64 bytes of UTF-8.

    Raises:
        GonkaConfigError: With the name and the limit.
    """
    size = len(name.encode())
    if not 0 < size <= _FUNCTION_NAME_BYTES:
        raise GonkaConfigError(
            f"The tool name {name!r} has {size} bytes; gateways of the network take 1 to "
            f"{_FUNCTION_NAME_BYTES}. Rename the tool.",
            field="tools",
        )


def format_name(name: str) -> str:
    """*name* made fit for `response_format.json_schema.name`: 1 to 64 of `A-Za-z0-9_.-`."""
    if _FORMAT_NAME.fullmatch(name):
        return name
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:64].strip("_") or "answer"


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """*schema* in the strict dialect: every property required, no others allowed, no defaults.

    Servers that enforce schemas token by token ask for this form; an optional property stays
    optional by its own `null` alternative. References must be inlined first.
    """
    return _strict(dict(schema))


def _strict(node: dict[str, Any]) -> dict[str, Any]:
    tightened = {
        key: _strict_keyword(key, value) for key, value in node.items() if key != "default"
    }
    if isinstance(tightened.get("properties"), dict):
        tightened["required"] = list(tightened["properties"])
        tightened["additionalProperties"] = False
    return tightened


def _strict_keyword(key: str, value: Any) -> Any:
    if key in _DATA:
        return value
    if isinstance(value, Mapping):
        if key in _NAMED:
            return {name: _strict(dict(child)) for name, child in value.items()}
        return _strict(dict(value))
    if isinstance(value, list):
        return [_strict(dict(item)) if isinstance(item, Mapping) else item for item in value]
    return value
