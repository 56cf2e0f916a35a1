"""Tools, tool choices and answer formats as the network's endpoints take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool

from ..core.json_schema import (
    RESPONSE_LIMITS,
    check_function_name,
    check_limits,
    format_name,
    inline_refs,
    strict_schema,
)
from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_WORDS = ("auto", "none", "required")


def fit_tools(tools: Iterable[Any], *, gateway: bool) -> list[dict[str, Any]]:
    """Wire tools with references inlined, measured when a gateway may get them.

    Args:
        tools: Wire tools, or anything that LangChain takes for a tool; not changed.
        gateway: Whether a gateway may get them.

    Raises:
        GonkaConfigError: A schema cannot be sent; names the tool.
    """
    return [_fit_tool(tool, gateway=gateway) for tool in tools]


def wire_tool(tool: Any, *, strict: bool | None = None) -> dict[str, Any]:
    """A tool as it goes over the wire, its references still in it."""
    if isinstance(tool, dict) and "function" in tool and strict is None:
        return tool
    return convert_to_openai_tool(_opened(tool), strict=strict)


def _opened(schema: Any) -> Any:
    """A schema that is nothing but a reference, with what it points to in its place.

    Pydantic writes recursive classes that way, and LangChain takes them to have no properties.
    """
    if not isinstance(schema, dict) or "$ref" not in schema:
        return schema
    definitions = schema.get("$defs") or schema.get("definitions") or {}
    target = definitions.get(str(schema["$ref"]).rpartition("/")[2])
    if not isinstance(target, dict):
        return schema
    rest = {name: value for name, value in schema.items() if name != "$ref"}
    return {**target, **rest}


def _fit_tool(tool: Any, *, gateway: bool) -> dict[str, Any]:
    wire = wire_tool(tool)
    if "function" not in wire:
        return wire  # a tool of the server's own
    function = dict(wire["function"])
    name = str(function.get("name") or "")
    if gateway:
        check_function_name(name)
    if function.get("parameters"):
        where = f"tool {name!r}"
        function["parameters"] = _fit_schema(function["parameters"], where, gateway=gateway)
        if gateway:
            check_limits(function["parameters"], where=where)
    return {**wire, "function": function}


def _fit_schema(schema: Mapping[str, Any], where: str, *, gateway: bool) -> dict[str, Any]:
    try:
        return inline_refs(schema)
    except GonkaConfigError as error:
        if gateway:
            raise GonkaConfigError(f"{where}: {error}", field="tools") from error
        return dict(schema)  # hosts and providers resolve references themselves, recursive ones too


def tool_names(tools: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the functions among wire tools."""
    return [str(tool["function"].get("name")) for tool in tools if "function" in tool]


def wire_tool_choice(choice: Any, names: Sequence[str]) -> str | dict[str, Any] | None:
    """What to send as `tool_choice`, None for nothing.

    Args:
        choice: "auto", "none", "required", "any" or True for that, the name of a tool, a wire dict.
        names: Names of the tools that are offered.

    Raises:
        GonkaConfigError: It names a tool that is not offered.
    """
    if choice is None or choice is False:
        return None
    if choice is True or choice == "any":
        return "required"
    if choice in _WORDS:
        return str(choice)
    wire = choice
    if isinstance(choice, str):
        wire = {"type": "function", "function": {"name": choice}}
    elif isinstance(choice, dict) and "function" not in choice and "name" in choice:
        wire = {"type": "function", "function": {"name": choice["name"]}}
    name = (wire.get("function") or {}).get("name") if isinstance(wire, dict) else None
    if name is not None and name not in names:
        raise GonkaConfigError(
            f"tool_choice: {name!r} is none of the tools: {', '.join(names) or 'there are none'}",
            field="tool_choice",
        )
    return wire  # type: ignore[no-any-return]


def wire_format(wanted: Any, *, gateway: bool) -> dict[str, Any]:
    """`response_format` for what was asked for: a wire dict, a schema or a class.

    Raises:
        GonkaConfigError: Its schema is recursive, or too large for a gateway.
    """
    if not isinstance(wanted, dict) or "type" not in wanted or "properties" in wanted:
        return schema_format(wanted, None, gateway=gateway)
    named = wanted.get("json_schema")
    if wanted["type"] != "json_schema" or not isinstance(named, dict) or not named.get("schema"):
        return wanted
    return {**wanted, "json_schema": {**named, "schema": _fit_answer(named, gateway=gateway)}}


def schema_format(schema: Any, strict: bool | None, *, gateway: bool) -> dict[str, Any]:
    """The `response_format` that asks for an object of *schema*.

    Args:
        schema: A class, a TypedDict or a JSON schema.
        strict: Whether the schema is sent in the strict dialect.
        gateway: Whether a gateway may get it.

    Raises:
        GonkaConfigError: It is recursive, or too large for a gateway.
    """
    made = dict(convert_to_json_schema(_opened(schema), strict=strict))
    named: dict[str, Any] = {"name": format_name(str(made.pop("title", "answer")))}
    if made.get("description"):
        named["description"] = made.pop("description")
    fitted = _fit_answer({"name": named["name"], "schema": made}, gateway=gateway)
    named["schema"] = strict_schema(fitted) if strict else fitted
    if strict is not None:
        named["strict"] = strict
    return {"type": "json_schema", "json_schema": named}


def _fit_answer(named: Mapping[str, Any], *, gateway: bool) -> dict[str, Any]:
    where = f"the answer's schema {named.get('name')!r}"
    fitted = _fit_schema(named["schema"], where, gateway=gateway)
    if gateway:
        check_limits(fitted, where=where, limits=RESPONSE_LIMITS)
    return fitted
