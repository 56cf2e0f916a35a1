"""Wire answers -> LlamaIndex responses: whole ones, and streams chunk by chunk."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from ..core.reasoning import ThinkSplitter, reasoning_of, split_thinking
from ..core.tool_calls import ToolCallAssembler, parse_arguments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_ASSISTANT = MessageRole.ASSISTANT


@dataclass(frozen=True, slots=True)
class Reading:
    """What must be known of a request to read its answer.

    Attributes:
        single_call: Whether only the first tool call counts, because no more were allowed.
        own_names: Names of tools on the wire -> their own.
    """

    single_call: bool = False
    own_names: Mapping[str, str] = field(default_factory=dict)

    def blocks(
        self, thoughts: str, text: str, calls: Sequence[Mapping[str, Any]], *, whole: bool
    ) -> list[Any]:
        """Blocks of a message. There is one text block at most: `content` joins them by lines."""
        blocks: list[Any] = []
        if thoughts:
            blocks.append(ThinkingBlock(content=thoughts))
        if text or not (thoughts or calls):
            blocks.append(TextBlock(text=text))
        for call in calls:
            kwargs = _complete(call["arguments"]) if whole else call["arguments"]
            blocks.append(
                ToolCallBlock(
                    tool_call_id=call["id"], tool_name=self.named(call["name"]), tool_kwargs=kwargs
                )
            )
        return blocks

    def named(self, name: str) -> str:
        """The tool's own name."""
        return self.own_names.get(name, name)

    def kept(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The calls that count."""
        return calls[:1] if self.single_call else calls

    def legacy_calls(self, calls: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The calls as plain JSON, where structured streaming and older code look for them."""
        return [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": self.named(call["name"]), "arguments": call["arguments"]},
            }
            for call in calls
        ]

    def message(
        self, thoughts: str, text: str, calls: list[dict[str, Any]], *, whole: bool
    ) -> ChatMessage:
        """The message so far, or all of it."""
        extra = {"tool_calls": self.legacy_calls(calls)} if calls else {}
        blocks = self.blocks(thoughts, text, calls, whole=whole)
        return ChatMessage(role=_ASSISTANT, blocks=blocks, additional_kwargs=extra)


def _complete(arguments: str) -> dict[str, Any] | str:
    try:
        return parse_arguments(arguments)
    except ValueError:
        return arguments


def read_completion(
    data: dict[str, Any], served: Mapping[str, Any], reading: Reading
) -> ChatResponse:
    """The response for a whole answer.

    Args:
        data: `chat.completion` object.
        served: Who served it, as JSON values.
        reading: What to know of the request.
    """
    choice = (data.get("choices") or [{}])[0]
    said = choice.get("message") or {}
    thoughts, text = reasoning_of(said), _text_of(said.get("content"))
    if not thoughts:
        text, thoughts = split_thinking(text)
    calls = reading.kept([_flat_call(call) for call in said.get("tool_calls") or ()])
    extra = _extra(data.get("usage"), served, choice.get("finish_reason"))
    if said.get("refusal"):
        extra["refusal"] = said["refusal"]
    return ChatResponse(
        message=reading.message(thoughts, text, calls, whole=True),
        raw=data,
        logprobs=_logprobs(choice.get("logprobs")),
        additional_kwargs=extra,
    )


def _flat_call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments or {})
    return {"id": call.get("id"), "name": function.get("name") or "", "arguments": arguments}


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content or ""


def _extra(
    usage: Mapping[str, Any] | None, served: Mapping[str, Any], finish: str | None
) -> dict[str, Any]:
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    extra: dict[str, Any] = {name: usage[name] for name in counts if usage and name in usage}
    extra["finish_reason"] = finish
    extra["gonka"] = served
    return extra


def _logprobs(logprobs: Mapping[str, Any] | None) -> list[list[LogProb]] | None:
    """At each position the chosen token's alternatives, or the chosen token alone."""
    if not logprobs or not logprobs.get("content"):
        return None
    return [
        [
            LogProb(token=top["token"], logprob=top["logprob"], bytes=top.get("bytes") or [])
            for top in position.get("top_logprobs") or (position,)
        ]
        for position in logprobs["content"]
    ]


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
        if text:
            split = self._splitter.feed(text)
            text, thought = split.text, thought + split.reasoning
        if delta.get("refusal"):
            self._refusal += delta["refusal"]
        if delta.get("tool_calls"):
            self._tools = self._tools or ToolCallAssembler()
            self._tools.feed(delta["tool_calls"])
        elif not text and not thought:
            return None
        logprobs = _logprobs(choice.get("logprobs"))
        if logprobs:
            self._logprobs += logprobs
        return self._said(text, thought, chunk, logprobs)

    def _said(
        self, text: str, thought: str, raw: dict[str, Any], logprobs: list[list[LogProb]] | None
    ) -> ChatResponse:
        self._text += text
        self._thoughts += thought
        return ChatResponse(
            message=self._message(whole=False),
            delta=text,
            raw=raw,
            logprobs=logprobs,
            additional_kwargs={"thinking_delta": thought} if thought else {},
        )

    def _message(self, *, whole: bool) -> ChatMessage:
        if self._tools is None and not self._thoughts:
            return ChatMessage(role=_ASSISTANT, blocks=[TextBlock(text=self._text)])
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
        extra = _extra(self._usage, served, self._finish)
        if self._refusal:
            extra["refusal"] = self._refusal
        return ChatResponse(
            message=self._message(whole=True),
            delta="",
            raw=raw,
            logprobs=self._logprobs or None,
            additional_kwargs=extra,
        )


def as_completion(response: ChatResponse) -> CompletionResponse:
    """A chat response as the completion methods return it."""
    return CompletionResponse(
        text=response.message.content or "",
        delta=response.delta,
        raw=response.raw,
        logprobs=response.logprobs,
        additional_kwargs=response.additional_kwargs,
    )
