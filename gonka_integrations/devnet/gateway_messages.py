"""What a gateway does to the messages of a request: much is forgiven, some is refused.

Source: gonka-ai/gonka `docs/chat-api/README.md`, "Messages contract".
"""

from __future__ import annotations

from typing import Any

from .gateway_schemas import PolicyError
from .shapes import ROLES

_EMPTY_TOOL_ANSWER = "(empty)"
_MAX_MESSAGES = 2048
_MAX_NAME_BYTES = 64


def normalised_messages(messages: Any) -> list[dict[str, Any]]:
    """The messages as they go on to a host.

    Text parts are joined, orphan tool messages and assistant turns that say nothing are dropped.

    Raises:
        PolicyError: With the reason.
    """
    if not isinstance(messages, list) or not messages:
        raise PolicyError("messages is required")
    if len(messages) > _MAX_MESSAGES:
        raise PolicyError(f"messages exceeds {_MAX_MESSAGES} entries")
    known: set[str] = set()
    kept: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        made = _normalised(message, f"messages[{index}]", known)
        if made is not None:
            kept.append(made)
    if not kept:
        raise PolicyError("messages is required")
    return kept


def _normalised(message: Any, where: str, known: set[str]) -> dict[str, Any] | None:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise PolicyError(f"{where}.role is not supported")
    made = dict(message)
    made["content"] = _text(message.get("content"), where)
    role = made["role"]
    if role == "assistant":
        return _assistant(made, where, known)
    if role == "tool":
        return _tool(made, known)
    if role == "function" and not made.get("name"):
        raise PolicyError(f"{where}.name is required")
    if made["content"] is None:
        raise PolicyError(f"{where}.content is required")
    return made


def _assistant(made: dict[str, Any], where: str, known: set[str]) -> dict[str, Any] | None:
    for key in ("tool_calls", "function_call"):
        if made.get(key) is None:
            made.pop(key, None)
    calls = made.get("tool_calls") or []
    _check_calls(calls, where, known)
    if not made["content"] and not calls and "function_call" not in made:
        return None
    made["content"] = made["content"] or None
    return made


def _check_calls(calls: Any, where: str, known: set[str]) -> None:
    seen: set[str] = set()
    for index, call in enumerate(calls):
        place = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or call.get("type", "function") != "function":
            raise PolicyError(f"{place}.type must be function")
        if len(str(function.get("name", "")).encode()) > _MAX_NAME_BYTES:
            raise PolicyError(f"{place}.function.name exceeds {_MAX_NAME_BYTES} bytes")
        if call.get("id") in seen:
            raise PolicyError(f"{place}.id is duplicated")
        seen.add(call.get("id"))
    known |= seen


def _tool(made: dict[str, Any], known: set[str]) -> dict[str, Any] | None:
    if made.get("tool_call_id") not in known:
        return None
    made.pop("name", None)
    made["content"] = made["content"] or _EMPTY_TOOL_ANSWER
    return made


def _text(content: Any, where: str) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise PolicyError(f"{where}.content must be a string or an array of text parts")
    for index, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise PolicyError(f"{where}.content[{index}].type must be text")
        if not isinstance(part.get("text"), str):
            raise PolicyError(f"{where}.content[{index}].text must be a string")
    return "".join(part["text"] for part in content) or None
