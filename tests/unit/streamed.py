"""Event streams and chunks, written short."""

from __future__ import annotations

import json
from typing import Any

DONE = b"data: [DONE]\n\n"
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "llama"}


def chunk(
    delta: dict[str, Any] | None = None, finish: str | None = None, index: int = 0, **more: Any
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish, **more}
    return {**HEAD, "choices": [choice]}


def role() -> dict[str, Any]:
    return chunk({"role": "assistant", "content": ""})


def text(piece: str, index: int = 0) -> dict[str, Any]:
    return chunk({"content": piece}, index=index)


def finish(reason: str = "stop", index: int = 0) -> dict[str, Any]:
    return chunk({}, reason, index)


def usage(tokens: int = 3) -> dict[str, Any]:
    return {**HEAD, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": tokens}}


def sse(*events: dict[str, Any] | bytes, done: bool = False) -> bytes:
    """Events as they go over the wire; bytes go as they are."""
    parts = [
        event if isinstance(event, bytes) else b"data: " + json.dumps(event).encode() + b"\n\n"
        for event in events
    ]
    return b"".join(parts) + (DONE if done else b"")


def spoken(words: str = "Hello world") -> bytes:
    """A whole stream that says *words*."""
    pieces = [text(piece) for piece in words.replace(" ", "\0 ").split("\0")]
    return sse(role(), *pieces, finish(), usage(), done=True)


def completion(content: str | None = "Hello", finish: str | None = "stop", **more: Any) -> bytes:
    """A whole plain answer."""
    message = {"role": "assistant", "content": content, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
    answer = {"id": "c-1", "object": "chat.completion", "created": 7, "model": "llama"}
    return json.dumps({**answer, "choices": [choice], "usage": {"total_tokens": 4}}).encode()
