"""Standard content blocks of Gonka's messages: a translator that LangChain asks by provider name.

LangChain's own best effort loses refusals and invalid tool calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from .metadata import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import AIMessageChunk
    from langchain_core.messages.content import ContentBlock

_REFUSAL_IS_KNOWN = "refusal" in KNOWN_BLOCK_TYPES  # since langchain-core 1.8


def refusal_block(text: str) -> dict[str, Any]:
    """A refusal as the installed langchain-core knows it."""
    block = {"type": "refusal", "refusal": text}
    return block if _REFUSAL_IS_KNOWN else {"type": "non_standard", "value": block}


def blocks_of(message: AIMessage) -> list[ContentBlock]:
    """Blocks of a whole message: reasoning, text, refusal, calls, invalid calls."""
    blocks = _said(message)
    present = {block.get("id") for block in blocks if block["type"] == "tool_call"}
    for call in message.tool_calls:
        if call["id"] is None or call["id"] not in present:
            blocks.append({**_fields(call, "name", "args", "id"), "type": "tool_call"})
    for bad in message.invalid_tool_calls:
        blocks.append({**_fields(bad, "name", "args", "id", "error"), "type": "invalid_tool_call"})
    return cast("list[ContentBlock]", blocks)


def chunk_blocks_of(chunk: AIMessageChunk) -> list[ContentBlock]:
    """Blocks of a piece of a message; calls are pieces too until the last one is there."""
    known = chunk.tool_calls or chunk.invalid_tool_calls or not chunk.tool_call_chunks
    if chunk.chunk_position == "last" and known:
        return blocks_of(chunk)
    blocks = _said(chunk)
    for call in chunk.tool_call_chunks:
        block = {**_fields(call, "name", "args", "id"), "type": "tool_call_chunk"}
        if call.get("index") is not None:
            block["index"] = call["index"]
        blocks.append(block)
    return cast("list[ContentBlock]", blocks)


def _said(message: AIMessage) -> list[dict[str, Any]]:
    """What is in the content, and what stands beside it."""
    plain = BaseMessage.content_blocks.fget(message)  # type: ignore[attr-defined]
    blocks: list[dict[str, Any]] = [dict(block) for block in plain]
    extra = message.additional_kwargs
    thoughts = extra.get("reasoning_content")
    if thoughts and not any(block["type"] == "reasoning" for block in blocks):
        blocks.insert(0, {"type": "reasoning", "reasoning": thoughts})
    if extra.get("refusal"):
        blocks.append(refusal_block(extra["refusal"]))
    return blocks


def _fields(call: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: call.get(name) for name in names}


def register() -> None:
    """Make the translator known to LangChain."""
    register_translator(PROVIDER, blocks_of, chunk_blocks_of)


def tool_call_piece(call: Mapping[str, Any]) -> dict[str, Any]:
    """What is new of a call (see `ToolCallAssembler.feed`), as LangChain's chunk."""
    return {
        "name": call["name"],
        "args": call["arguments"],
        "id": call["id"],
        "index": call["index"],
        "type": "tool_call_chunk",
    }


class BlockStream:
    """Standard blocks of a stream, each with an index of its own.

    LangChain merges blocks of equal index. Where text and calls are both counted from 0, a call
    merges into the text before it and is gone; indexes that name the kind cannot collide.
    """

    __slots__ = ("_kind", "_numbers")

    def __init__(self) -> None:
        self._kind = ""
        self._numbers = {"rs": -1, "txt": -1, "ref": -1}

    def of(
        self,
        text: str,
        thought: str,
        calls: Sequence[Mapping[str, Any]],
        extra: Mapping[str, Any] | None,
    ) -> list[dict[str, Any]]:
        """Blocks of one piece of an answer."""
        blocks: list[dict[str, Any]] = []
        if thought:
            blocks.append({"type": "reasoning", "reasoning": thought, "index": self._at("rs")})
        if text:
            blocks.append({"type": "text", "text": text, "index": self._at("txt")})
        if extra:
            blocks += self._extra(extra)
        for call in calls:
            self._kind = "tc"
            block = {**tool_call_piece(call), "index": f"lc_tc_{call['index']}"}
            blocks.append(block)
        return blocks

    def _extra(self, extra: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {**refusal_block(value), "index": self._at("ref")}
            if key == "refusal"
            else {"type": "non_standard", "value": {key: value}}
            for key, value in extra.items()
        ]

    def _at(self, kind: str) -> str:
        if kind != self._kind:
            self._kind = kind
            self._numbers[kind] += 1
        return f"lc_{kind}_{self._numbers[kind]}"
