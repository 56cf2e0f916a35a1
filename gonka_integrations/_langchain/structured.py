"""Structured output: the chain that asks for an object of a schema and gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import RunnableMap
from langchain_core.utils.pydantic import TypeBaseModel, is_basemodel_subclass

from ..errors import GonkaConfigError
from .answer_check import AnswerCheck, guard, report
from .requests import MISSING_CALL
from .schemas import schema_format, wire_tool

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

Method = Literal["function_calling", "json_schema", "json_mode"]


def bound_arguments(
    schema: Any, method: Method, strict: bool | None, *, gateway: bool
) -> dict[str, Any]:
    """What is bound to the model so that it answers with an object of *schema*.

    Raises:
        GonkaConfigError: There is no such method, or the schema cannot be sent.
    """
    told = {"method": method} if strict is None else {"method": method, "strict": strict}
    bound: dict[str, Any] = {"ls_structured_output_format": {"kwargs": told, "schema": schema}}
    if method == "function_calling":
        bound |= {"tool_choice": tool_name(schema), MISSING_CALL: "report"}
    elif method == "json_schema":
        bound["response_format"] = schema_format(_required(schema), strict, gateway=gateway)
    elif method == "json_mode":
        bound["response_format"] = {"type": "json_object"}
    else:
        raise GonkaConfigError(
            f"method: {method!r} is none of 'function_calling', 'json_schema', 'json_mode'",
            field="method",
        )
    return bound


def _required(schema: Any) -> Any:
    if schema is None:
        raise GonkaConfigError("schema: this method needs one", field="schema")
    return schema


def tool_name(schema: Any) -> str:
    """Name of the tool that stands for *schema*."""
    return str(wire_tool(_required(schema))["function"]["name"])


def parser_for(schema: Any, method: Method) -> Runnable[Any, Any]:
    """What makes the object out of the model's message."""
    model: TypeBaseModel | None = (
        schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None
    )
    if method != "function_calling":
        return JsonOutputParser() if model is None else PydanticOutputParser(pydantic_object=model)
    if model is not None:
        return PydanticToolsParser(tools=[model], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=tool_name(schema), first_tool_only=True)


def chain(
    llm: Runnable[Any, Any], schema: Any, method: Method, *, include_raw: bool
) -> Runnable[Any, Any]:
    """Model and parser in a row; with *include_raw*, errors of the parser become results."""
    parser = parser_for(schema, method)
    check = AnswerCheck(parser, calls=method == "function_calling")
    if include_raw:
        return RunnableMap(raw=llm) | report(check)
    return llm | guard(check) | parser
