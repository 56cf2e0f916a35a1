"""Structured output: the chain that asks for an object of a schema and gives it."""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal

from langchain_core import exceptions
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.runnables import RunnableGenerator, RunnableMap, RunnablePassthrough
from langchain_core.utils.pydantic import TypeBaseModel, is_basemodel_subclass

from ..errors import GonkaConfigError, GonkaError
from .missing import MissingToolCallError
from .requests import MISSING_CALL
from .schemas import schema_format, wire_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.runnables import Runnable

Method = Literal["function_calling", "json_schema", "json_mode"]

_Refusal: Any = getattr(exceptions, "ModelRefusalError", exceptions.ModelError)
"""LangChain's own error for this, where it has one (since langchain-core 1.7.5)."""


class AnswerRefusedError(GonkaError, _Refusal):  # type: ignore[misc]
    """The model declined to give a structured answer.

    Attributes:
        raw_message: Its answer.
    """

    def __init__(self, text: str, raw_message: AIMessage) -> None:
        super().__init__(text)
        self.raw_message = raw_message


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
    """What makes the object out of the model's message; refusals and missing calls are errors."""
    model: TypeBaseModel | None = (
        schema if isinstance(schema, type) and is_basemodel_subclass(schema) else None
    )
    parser: Runnable[Any, Any]
    if method == "function_calling":
        if model is not None:
            parser = PydanticToolsParser(tools=[model], first_tool_only=True)
        else:
            parser = JsonOutputKeyToolsParser(key_name=tool_name(schema), first_tool_only=True)
        return _guard(calls=True) | parser
    parser = JsonOutputParser() if model is None else PydanticOutputParser(pydantic_object=model)
    return _guard(calls=False) | parser


def chain(
    llm: Runnable[Any, Any], parser: Runnable[Any, Any], *, include_raw: bool
) -> Runnable[Any, Any]:
    """Model and parser in a row; with *include_raw*, errors of the parser become results."""
    if not include_raw:
        return llm | parser
    parsed = RunnablePassthrough.assign(
        parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
    )
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def _conclude(messages: list[Any], *, calls: bool) -> None:
    """Say what is wrong with a message whose pieces have passed.

    Raises:
        AnswerRefusedError: It is a refusal.
        MissingToolCallError: It calls no tool, although *calls* says that it has to.
    """
    message = messages[0] if len(messages) == 1 else messages and messages[0] + messages[1:]
    if not isinstance(message, AIMessage) or message.tool_calls:
        return
    refusal = _refusal_in(message)
    if refusal:
        raise AnswerRefusedError(f"The model refused to answer: {refusal}", message)
    if calls:
        raise _missing(message)


def _refusal_in(message: AIMessage) -> str:
    """What a message says in refusal, wherever the installed langchain-core puts it."""
    found = message.additional_kwargs.get("refusal") or ""
    for block in message.content if isinstance(message.content, list) else ():
        inner = block.get("value", block) if isinstance(block, dict) else {}
        if isinstance(inner, dict) and inner.get("type") == "refusal":
            found += inner.get("refusal") or ""
    return found


def _missing(message: AIMessage) -> Exception:
    if message.invalid_tool_calls:
        bad = message.invalid_tool_calls[0]
        return exceptions.OutputParserException(
            f"{bad.get('error') or 'the arguments are no JSON object'}: {bad.get('args')!r}",
            llm_output=str(bad.get("args")),
        )
    return MissingToolCallError.of(message, ("a tool",))


def _guarded(messages: Iterator[Any], *, calls: bool) -> Iterator[Any]:
    seen = []
    for message in messages:
        seen.append(message)
        if not _refusal_in(message):  # parsers would raise at its first word
            yield message
    _conclude(seen, calls=calls)


async def _aguarded(messages: AsyncIterator[Any], *, calls: bool) -> AsyncIterator[Any]:
    seen = []
    async for message in messages:
        seen.append(message)
        if not _refusal_in(message):  # parsers would raise at its first word
            yield message
    _conclude(seen, calls=calls)


def _guard(*, calls: bool) -> Runnable[Any, Any]:
    """Lets messages pass, piece by piece, and looks at the whole when they have."""
    return RunnableGenerator(
        partial(_guarded, calls=calls), partial(_aguarded, calls=calls), name="gonka_answer_check"
    )
