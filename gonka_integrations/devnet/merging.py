"""A plain answer out of the chunks of a streamed one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def merge_chunks(chunks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A plain answer out of raw chunks: texts joined, tool calls by their index."""
    choices: dict[int, dict[str, Any]] = {}
    usage: Any = None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for part in chunk.get("choices") or ():
            index = part.get("index", 0)
            choice = choices.setdefault(index, {"index": index, "message": {"role": "assistant"}})
            _merge_delta(choice["message"], part.get("delta") or {})
            if part.get("finish_reason"):
                choice["finish_reason"] = part["finish_reason"]
    for choice in choices.values():
        choice.setdefault("finish_reason", None)
        choice["message"].setdefault("content", None)
    return {"choices": list(choices.values()), "usage": usage}


def _merge_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for key, value in delta.items():
        if key == "tool_calls":
            for call in value or ():
                _merge_call(message.setdefault("tool_calls", []), call)
        elif isinstance(value, str) and key != "role":
            message[key] = (message.get(key) or "") + value
        elif value is not None:
            message[key] = value


def _merge_call(calls: list[dict[str, Any]], piece: Mapping[str, Any]) -> None:
    index = piece.get("index", len(calls))
    while len(calls) <= index:
        calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
    function = piece.get("function") or {}
    calls[index]["id"] = piece.get("id") or calls[index].get("id")
    for key in ("name", "arguments"):
        calls[index]["function"][key] += function.get(key) or ""
