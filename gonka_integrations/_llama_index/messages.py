"""LlamaIndex messages -> wire messages: every kind of block is converted, or refused by name."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import filetype  # type: ignore[import-untyped]
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from ..core.messages import tidy_messages
from ..errors import GonkaConfigError
from .tools import wire_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Part = dict[str, Any]

# Templates of open models know no developer role; some drop such messages without a word.
_ROLES = {
    MessageRole.DEVELOPER: "system",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
}
_TEXT_TYPES = ("application/json", "application/xml", "application/yaml", "application/x-yaml")


def to_wire(messages: Sequence[ChatMessage]) -> list[dict[str, Any]]:
    """Wire messages of a conversation; the messages given are not changed.

    Thinking blocks of assistant turns arrive as `reasoning_content`, all of them: what is sent of
    them is a matter of policy, decided later.

    Raises:
        GonkaConfigError: A message holds a block that has no wire form; says which and where.
    """
    return tidy_messages(
        _message(message, f"message {position}") for position, message in enumerate(messages, 1)
    )


def _message(message: ChatMessage, place: str) -> dict[str, Any]:
    role = _ROLES.get(message.role, message.role.value)
    if role == "assistant":
        return _assistant(message, place)
    wire: dict[str, Any] = {"role": role, "content": _content(message.blocks, f"{place} ({role})")}
    extra = message.additional_kwargs
    if role == "function" and extra.get("tool_call_id"):
        wire["role"] = role = "tool"
    if role == "tool":
        wire["tool_call_id"] = extra.get("tool_call_id")
    elif extra.get("name"):
        wire["name"] = extra["name"]
    if role == "function" and "name" not in wire:
        raise GonkaConfigError(
            f"In {place}, a message of the role 'function' names neither its function "
            "(additional_kwargs['name']) nor its call (additional_kwargs['tool_call_id']).",
            field="messages",
        )
    return wire


def _assistant(message: ChatMessage, place: str) -> dict[str, Any]:
    said = [b for b in message.blocks if not isinstance(b, ThinkingBlock | ToolCallBlock)]
    wire: dict[str, Any] = {
        "role": "assistant",
        "content": _content(said, f"{place} (assistant)") if said else None,
    }
    thoughts = [b.content for b in message.blocks if isinstance(b, ThinkingBlock) and b.content]
    if thoughts:
        wire["reasoning_content"] = "\n".join(thoughts)
    calls = [_call_of_block(b) for b in message.blocks if isinstance(b, ToolCallBlock)]
    if not calls:
        given = message.additional_kwargs.get("tool_calls") or ()
        calls = [_call_of_dict(call) for call in given]
    if calls:
        wire["tool_calls"] = calls
    if message.additional_kwargs.get("name"):
        wire["name"] = message.additional_kwargs["name"]
    return wire


def _call_of_block(block: ToolCallBlock) -> dict[str, Any]:
    return _call(block.tool_call_id, block.tool_name, block.tool_kwargs)


def _call_of_dict(call: Any) -> dict[str, Any]:
    """A call as other classes keep it: a dict, or an object of the openai SDK."""
    data = call if isinstance(call, dict) else call.model_dump()
    function = data.get("function") or {}
    return _call(data.get("id"), function.get("name") or "", function.get("arguments"))


def _call(identity: str | None, name: str, arguments: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "type": "function",
        "function": {"name": wire_name(name), "arguments": _arguments(arguments)},
    }


def _arguments(arguments: Any) -> str:
    """Arguments as JSON text.

    Text that is no JSON would make templates fail on every later turn of the conversation, so it
    becomes an empty object; the tool's answer says what happened.
    """
    if not isinstance(arguments, str):
        return json.dumps(arguments or {}, ensure_ascii=False)
    try:
        json.loads(arguments)
    except ValueError:
        return "{}"
    return arguments


def _content(blocks: Iterable[Any], place: str) -> str | list[Part]:
    """Text alone as a string, which every server takes; anything else as a list of parts."""
    parts = [part for block in blocks for part in _parts(block, place)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _parts(block: Any, place: str) -> list[Part]:
    convert = _CONVERTERS.get(type(block))
    if convert is None:
        raise GonkaConfigError(
            f"In {place}, a {type(block).__name__} has no form in the chat completions protocol. "
            "Nothing was sent. Take it out, or put what it says into a TextBlock.",
            field="messages",
        )
    return convert(block, place)


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _text_block(block: TextBlock, place: str) -> list[Part]:
    del place
    return [_text(block.text)]


def _image(block: ImageBlock, place: str) -> list[Part]:
    del place
    image = {"url": str(block.url)} if block.url and not block.image else {}
    if not image:
        image["url"] = _data_url(block.resolve_image().read(), block.image_mimetype)
    if block.detail:
        image["detail"] = block.detail
    return [{"type": "image_url", "image_url": image}]


def _audio(block: AudioBlock, place: str) -> list[Part]:
    del place
    if block.url and not block.audio:
        return [{"type": "audio_url", "audio_url": {"url": str(block.url)}}]
    data = base64.b64encode(block.resolve_audio().read()).decode()
    return [{"type": "input_audio", "input_audio": {"data": data, "format": block.format or "wav"}}]


def _video(block: VideoBlock, place: str) -> list[Part]:
    del place
    if block.url and not block.video:
        url = str(block.url)
    else:
        url = _data_url(block.resolve_video().read(), block.video_mimetype)
    return [{"type": "video_url", "video_url": {"url": url}}]


def _document(block: DocumentBlock, place: str) -> list[Part]:
    """A text document as text, which every model reads; any other as a file."""
    if block.url and not block.data:
        raise GonkaConfigError(
            f"In {place}, a DocumentBlock points to {block.url}; the chat completions protocol "
            "carries documents, not links to them. Nothing was sent. Download it and give its "
            "bytes as `data`.",
            field="messages",
        )
    title, kind = block.title or "document", block.document_mimetype
    data = block.resolve_document().read()
    text = _text_in(data) if _may_be_text(kind) else None
    if text is not None:
        return [_text(f'<document title="{title}">\n{text}\n</document>')]
    return [{"type": "file", "file": {"filename": title, "file_data": _data_url(data, kind)}}]


def _may_be_text(kind: str | None) -> bool:
    """The library guesses types by magic bytes, which plain text has none of."""
    return kind is None or kind.startswith("text/") or kind in _TEXT_TYPES


def _text_in(data: bytes) -> str | None:
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _data_url(data: bytes, kind: str | None) -> str:
    if kind is None:
        guess = filetype.guess(data)
        kind = guess.mime if guess else "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _citable(block: CitableBlock, place: str) -> list[Part]:
    """What can be cited, between tags that name its title and source."""
    opening = f'<source title="{block.title}" id="{block.source}">'
    inner = [part for child in block.content for part in _parts(child, place)]
    return [_text(opening), *inner, _text("</source>")]


def _citation(block: CitationBlock, place: str) -> list[Part]:
    origin = _text(f"[{block.title}]({block.source})")
    return [*_parts(block.cited_content, place), origin]


def _cache_point(block: CachePoint, place: str) -> list[Part]:
    """Nothing: hosts cache prefixes by themselves, and the protocol has no word for it."""
    del block, place
    return []


_CONVERTERS: dict[type, Callable[[Any, str], list[Part]]] = {
    TextBlock: _text_block,
    ImageBlock: _image,
    AudioBlock: _audio,
    VideoBlock: _video,
    DocumentBlock: _document,
    CitableBlock: _citable,
    CitationBlock: _citation,
    CachePoint: _cache_point,
}
