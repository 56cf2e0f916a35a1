"""Chunks of a stream -> LangChain's chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.reasoning import Split, ThinkSplitter, reasoning_of
from ..core.tool_calls import ToolCallAssembler, partial_arguments
from .blocks import BlockStream, tool_call_piece
from .call_ends import CallEnds
from .chunks import generation_chunk
from .metadata import PROVIDER, response_metadata, total, usage_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.outputs import ChatGenerationChunk

    from ..core.served import ServedBy

_KNOWN = frozenset(
    {"role", "content", "reasoning_content", "reasoning", "reasoning_details", "tool_calls"}
)


class StreamReader:
    """Makes LangChain's chunks out of those of one stream.

    Text, reasoning and calls go out as they come. What the answer says about itself (why it ended,
    what it cost, who served it) goes out once, on the last chunk: LangChain adds chunks up, and
    would double it.

    Args:
        blocks: Whether content goes out as standard blocks (`output_version="v1"`).

    Attributes:
        text: Text so far, in pieces.
        finish_reason: Why the answer ended, once it has.
        tools: The calls so far.
        refused: Whether the model has refused to answer.
    """

    __slots__ = (
        "_blocks", "_carried", "_earlier", "_ends", "_head", "_splitter", "_usage",
        "finish_reason", "refused", "text", "tools",
    )  # fmt: skip

    def __init__(self, *, blocks: bool) -> None:
        self._blocks = BlockStream() if blocks else None
        self._splitter: ThinkSplitter | None = ThinkSplitter()
        self._head: Mapping[str, Any] = {}
        self._usage: Mapping[str, Any] | None = None
        self._earlier: Mapping[str, Any] | None = None
        self._carried = Split("", "")
        self.finish_reason: str | None = None
        self.text: list[str] = []
        self.tools = ToolCallAssembler()
        self._ends = CallEnds(self.tools)
        self.refused = False

    def read(self, chunk: Mapping[str, Any]) -> ChatGenerationChunk | None:
        """The chunk to pass on, None when this one says nothing for the reader."""
        if not self._head:
            self._head = chunk
        if chunk.get("usage"):
            self._usage = chunk["usage"]
        choice = _first(chunk["choices"])
        if choice is None:
            return None
        if choice.get("finish_reason"):
            self.finish_reason = choice["finish_reason"]
        delta = choice.get("delta")
        if not delta:
            return None
        text, logprobs = delta.get("content") or "", choice.get("logprobs")
        if not isinstance(text, str):
            text = _text_of(text)
        if text and len(delta) == 1 and self._splitter is None and not logprobs:
            return self._said(text, "", (), None, None)  # as nearly all of them are
        info = {"logprobs": logprobs} if logprobs else None
        thought = reasoning_of(delta)
        if text and self._splitter is not None:
            text, inline = self._splitter.feed(text)
            thought += inline
            if self._splitter.over:
                self._splitter = None
        calls = self._ends.feed(delta["tool_calls"]) if delta.get("tool_calls") else ()
        return self._said(text, thought, calls, _others(delta), info)

    def last(self, served: ServedBy) -> ChatGenerationChunk:
        """The chunk that ends the message and says everything about it."""
        text, thought = self._held_back()
        facts, usage = served.as_dict(), self._usage
        if self._earlier is not None:
            facts["reasked"] = True
            usage = total(self._earlier, usage)
        metadata = response_metadata(
            self._head, facts, finish_reason=self.finish_reason, usage=usage
        )
        fields = self._fields(text, thought, self._ends.last(), None)
        fields["response_metadata"] = metadata | fields.get("response_metadata", {})
        fields["chunk_position"] = "last"
        counted = usage_of(usage)
        if counted is not None:
            fields["usage_metadata"] = counted
        return generation_chunk(text, fields, {"finish_reason": self.finish_reason})

    @property
    def asked_again(self) -> bool:
        """Whether this is the second stream of the message."""
        return self._earlier is not None

    def begin_again(self) -> None:
        """Another stream goes on with the same message."""
        self._carried = self._held_back()
        self._earlier = total(self._earlier, self._usage)
        self._usage = None
        self._splitter = ThinkSplitter()
        self.finish_reason = None

    def _held_back(self) -> Split:
        """What was held back because it might have been the beginning of a tag."""
        text, thought = self._carried
        rest = self._splitter.end() if self._splitter is not None else Split("", "")
        return Split(text + rest.text, thought + rest.reasoning)

    def _said(
        self,
        text: str,
        thought: str,
        calls: Sequence[dict[str, Any]],
        extra: dict[str, Any] | None,
        info: dict[str, Any] | None,
    ) -> ChatGenerationChunk | None:
        if not (text or thought or calls or extra or info):
            return None
        if extra and "refusal" in extra:
            self.refused = True
        return generation_chunk(text, self._fields(text, thought, calls, extra), info)

    def _fields(
        self,
        text: str,
        thought: str,
        calls: Sequence[dict[str, Any]],
        extra: dict[str, Any] | None,
    ) -> dict[str, Any]:
        """Fields of the message of a chunk."""
        if text:
            self.text.append(text)
        fields: dict[str, Any] = {"content": text}
        if calls:
            fields["tool_call_chunks"] = pieces = [tool_call_piece(call) for call in calls]
            # What opens is a call already, for those who show what is being called.
            fields["tool_calls"] = [_opening(call) for call in pieces if call["name"]]
        if self._blocks is not None:
            fields["content"] = self._blocks.of(text, thought, calls, extra)
            fields["response_metadata"] = {"output_version": "v1"}
        elif thought or extra:
            fields["additional_kwargs"] = more = extra or {}
            if thought:
                more["reasoning_content"] = thought
            if "refusal" in more:  # only our translator finds it there
                fields["response_metadata"] = {"model_provider": PROVIDER}
        return fields


def _first(choices: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The choice that is streamed; others of `n` have no place in LangChain's streams."""
    for choice in choices:
        if not choice.get("index"):
            return choice
    return None


def _text_of(content: Any) -> str:
    """Text of a content that a server streams as parts."""
    parts = content if isinstance(content, list) else ()
    return "".join(part.get("text") or "" for part in parts if isinstance(part, dict))


def _others(delta: Mapping[str, Any]) -> dict[str, Any] | None:
    """What else a delta holds: a refusal, a sound, annotations."""
    extra = None
    for key, value in delta.items():
        if value is not None and value != "" and key not in _KNOWN:
            extra = extra or {}
            extra[key] = value
    return extra


def _opening(call: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": call["name"],
        "args": partial_arguments(call["args"]),
        "id": call["id"],
        "type": "tool_call",
    }
