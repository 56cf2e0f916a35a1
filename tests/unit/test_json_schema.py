"""Schemas are inlined and measured as the network's gateways want them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from gonka_integrations.core.json_schema import (
    RESPONSE_LIMITS,
    check_function_name,
    check_limits,
    format_name,
    inline_refs,
    strict_schema,
)
from gonka_integrations.errors import GonkaConfigError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(BaseModel):
    name: str
    colour: Colour = Colour.RED


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Machine(BaseModel):
    """A machine."""

    main: Part = Field(description="the heart of it")
    spare: list[Part] = []
    pet: Cat | Dog = Field(discriminator="kind")
    definitions: str = "a property of this name is not a definition"


class Tree(BaseModel):
    children: list[Tree] = []


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for child in value.values() for key in _keys(child)}
    if isinstance(value, list):
        return {key for child in value for key in _keys(child)}
    return set()


def test_pydantic_schemas_lose_every_reference() -> None:
    inlined = inline_refs(Machine.model_json_schema())

    assert not _keys(inlined) & {"$ref", "$defs", "discriminator"}
    assert inlined["properties"]["main"]["properties"]["colour"]["enum"] == ["red", "blue"]
    assert inlined["properties"]["main"]["description"] == "the heart of it"
    assert inlined["properties"]["definitions"]["type"] == "string"
    check_limits(inlined, where="Machine")


def test_the_given_schema_is_left_alone() -> None:
    schema = Machine.model_json_schema()
    inline_refs(schema)["properties"]["main"]["properties"].clear()

    assert schema == Machine.model_json_schema()


def test_data_that_looks_like_a_reference_stays() -> None:
    schema = {"type": "object", "default": {"$ref": "#/x"}, "enum": [{"$ref": "#/y"}]}

    assert inline_refs(schema) == schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (Tree.model_json_schema(), "recursive"),
        ({"properties": {"self": {"$ref": "#"}}}, "recursive"),
        ({"$ref": "#/$defs/Gone"}, "points nowhere"),
        ({"$ref": "https://example.com/schema.json"}, "out of the document"),
        ({"$ref": 3}, "not a string"),
        ({"$ref": "#/$defs/a", "$defs": {"a": ["string"]}}, "does not point to a schema"),
    ],
)
def test_references_that_cannot_be_inlined_are_refused(
    schema: dict[str, Any], message: str
) -> None:
    with pytest.raises(GonkaConfigError, match=message) as caught:
        inline_refs(schema)
    assert caught.value.field == "schema"


def test_a_schema_that_explodes_is_refused_and_does_not_hang() -> None:
    defs: dict[str, Any] = {"n0": {"type": "string"}}
    for level in range(1, 30):
        twice = {"$ref": f"#/$defs/n{level - 1}"}
        defs[f"n{level}"] = {"properties": {"a": twice, "b": twice}}

    with pytest.raises(GonkaConfigError, match="inlined"):
        inline_refs({"$ref": "#/$defs/n29", "$defs": defs})


def test_escaped_pointers_are_followed() -> None:
    schema = {"items": {"$ref": "#/$defs/a~1b%20c"}, "$defs": {"a/b c": {"type": "null"}}}

    assert inline_refs(schema) == {"items": {"type": "null"}}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels - 1):
        schema = {"type": "array", "items": schema}
    return schema


@pytest.mark.parametrize(
    ("fits", "passes", "message"),
    [
        (_nested(16), _nested(17), "16"),
        (
            {"properties": {f"p{i}": {} for i in range(255)}},
            {"properties": {f"p{i}": {} for i in range(256)}},
            "256 parts",
        ),
        ({"anyOf": [{}] * 16}, {"anyOf": [{}] * 17}, "17 alternatives in anyOf"),
        ({"enum": list(range(256))}, {"enum": list(range(257))}, "257 values in enum"),
        ({"pattern": "é" * 256}, {"pattern": "é" * 257}, "514 bytes of pattern"),
        (
            {"description": "x" * (16 * 1024 - 18)},
            {"description": "x" * (16 * 1024 - 17)},
            "16385 bytes",
        ),
        ({"type": ["string", "null"]}, {"type": "text"}, "'text' is not a JSON type"),
        ({}, {"$defs": {}}, "inline"),
    ],
)
def test_limits_are_those_of_the_gateway(
    fits: dict[str, Any], passes: dict[str, Any], message: str
) -> None:
    check_limits(fits, where="tool 'x'")
    with pytest.raises(GonkaConfigError, match=message) as caught:
        check_limits(passes, where="tool 'x'")
    assert "tool 'x'" in str(caught.value)


def test_response_formats_have_half_the_parts() -> None:
    schema = {"properties": {f"p{i}": {} for i in range(200)}}

    check_limits(schema, where="tool")
    with pytest.raises(GonkaConfigError, match="128"):
        check_limits(schema, where="output class", limits=RESPONSE_LIMITS)


def test_absurd_depth_does_not_exhaust_the_stack() -> None:
    with pytest.raises(GonkaConfigError, match="16"):
        check_limits(_nested(900), where="tool")


def test_function_names_are_measured_in_bytes() -> None:
    check_function_name("a" * 64)
    for name in ("a" * 65, "é" * 33, ""):
        with pytest.raises(GonkaConfigError, match="bytes"):
            check_function_name(name)


def test_format_names_are_made_fit() -> None:
    assert format_name("Invoice") == "Invoice"
    assert format_name("List[Invoice, Näme]") == "List_Invoice_N_me"
    assert len(format_name("x" * 100)) == 64
    assert format_name("∞") == "answer"


def test_the_strict_dialect_requires_everything_and_allows_nothing_else() -> None:
    strict = strict_schema(inline_refs(Machine.model_json_schema()))
    part = strict["properties"]["main"]

    assert strict["required"] == ["main", "spare", "pet", "definitions"]
    assert part["additionalProperties"] is False
    assert part["required"] == ["name", "colour"]
    assert "default" not in _keys(strict)
