"""The smallest value that a JSON schema accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 32


def instance_of(schema: Mapping[str, Any]) -> Any:
    """A small instance of *schema*: required properties only, first of every alternative.

    Understands `$ref`, `anyOf`, `oneOf`, `allOf`, `enum`, `const`, `default`, arrays and bounds.
    A schema without `required` gets all of its properties.
    """
    return _make(schema, schema, "value", 0)


def _make(schema: Any, root: Mapping[str, Any], name: str, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _make(_preferred(schema[key]), root, name, depth + 1)
    if schema.get("allOf"):
        return _make(_combined(schema, root), root, name, depth + 1)
    return _of_type(schema, root, name, depth)


def _of_type(schema: Mapping[str, Any], root: Mapping[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        item = schema.get("items", {})
        length = max(1, schema.get("minItems", 0)) if item else 0
        return [_make(item, root, name, depth + 1) for _ in range(length)]
    if kind in {"integer", "number"}:
        return _number(schema, kind)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    return _string(schema, name)


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    wanted = schema.get("required", list(properties))
    return {key: _make(properties.get(key, {}), root, key, depth + 1) for key in wanted}


def _number(schema: Mapping[str, Any], kind: str) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    value = low + ("exclusiveMinimum" in schema) if low is not None else 1
    if high is not None and value > high:
        value = high - ("exclusiveMaximum" in schema)
    return int(value) if kind == "integer" else float(value)


_FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "someone@example.org",
    "uri": "https://example.org/",
}


def _string(schema: Mapping[str, Any], name: str) -> str:
    made = _FORMATS.get(schema.get("format", ""), name)
    made = made.ljust(schema.get("minLength", 0), "x")
    return made[: schema.get("maxLength", len(made))]


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            break
        target: Any = root
        for step in reference.removeprefix("#").strip("/").split("/"):
            target = target.get(step, {}) if step and isinstance(target, Mapping) else target
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _preferred(options: list[Any]) -> Any:
    return next((one for one in options if one.get("type") != "null"), options[0])


def _combined(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        resolved = _resolved(part, root)
        properties = {**merged.get("properties", {}), **resolved.get("properties", {})}
        required = [*merged.get("required", []), *resolved.get("required", [])]
        merged = {**merged, **resolved}
        if properties:
            merged |= {"properties": properties, "required": required}
    return merged
