"""Wire answers -> LlamaIndex responses."""

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

from ..core.reasoning import reasoning_of, split_thinking
from ..core.tool_calls import parse_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    extra = extra_of(data.get("usage"), served, choice.get("finish_reason"))
    if said.get("refusal"):
        extra["refusal"] = said["refusal"]
    return ChatResponse(
        message=reading.message(thoughts, text, calls, whole=True),
        raw=data,
        logprobs=logprobs_of(choice.get("logprobs")),
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


def extra_of(
    usage: Mapping[str, Any] | None, served: Mapping[str, Any], finish: str | None
) -> dict[str, Any]:
    """What a response says beside its message: token counts, why it ended, who served it."""
    counts = ("prompt_tokens", "completion_tokens", "total_tokens")
    extra: dict[str, Any] = {name: usage[name] for name in counts if usage and name in usage}
    extra["finish_reason"] = finish
    extra["gonka"] = served
    return extra


def logprobs_of(logprobs: Mapping[str, Any] | None) -> list[list[LogProb]] | None:
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


def as_completion(response: ChatResponse) -> CompletionResponse:
    """A chat response as the completion methods return it."""
    return CompletionResponse(
        text=response.message.content or "",
        delta=response.delta,
        raw=response.raw,
        logprobs=response.logprobs,
        additional_kwargs=response.additional_kwargs,
    )
