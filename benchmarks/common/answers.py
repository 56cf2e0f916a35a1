"""OpenAI chat answers as bytes: a completion of about 1 KB and streams of n chunks."""

from __future__ import annotations

import json

_HEAD = {"id": "chatcmpl-0123456789abcdef", "created": 1750000000}
_USAGE = {"prompt_tokens": 24, "completion_tokens": 200, "total_tokens": 224}
_WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while")


def word(index: int) -> str:
    """Token *index* of every benchmark answer."""
    return " " + _WORDS[index % len(_WORDS)]


def text(words: int) -> str:
    return "".join(map(word, range(words)))


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def completion(model: str, words: int = 150) -> bytes:
    message = {"role": "assistant", "content": text(words), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _dump(
        {**_HEAD, "object": "chat.completion", "model": model, "choices": [choice], "usage": _USAGE}
    )


def _chunk(model: str, delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _dump({**_HEAD, "object": "chat.completion.chunk", "model": model, "choices": [choice]})


def role_chunk(model: str) -> bytes:
    return _chunk(model, {"role": "assistant", "content": ""})


def text_chunk(model: str, index: int) -> bytes:
    return _chunk(model, {"content": word(index)})


def finish_chunk(model: str, reason: str = "stop") -> bytes:
    return _chunk(model, {}, reason)


def usage_chunk(model: str) -> bytes:
    return _dump(
        {**_HEAD, "object": "chat.completion.chunk", "model": model, "choices": [], "usage": _USAGE}
    )


DONE = b"[DONE]"


def text_stream(model: str, words: int, usage: bool) -> list[bytes]:
    """The events of a streamed answer of *words* tokens."""
    events = [role_chunk(model), *(text_chunk(model, i) for i in range(words)), finish_chunk(model)]
    return [*events, *([usage_chunk(model)] if usage else []), DONE]


def tool_stream(model: str, size: int, fragment: int, usage: bool) -> list[bytes]:
    """One tool call whose JSON arguments (about *size* bytes) come *fragment* bytes at a time."""
    arguments = json.dumps({"text": "x" * size})
    function = {"name": "write", "arguments": ""}
    first = {"index": 0, "id": "call_1", "type": "function", "function": function}
    events = [_chunk(model, {"role": "assistant", "content": None, "tool_calls": [first]})]
    for start in range(0, len(arguments), fragment):
        part = {"index": 0, "function": {"arguments": arguments[start : start + fragment]}}
        events.append(_chunk(model, {"tool_calls": [part]}))
    events.append(_chunk(model, {}, "tool_calls"))
    return [*events, *([usage_chunk(model)] if usage else []), DONE]
