"""Whole answers -> LangChain's results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCall
from langchain_core.outputs import ChatGeneration, ChatResult

from ..core.reasoning import reasoning_of, split_thinking
from ..core.tool_calls import ToolCallAssembler, parse_arguments
from .metadata import response_metadata, usage_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KNOWN = frozenset(
    {"role", "content", "reasoning_content", "reasoning", "reasoning_details", "tool_calls"}
)


def result_of(
    data: Mapping[str, Any], served: Mapping[str, Any], usage: Mapping[str, Any] | None
) -> ChatResult:
    """The result for a `chat.completion` object.

    Args:
        data: The object.
        served: Who served it, as JSON values.
        usage: What was spent, earlier requests of the same call included.
    """
    generations = [
        _generation(choice, data, served, usage if number == 0 else None)
        for number, choice in enumerate(data.get("choices") or ())
    ]
    output = {"model_name": data.get("model"), "token_usage": dict(usage or {})}
    return ChatResult(generations=generations, llm_output=output)


def _generation(
    choice: Mapping[str, Any],
    data: Mapping[str, Any],
    served: Mapping[str, Any],
    usage: Mapping[str, Any] | None,
) -> ChatGeneration:
    """One alternative. The first one carries the usage of all."""
    said = choice.get("message") or {}
    text, thought = text_of(said.get("content")), reasoning_of(said)
    text, inline = split_thinking(text)
    thought += inline
    calls, invalid = calls_of(said.get("tool_calls") or ())
    extra = {k: v for k, v in said.items() if v is not None and v != "" and k not in _KNOWN}
    if thought:
        extra["reasoning_content"] = thought
    finish = choice.get("finish_reason")
    metadata = response_metadata(data, served, finish_reason=finish, usage=usage)
    if choice.get("logprobs"):
        metadata["logprobs"] = choice["logprobs"]
    message = AIMessage(
        content=text,
        additional_kwargs=extra,
        response_metadata=metadata,
        tool_calls=calls,
        invalid_tool_calls=invalid,
        usage_metadata=usage_of(usage),
    )
    return ChatGeneration(message=message, generation_info={"finish_reason": finish})


def text_of(content: Any) -> str:
    """Text of a content, whether it is a string or parts."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""


def calls_of(calls: Iterable[Any]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """Calls with their arguments parsed, and those whose arguments are no JSON object."""
    assembler = ToolCallAssembler()
    assembler.feed({**call, "index": n} for n, call in enumerate(calls) if isinstance(call, dict))
    good: list[ToolCall] = []
    bad: list[InvalidToolCall] = []
    for call in assembler.calls():
        name, arguments = call["name"], call["arguments"]
        try:
            good.append(ToolCall(name=name, args=parse_arguments(arguments), id=call["id"]))
        except ValueError as error:
            reason = f"arguments of {name!r} are no JSON object: {error}"
            bad.append(InvalidToolCall(name=name, args=arguments, id=call["id"], error=reason,
                                       type="invalid_tool_call"))  # fmt: skip
    return good, bad
