"""The shape of a chat-completions request: what a strict OpenAI-compatible server insists on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROLES = ("developer", "system", "user", "assistant", "tool", "function")
PART_TYPES = ("text", "image_url", "input_audio", "file", "refusal")
_INT32 = range(-(2**31), 2**31)


class ShapeError(ValueError):
    """The request does not have the shape of a chat-completions request."""


def check_envelope(request: Mapping[str, Any]) -> None:
    """What a node checks before it looks at the signature: roles, tool ids, number ranges.

    Source: gonka-ai/gonka `openai_compat_policy_test.go`.

    Raises:
        ShapeError: With the reason.
    """
    for name in ("seed", "max_tokens", "max_completion_tokens"):
        value = request.get(name)
        if value is not None and (not isinstance(value, int) or value not in _INT32):
            raise ShapeError(f"{name}: {value!r} is not an int32")
    messages = request["messages"]
    if not isinstance(messages, list) or not messages:
        raise ShapeError("messages must be a non-empty array")
    known: set[str] = set()
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]", known)


def _check_message(message: Any, where: str, known: set[str]) -> None:
    if not isinstance(message, dict):
        raise ShapeError(f"{where} must be an object")
    role = message.get("role")
    if role not in ROLES:
        raise ShapeError(f"{where}.role {role!r} is not supported")
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise ShapeError(f"{where}.content must be a string, an array or null")
    if role == "assistant":
        _note_tool_calls(message.get("tool_calls"), where, known)
    if role == "tool" and message.get("tool_call_id") not in known:
        raise ShapeError(f"{where}.tool_call_id does not match an earlier tool call")


def _note_tool_calls(calls: Any, where: str, known: set[str]) -> None:
    if calls is None:
        return
    if not isinstance(calls, list):
        raise ShapeError(f"{where}.tool_calls must be an array")
    seen: set[str] = set()
    for index, call in enumerate(calls):
        place = f"{where}.tool_calls[{index}]"
        if not isinstance(call, dict) or call.get("type", "function") != "function":
            raise ShapeError(f"{place}.type must be function")
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id:
            raise ShapeError(f"{place}.id is required")
        if call_id in seen:
            raise ShapeError(f"{place}.id is duplicated")
        seen.add(call_id)
    known |= seen


def check_content(request: Mapping[str, Any]) -> None:
    """What a strict engine checks: parts, turns that say nothing, tools, response format.

    Raises:
        ShapeError: With the reason.
    """
    pending: set[str] = set()
    for index, message in enumerate(request["messages"]):
        where = f"messages[{index}]"
        role, content = message["role"], message.get("content")
        if isinstance(content, list):
            _check_parts(content, where)
        elif content is None and role != "assistant":
            raise ShapeError(f"{where}: content is required for role {role}")
        if role == "assistant":
            pending = _check_assistant(message, where)
        elif role == "tool":
            if message["tool_call_id"] not in pending:
                raise ShapeError(f"{where}: tool message answers no pending tool call")
            pending.discard(message["tool_call_id"])
        elif pending:
            raise ShapeError(f"{where}: tool calls {sorted(pending)} have no answer")
    if pending:
        raise ShapeError(f"tool calls {sorted(pending)} have no answer")
    _check_tools(request)
    _check_response_format(request)


def _check_parts(parts: Sequence[Any], where: str) -> None:
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PART_TYPES:
            raise ShapeError(f"{where}.content[{index}]: type {kind!r} is not supported")
        if not isinstance(part.get(kind), str if kind in {"text", "refusal"} else dict):
            raise ShapeError(f"{where}.content[{index}]: {kind} is missing")


def _check_assistant(message: Mapping[str, Any], where: str) -> set[str]:
    calls = message.get("tool_calls") or []
    if not calls and not message.get("content") and not message.get("refusal"):
        raise ShapeError(f"{where}: assistant message has neither content nor tool_calls")
    for index, call in enumerate(calls):
        function = call.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ShapeError(f"{where}.tool_calls[{index}].function is malformed")
        if not isinstance(function.get("arguments"), str):
            raise ShapeError(f"{where}.tool_calls[{index}].function.arguments must be a string")
    return {call["id"] for call in calls}


def _check_tools(request: Mapping[str, Any]) -> None:
    tools = request.get("tools")
    if tools is None:
        if request.get("tool_choice") not in {None, "none", "auto"}:
            raise ShapeError("tool_choice needs tools")
        return
    if not isinstance(tools, list) or not tools:
        raise ShapeError("tools must be a non-empty array")
    names: list[str] = []
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or tool.get("type") != "function":
            raise ShapeError(f"tools[{index}] must be a function tool")
        if not isinstance(function.get("name"), str) or not function["name"]:
            raise ShapeError(f"tools[{index}].function.name is required")
        if not isinstance(function.get("parameters", {}), dict):
            raise ShapeError(f"tools[{index}].function.parameters must be an object")
        names.append(function["name"])
    _check_tool_choice(request.get("tool_choice"), names)


def _check_tool_choice(choice: Any, names: Sequence[str]) -> None:
    if choice is None or choice in ("none", "auto", "required"):
        return
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict) or choice.get("type") != "function":
        raise ShapeError(f"tool_choice {choice!r} is not supported")
    if function.get("name") not in names:
        raise ShapeError(f"tool_choice names {function.get('name')!r}, which is not among tools")


def _check_response_format(request: Mapping[str, Any]) -> None:
    wanted = request.get("response_format")
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in {"text", "json_object", "json_schema"}:
        raise ShapeError(f"response_format.type {kind!r} is not supported")
    if kind == "json_schema":
        described = wanted.get("json_schema")
        if not isinstance(described, dict) or not isinstance(described.get("schema"), dict):
            raise ShapeError("response_format.json_schema.schema is required")
        if not isinstance(described.get("name"), str) or not described["name"]:
            raise ShapeError("response_format.json_schema.name is required")
    if kind == "json_object" and "json" not in text_of(request["messages"]).lower():
        raise ShapeError("messages must contain the word 'json' to use json_object")


def content_text(content: Any) -> str:
    """The text of one message's content, parts joined."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(
        part["text"]
        for part in content
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of all messages, one line each."""
    return "\n".join(content_text(message.get("content")) for message in messages)
