"""Chat messages in their wire form, made acceptable to strict servers.

Works on OpenAI-shaped dicts, so that every wrapper converts its own message type to them and has
the rest done here. Rules: gonka-ai/gonka docs/chat-api/README.md, "Messages contract". Pure.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

#: Type of a content part -> the kind of content it is.
PART_MODALITIES = {
    "text": "text",
    "refusal": "text",
    "image_url": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "file": "file",
}


def tidy_messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A conversation that strict servers take, with the same meaning.

    * Assistant turns without text and without calls are left out: they say nothing.
    * Tool call ids that occur twice in one turn are made unique, and the answers follow them;
      some models produce such ids, and servers refuse them.
    * Pictures and other media in tool answers move to a user turn behind the answers: only text
      is allowed in a tool answer.

    The messages given are not changed.
    """
    tidy: list[dict[str, Any]] = []
    answers: dict[str, deque[str]] = {}
    media: list[Mapping[str, Any]] = []
    for message in messages:
        if message.get("role") == "tool":
            answer, parts = _tool_answer(message, answers)
            tidy.append(answer)
            media.extend(parts)
            continue
        if media:
            tidy.append({"role": "user", "content": list(media)})
            media = []
        if message.get("role") != "assistant":
            tidy.append(dict(message))
        elif not _is_empty(message):
            turn, answers = _unique_ids(message)
            tidy.append(turn)
    if media:
        tidy.append({"role": "user", "content": list(media)})
    return tidy


def _is_empty(message: Mapping[str, Any]) -> bool:
    return not any(
        message.get(key) for key in ("content", "tool_calls", "function_call", "refusal", "audio")
    )


def _unique_ids(message: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, deque[str]]]:
    """The turn with unique call ids, and for each id it had, the ids it has now."""
    turn = dict(message)
    renamed: dict[str, deque[str]] = {}
    taken: set[str] = set()
    calls = []
    for call in turn.get("tool_calls") or ():
        given = str(call.get("id") or f"call_{len(taken)}")
        unique, number = given, 2
        while unique in taken:
            unique, number = f"{given}_{number}", number + 1
        taken.add(unique)
        renamed.setdefault(str(call.get("id") or ""), deque()).append(unique)
        calls.append({**call, "id": unique})
    if calls:
        turn["tool_calls"] = calls
    return turn, renamed


def _tool_answer(
    message: Mapping[str, Any], renamed: dict[str, deque[str]]
) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    """The answer as text for the call it belongs to, and the media it held."""
    answer = dict(message)
    waiting = renamed.get(str(message.get("tool_call_id") or ""))
    if waiting:
        answer["tool_call_id"] = waiting.popleft() if len(waiting) > 1 else waiting[0]
    content = message.get("content")
    if not isinstance(content, list):
        return answer, []
    media = [part for part in content if PART_MODALITIES.get(part.get("type")) != "text"]
    if not media:
        return answer, []
    text = "\n".join(part.get("text", "") for part in content if part.get("type") == "text")
    answer["content"] = text or "(see the next message)"
    label = {"type": "text", "text": f"Output of the tool call {answer.get('tool_call_id')}:"}
    return answer, [label, *media]


def check_modalities(
    messages: Iterable[Mapping[str, Any]], allowed: Collection[str], *, model: str
) -> None:
    """Refuse content that the model cannot take, before anything is sent.

    Args:
        messages: Wire messages.
        allowed: Kinds of content: "text", "image", "audio", "video", "file".
        model: Name for the message.

    Raises:
        GonkaConfigError: Says which kind of content, in which message.
    """
    for position, role, kind in _kinds(messages):
        if kind not in allowed:
            raise GonkaConfigError(
                f"Message {position} ({role}) holds {kind} content, which {model} does not take "
                f"here (it takes {', '.join(sorted(allowed))}). Nothing was sent. Leave it out, "
                "describe it as text, or, if the endpoints in use do take it, say so with "
                "input_modalities.",
                field="messages",
            )


def _kinds(messages: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, str]]:
    for position, message in enumerate(messages, start=1):
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            kind = PART_MODALITIES.get(part.get("type"), str(part.get("type")))
            yield position, str(message.get("role")), kind
