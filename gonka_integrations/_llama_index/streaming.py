"""Streams: from chunks to LlamaIndex responses, each of which holds all that was said so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
)

from ..core.reasoning import ThinkSplitter, reasoning_of
from ..core.tool_calls import ToolCallAssembler
from .responses import Reading, extra_of, logprobs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Model = TypeVar("Model", TextBlock, ThinkingBlock, ChatMessage, ChatResponse)
_ASSISTANT = MessageRole.ASSISTANT

# A text delta is the hot path: validating what is known to be valid costs more than reading it
# off the wire, so these are filled in beside the validators. Fields that a newer framework adds
# keep their defaults.
_TEXT = vars(TextBlock(text=""))
_THINKING = vars(ThinkingBlock())
_MESSAGE = vars(ChatMessage(role=_ASSISTANT, content=""))
_RESPONSE = vars(ChatResponse(message=ChatMessage(role=_ASSISTANT, content="")))
_names = {
    kind: set(kind.model_fields) for kind in (TextBlock, ThinkingBlock, ChatMessage, ChatResponse)
}
_new, _set = object.__new__, object.__setattr__


def _filled(kind: type[Model], values: dict[str, Any]) -> Model:
    made = _new(kind)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", _names[kind])  # all of them, so nothing is ever added
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


def _response(
    blocks: list[Any], delta: str, raw: dict[str, Any], logprobs: Any, thought: str
) -> ChatResponse:
    message = _filled(ChatMessage, {**_MESSAGE, "blocks": blocks, "additional_kwargs": {}})
    return _filled(
        ChatResponse,
        {
            **_RESPONSE,
            "message": message,
            "delta": delta,
            "raw": raw,
            "logprobs": logprobs,
            "additional_kwargs": {"thinking_delta": thought} if thought else {},
        },
    )


class StreamReader:
    """Puts the responses of one stream together. Each holds all that was said so far."""

    __slots__ = (
        "_finish", "_head", "_logprobs", "_reading", "_refusal", "_splitter", "_text",
        "_thoughts", "_tools", "_usage",
    )  # fmt: skip

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._splitter = ThinkSplitter()
        self._text = ""
        self._thoughts = ""
        self._tools: ToolCallAssembler | None = None
        self._head: dict[str, Any] = {}
        self._usage: dict[str, Any] | None = None
        self._finish: str | None = None
        self._logprobs: list[list[LogProb]] = []
        self._refusal = ""

    def feed(self, chunk: dict[str, Any]) -> ChatResponse | None:
        """The response for a chunk, None when it says nothing new."""
        self._head = chunk
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        choices = chunk["choices"]
        if not choices or choices[0].get("index"):
            return None  # further choices of `n` have no place in the framework's response
        choice = choices[0]
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
        delta = choice.get("delta") or {}
        text, thought = delta.get("content") or "", reasoning_of(delta)
        if text and not self._text:  # once text has come, tags are text
            split = self._splitter.feed(text)
            text, thought = split.text, thought + split.reasoning
        if delta.get("refusal"):
            self._refusal += delta["refusal"]
        if delta.get("tool_calls"):
            self._tools = self._tools or ToolCallAssembler()
            self._tools.feed(delta["tool_calls"])
        elif not text and not thought:
            return None
        logprobs = None
        if choice.get("logprobs"):
            logprobs = logprobs_of(choice["logprobs"])
            self._logprobs += logprobs or ()
        return self._said(text, thought, chunk, logprobs)

    def _said(
        self, text: str, thought: str, raw: dict[str, Any], logprobs: list[list[LogProb]] | None
    ) -> ChatResponse:
        self._text += text
        self._thoughts += thought
        if self._tools is None:
            return _response(self._blocks(), text, raw, logprobs, thought)
        return ChatResponse(
            message=self._message(whole=False),
            delta=text,
            raw=raw,
            logprobs=logprobs,
            additional_kwargs={"thinking_delta": thought} if thought else {},
        )

    def _blocks(self) -> list[Any]:
        blocks: list[Any] = []
        if self._thoughts:
            made = {**_THINKING, "content": self._thoughts, "additional_information": {}}
            blocks.append(_filled(ThinkingBlock, made))
        if self._text or not blocks:
            blocks.append(_filled(TextBlock, {**_TEXT, "text": self._text}))
        return blocks

    def _message(self, *, whole: bool) -> ChatMessage:
        calls = self._reading.kept(self._tools.calls()) if self._tools else []
        return self._reading.message(self._thoughts, self._text, calls, whole=whole)

    def end(self, served: Mapping[str, Any]) -> Iterator[ChatResponse]:
        """The stream is over: what was held back, if any, then the response that ends it.

        The last one holds all that was said, the usage, and who served it.
        """
        split = self._splitter.end()
        if split.text or split.reasoning:
            yield self._said(split.text, split.reasoning, self._head, None)
        yield self._last(served)

    def _last(self, served: Mapping[str, Any]) -> ChatResponse:
        raw = {**self._head, "choices": self._head.get("choices") or []}
        if self._usage is not None:
            raw["usage"] = self._usage
        extra = extra_of(self._usage, served, self._finish)
        if self._refusal:
            extra["refusal"] = self._refusal
        return ChatResponse(
            message=self._message(whole=True),
            delta="",
            raw=raw,
            logprobs=self._logprobs or None,
            additional_kwargs=extra,
        )
