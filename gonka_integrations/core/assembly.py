"""From chunks to a message: what a stream has said so far, as a plain completion would say it."""

from __future__ import annotations

from typing import Any

from .tool_calls import ToolCallAssembler

REASONING_KEYS = ("reasoning_content", "reasoning")
_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


class _Choice:
    """One choice being put together. Fragments are kept apart and joined once."""

    __slots__ = ("also", "extra", "finish_reason", "logprobs", "parts", "role", "tools")

    def __init__(self) -> None:
        self.role = "assistant"
        self.parts: dict[str, list[str]] = {}
        self.tools: ToolCallAssembler | None = None
        self.finish_reason: str | None = None
        self.logprobs: dict[str, list[Any]] = {}
        self.extra: dict[str, Any] = {}
        self.also: dict[str, Any] = {}

    def add(self, choice: dict[str, Any]) -> None:
        for key, value in (choice.get("delta") or {}).items():
            if value is None:
                continue
            if key == "tool_calls":
                if value:  # vLLM sends an empty list with every delta
                    self.tools = self.tools or ToolCallAssembler()
                    self.tools.feed(value)
            elif key == "role":
                self.role = value
            elif isinstance(value, str):
                self.parts.setdefault(key, []).append(value)
            else:
                _gather(self.extra, key, value)
        if choice.get("finish_reason"):
            self.finish_reason = choice["finish_reason"]
        for key, tokens in (choice.get("logprobs") or {}).items():
            if isinstance(tokens, list):
                self.logprobs.setdefault(key, []).extend(tokens)

        for key, value in choice.items():
            if key not in _CHOICE:
                _gather(self.also, key, value)

    def text(self, key: str) -> str:
        return "".join(self.parts.get(key, ()))

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": self.role, "content": self.text("content")}
        for key in self.parts:
            message[key] = self.text(key)
        if self.tools is not None:
            message["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
                for call in self.tools.calls()
            ]
            message["content"] = message["content"] or None
        return message | self.extra


def _gather(found: dict[str, Any], key: str, value: Any) -> None:
    """Add one piece of a field: lists grow, anything else is replaced by what is not None."""
    before = found.get(key)
    if isinstance(before, list) and isinstance(value, list):
        before.extend(value)
    elif isinstance(value, list):
        found[key] = list(value)  # the chunk's own is its reader's
    elif value is not None or before is None:
        found[key] = value


class Assembler:
    """Takes the chunks of one stream and gives the completion they amount to.

    Args:
        choices: How many choices were asked for.

    Attributes:
        usage: Token counts of the stream, once they have come.
        finished: Whether all the choices have a finish reason.
    """

    __slots__ = ("_choices", "_expected", "_head", "finished", "usage")

    def __init__(self, choices: int = 1) -> None:
        self._expected = choices
        self._choices: dict[int, _Choice] = {}
        self._head: dict[str, Any] = {}
        self.usage: dict[str, Any] | None = None
        self.finished = False

    def add(self, chunk: dict[str, Any]) -> None:
        """Take in one chunk."""
        if not self._head:
            self._head = {k: v for k, v in chunk.items() if k not in ("choices", "usage", "object")}
        if chunk.get("usage"):
            self.usage = chunk["usage"]
        for choice in chunk.get("choices") or ():
            index = choice.get("index")
            index = index if type(index) is int else 0
            found = self._choices.get(index)
            if found is None:
                found = self._choices[index] = _Choice()
                self.finished = False
            found.add(choice)
            if found.finish_reason is not None and not self.finished:
                self._settle()

    def expect_no_more(self) -> None:
        """The endpoint says that this is all, though it may be fewer choices than asked for."""
        self._expected = 1
        self._settle()

    def _settle(self) -> None:
        found = self._choices.values()
        self.finished = len(found) >= self._expected and all(
            choice.finish_reason is not None for choice in found
        )

    def text(self) -> str:
        """Text of the first choice so far."""
        first = self._choices.get(min(self._choices, default=0))
        return first.text("content") if first else ""

    def message(self) -> dict[str, Any]:
        """Message of the first choice so far."""
        first = self._choices.get(min(self._choices, default=0))
        return first.message() if first else {"role": "assistant", "content": ""}

    def completion(self) -> dict[str, Any]:
        """The whole as an OpenAI ``chat.completion`` object."""
        choices = [
            {
                "index": index,
                "message": choice.message(),
                "finish_reason": choice.finish_reason,
                "logprobs": choice.logprobs or None,
                **choice.also,
            }
            for index, choice in sorted(self._choices.items())
        ]
        whole = self._head | {"object": "chat.completion", "choices": choices}
        if self.usage is not None:
            whole["usage"] = self.usage
        return whole


def has_content(chunk: dict[str, Any]) -> bool:
    """Whether a chunk says anything: text, reasoning, a tool call, or why the answer ends."""
    for choice in chunk.get("choices") or ():
        if choice.get("finish_reason"):
            return True
        for key, value in (choice.get("delta") or {}).items():
            if value and key != "role":
                return True
    return False


def as_chunks(completion: dict[str, Any]) -> list[dict[str, Any]]:
    """A plain completion as the chunks of a stream, for servers that do not stream."""
    head = {k: v for k, v in completion.items() if k not in ("choices", "usage", "object")}
    head["object"] = "chat.completion.chunk"
    choices = []
    for choice in completion.get("choices") or ():
        delta = {k: v for k, v in (choice.get("message") or {}).items() if v is not None}
        if isinstance(delta.get("tool_calls"), list):
            delta["tool_calls"] = [
                {"index": index} | call for index, call in enumerate(delta["tool_calls"])
            ]
        choices.append(
            {
                "index": choice.get("index", 0),
                "delta": delta,
                "finish_reason": choice.get("finish_reason"),
                "logprobs": choice.get("logprobs"),
            }
        )
    chunks: list[dict[str, Any]] = [head | {"choices": choices}]
    if completion.get("usage"):
        chunks.append(head | {"choices": [], "usage": completion["usage"]})
    return chunks
