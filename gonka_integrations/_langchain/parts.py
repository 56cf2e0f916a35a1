"""Content blocks of every dialect LangChain knows -> content parts of the chat protocol.

Dialects: LangChain's standard blocks (v1), its older ones (v0, with `source_type`), OpenAI's parts
and Anthropic's blocks. What has no form is refused by name; nothing is dropped from what a user
says.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from ..core.messages import PART_MODALITIES
from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Part = dict[str, Any]
Block = "Mapping[str, Any]"

_TEXT_KINDS = ("application/json", "application/xml", "application/yaml", "application/x-yaml")


def content_of(content: Any, place: str, *, joint: str = "\n") -> str | list[Part]:
    """Content of a message: a string when it is text alone, else a list of parts.

    Args:
        content: `content` of a LangChain message.
        place: Where it stands, for errors.
        joint: What stands between texts that are joined.
    """
    if isinstance(content, str):
        return content
    return joined(parts_of(content, place), joint)


def joined(parts: list[Part], joint: str) -> str | list[Part]:
    """Text alone as one string, which every server takes; anything else as it is."""
    if all(part["type"] == "text" for part in parts):
        return joint.join(part["text"] for part in parts)
    return parts


def parts_of(blocks: Iterable[Any], place: str) -> list[Part]:
    """Parts of a list of blocks.

    Raises:
        GonkaConfigError: A block has no form in the protocol; says which and where.
    """
    return [part for block in blocks for part in part_of(block, place)]


def part_of(block: Any, place: str) -> list[Part]:
    """Parts of one block; errors as `parts_of`."""
    if isinstance(block, str):
        return [_text(block)]
    kind = block.get("type")
    convert = _CONVERTERS.get(str(kind))
    if convert is not None:
        return convert(block, place)
    if kind in PART_MODALITIES and kind in block:
        return [{"type": kind, kind: block[kind]}]
    if kind is None and isinstance(block.get("text"), str):
        return [_text(block["text"])]
    raise _refused(f"a block of the type {kind!r} has no form", place)


def tool_answer(content: Any, place: str) -> str | list[Part]:
    """Content of a tool's answer; whatever is no block is data, and goes as JSON text."""
    if isinstance(content, str):
        return content
    parts: list[Part] = []
    for block in content:
        if isinstance(block, dict) and "type" not in block:
            parts.append(_text(json.dumps(block, ensure_ascii=False, default=str)))
        else:
            parts += part_of(block, place)
    return joined(parts, "\n")


def _text(text: str) -> Part:
    return {"type": "text", "text": text}


def _refused(what: str, place: str) -> GonkaConfigError:
    return GonkaConfigError(
        f"In {place}, {what} in the chat completions protocol. Nothing was sent. Leave it out, or "
        "put what it says into text.",
        field="messages",
    )


def _plain(block: Mapping[str, Any], _place: str) -> list[Part]:
    return [_text(str(block.get("text") or block.get("refusal") or ""))]


def _document_text(block: Mapping[str, Any], place: str) -> list[Part]:
    if not isinstance(block.get("text"), str):
        return _file(block, place)
    title = block.get("title")
    return [_text(f"{title}\n{block['text']}" if title else block["text"])]


def _image_url(block: Mapping[str, Any], _place: str) -> list[Part]:
    image = block["image_url"]
    return [{"type": "image_url", "image_url": {"url": image} if isinstance(image, str) else image}]


def _image(block: Mapping[str, Any], place: str) -> list[Part]:
    image: Part = {"url": _url(block, "image/png", "an image", place)}
    detail = block.get("detail") or (block.get("extras") or {}).get("detail")
    if detail:
        image["detail"] = detail
    return [{"type": "image_url", "image_url": image}]


def _audio(block: Mapping[str, Any], place: str) -> list[Part]:
    data = _data(block)
    if data is None:
        return [{"type": "audio_url", "audio_url": {"url": _url(block, "", "a sound", place)}}]
    kind = _mime(block) or "audio/wav"
    sound = {"data": data, "format": kind.rpartition("/")[2].removeprefix("x-")}
    return [{"type": "input_audio", "input_audio": sound}]


def _video(block: Mapping[str, Any], place: str) -> list[Part]:
    return [{"type": "video_url", "video_url": {"url": _url(block, "video/mp4", "a video", place)}}]


def _file(block: Mapping[str, Any], place: str) -> list[Part]:
    """A document: text as text, which every model reads; anything else as a file."""
    if isinstance(block.get("file"), dict):
        return [{"type": "file", "file": dict(block["file"])}]
    identity = block.get("file_id") or (block.get("id") if _source_type(block) == "id" else None)
    if identity:
        return [{"type": "file", "file": {"file_id": identity}}]
    source = block.get("source")
    if isinstance(source, dict) and isinstance(source.get("content"), list):
        return parts_of(source["content"], place)
    kind, data = _mime(block), _data(block)
    if _source_type(block) == "text":
        return [_text(str(block.get("text") or data or ""))]
    if data is None:
        raise _refused("a link to a document (give its bytes as base64) has no form", place)
    if kind and (kind.startswith("text/") or kind in _TEXT_KINDS):
        return [_text(_decoded(data))]
    name = {
        "filename": _name(block),
        "file_data": f"data:{kind or 'application/pdf'};base64,{data}",
    }
    return [{"type": "file", "file": name}]


def _name(block: Mapping[str, Any]) -> str:
    """File name of a document; servers refuse one without."""
    for holder in (block, block.get("extras") or {}, block.get("metadata") or {}):
        for key in ("filename", "name", "title"):
            if isinstance(holder.get(key), str):
                return str(holder[key])
    return "document"


def _decoded(data: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return data  # Anthropic's text sources are not encoded


def _non_standard(block: Mapping[str, Any], place: str) -> list[Part]:
    value = block.get("value")
    if isinstance(value, dict) and value.get("type") != "non_standard":
        return part_of(value, place)
    raise _refused("a non-standard block has no form", place)


def _nested(block: Mapping[str, Any], name: str) -> Any:
    """A value of the block or of Anthropic's `source` in it."""
    source = block.get("source")
    return block.get(name) or (source.get(name) if isinstance(source, dict) else None)


def _source_type(block: Mapping[str, Any]) -> Any:
    source = block.get("source")
    return block.get("source_type") or (source.get("type") if isinstance(source, dict) else None)


def _mime(block: Mapping[str, Any]) -> str:
    return str(_nested(block, "mime_type") or _nested(block, "media_type") or "")


def _data(block: Mapping[str, Any]) -> str | None:
    data = block.get("base64") or _nested(block, "data")
    return data if isinstance(data, str) else None


def _url(block: Mapping[str, Any], kind: str, what: str, place: str) -> str:
    url, data = _nested(block, "url"), _data(block)
    if data is not None:
        return f"data:{_mime(block) or kind};base64,{data}"
    if isinstance(url, str):
        return url
    raise _refused(f"{what} without data or URL has no form", place)


def _nothing(_block: Mapping[str, Any], _place: str) -> list[Part]:
    """Marks for a provider's prompt cache; hosts cache prefixes by themselves."""
    return []


_CONVERTERS: dict[str, Callable[[Mapping[str, Any], str], list[Part]]] = {
    "text": _plain,
    "refusal": _plain,
    "text-plain": _document_text,
    "image_url": _image_url,
    "image": _image,
    "audio": _audio,
    "video": _video,
    "file": _file,
    "document": _file,
    "non_standard": _non_standard,
    "cachePoint": _nothing,
    "cache_point": _nothing,
}
