"""LangChain messages -> wire messages. Nothing that can be said is lost, nothing else is sent."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from ..core.messages import tidy_messages
from ..core.tool_calls import parse_arguments
from ..errors import GonkaConfigError
from .parts import Part, content_of, joined, part_of, parts_of, tool_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.messages import BaseMessage

_logger = logging.getLogger("gonka_integrations.langchain")
_ROLES = {"human": "user", "ai": "assistant"}
_SAID = ("text", "refusal", "text-plain", "image", "image_url", "input_audio", "audio", "file")


def to_wire(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Wire messages of a conversation; the messages given are not changed.

    Reasoning of assistant turns arrives as `reasoning_content`, all of it: what is sent of it is a
    matter of policy, decided later.

    Raises:
        GonkaConfigError: A message or block has no wire form; says which and where.
    """
    wire: list[dict[str, Any]] = []
    for position, message in enumerate(messages, 1):
        wire += _convert(message, f"message {position} ({message.type})")
    return tidy_messages(wire)


def _convert(message: BaseMessage, place: str) -> list[dict[str, Any]]:
    if isinstance(message, HumanMessage):
        return _user(message, place)
    if isinstance(message, AIMessage):
        return [_assistant(message, place)]
    if isinstance(message, SystemMessage):
        return [_named({"role": "system", "content": content_of(message.content, place)}, message)]
    if isinstance(message, ToolMessage):
        content = tool_answer(message.content, place)
        return [{"role": "tool", "tool_call_id": message.tool_call_id, "content": content}]
    if isinstance(message, FunctionMessage):
        content = content_of(message.content, place)
        return [{"role": "function", "name": message.name, "content": content}]
    if isinstance(message, ChatMessage):
        # Templates of open models know no developer role; some drop such messages silently.
        role = "system" if message.role == "developer" else message.role
        role = _ROLES.get(role, role)
        return [_named({"role": role, "content": content_of(message.content, place)}, message)]
    raise GonkaConfigError(
        f"{place[0].upper()}{place[1:]} is a {type(message).__name__}, which has no form in the "
        "chat completions protocol. Nothing was sent.",
        field="messages",
    )


def _named(wire: dict[str, Any], message: BaseMessage) -> dict[str, Any]:
    name = message.name or message.additional_kwargs.get("name")
    return wire | {"name": name} if name else wire


def _user(message: HumanMessage, place: str) -> list[dict[str, Any]]:
    """A user turn; tool results that Anthropic's dialect puts into it become turns of their own."""
    if isinstance(message.content, str):
        return [_named({"role": "user", "content": message.content}, message)]
    results = [b for b in message.content if _type(b) == "tool_result"]
    rest = [b for b in message.content if _type(b) != "tool_result"]
    wire = [
        {
            "role": "tool",
            "tool_call_id": block.get("tool_use_id"),
            "content": tool_answer(block.get("content") or "", place),
        }
        for block in results
        if isinstance(block, dict)
    ]
    if rest or not wire:
        content = joined(parts_of(rest, place), "\n")
        wire.append(_named({"role": "user", "content": content}, message))
    return wire


def _type(block: Any) -> Any:
    return block.get("type") if isinstance(block, dict) else "text"


def _assistant(message: AIMessage, place: str) -> dict[str, Any]:
    extra = message.additional_kwargs
    said: list[Part] = []
    thoughts: list[str] = []
    noted: list[dict[str, Any]] = []
    content = message.content
    for block in [content] if isinstance(content, str) else content:
        _sort_block(block, place, said, thoughts, noted)
    text = joined(said, "") or extra.get("refusal")
    calls = _calls(message) or noted
    wire = _named({"role": "assistant", "content": text or (None if calls else "")}, message)
    if calls:
        wire["tool_calls"] = calls
    elif extra.get("function_call"):
        wire["function_call"] = extra["function_call"]
    if isinstance(extra.get("audio"), dict) and "id" in extra["audio"]:
        wire["audio"] = {"id": extra["audio"]["id"]}
    reasoning = extra.get("reasoning_content") or extra.get("reasoning") or "".join(thoughts)
    if isinstance(reasoning, str) and reasoning:
        wire["reasoning_content"] = reasoning
    return wire


def _sort_block(
    block: Any, place: str, said: list[Part], thoughts: list[str], noted: list[dict[str, Any]]
) -> None:
    """Put one block of an assistant turn where it belongs."""
    kind = _type(block)
    if isinstance(block, str) or kind in _SAID:
        said += part_of(block, place)
    elif kind in ("reasoning", "thinking"):
        thoughts.append(_thought(block))
    elif kind in ("tool_use", "tool_call", "invalid_tool_call", "tool_call_chunk"):
        arguments = block.get("input") if kind == "tool_use" else block.get("args")
        noted.append(_call(block.get("id"), block.get("name"), arguments))
    elif kind == "non_standard" and _type(block.get("value")) in _SAID:
        said += part_of(block, place)
    else:
        _logger.debug("In %s, a block of the type %r was not sent back", place, kind)


def _thought(block: Mapping[str, Any]) -> str:
    text = block.get("reasoning") or block.get("thinking")
    if isinstance(text, str):
        return text
    summary = block.get("summary") or ()
    return "".join(part.get("text") or "" for part in summary if isinstance(part, dict))


def _calls(message: AIMessage) -> list[dict[str, Any]]:
    """The calls of a turn, valid or not: each may have been answered."""
    calls = [_call(call["id"], call["name"], call["args"]) for call in message.tool_calls]
    calls += [_call(c["id"], c["name"], c["args"]) for c in message.invalid_tool_calls]
    if calls:
        return calls
    return list(_raw_calls(message.additional_kwargs.get("tool_calls") or ()))


def _raw_calls(calls: Iterable[Any]) -> Iterable[dict[str, Any]]:
    for call in calls:
        function = call.get("function") or {}
        yield _call(call.get("id"), function.get("name"), function.get("arguments"))


def _call(identity: Any, name: Any, arguments: Any) -> dict[str, Any]:
    function = {"name": name or "unknown", "arguments": _arguments(arguments)}
    return {"id": identity, "type": "function", "function": function}


def _arguments(arguments: Any) -> str:
    """Arguments as JSON text of an object.

    What is none would make templates fail on every later turn, so it is wrapped: the model sees
    what it wrote.
    """
    if isinstance(arguments, str):
        try:
            arguments = parse_arguments(arguments)
        except ValueError:
            arguments = {"invalid_arguments": arguments}
    return json.dumps(arguments or {}, ensure_ascii=False, default=str)
