"""Stands in for a model on the local network: answers with what is in the prompt.

Against a real gateway the notebooks get a real model's answers instead.
"""

from __future__ import annotations

import json
import re
from typing import Any

from gonka_integrations.devnet import Reply, ToolCall, scripted

_WORD = re.compile(r"[a-z]{3,}|\d+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_ORDER = re.compile(r"\b(context|query|answer|extract|brief)\b", re.IGNORECASE)
_COMMON = frozenset({"the", "and", "for", "are", "was", "how", "what", "which", "who", "does"})
_TALK = {
    "sky": "Air scatters blue light more than red, so the sky looks blue.",
    "consensus": "Consensus is how strangers agree on one history.",
    "inference": "Decentralized inference runs models on many independent hosts.",
    "poem": "Many small engines hum in the night, each one a window, each one a light.",
}


def answer(request: dict[str, Any]) -> Reply:
    """A responder for `Devnet`: tools and schemas are filled from the prompt's own words."""
    reply = scripted(request)
    text = _text(request)
    if reply.error:
        return reply
    if reply.tool_calls:
        call = reply.tool_calls[0]
        made = dict(call.arguments) if isinstance(call.arguments, dict) else {}
        reply.tool_calls = [ToolCall(call.name, _filled(made, text))]
    elif request.get("response_format", {}).get("type") == "json_schema":
        reply.text = json.dumps(_filled(json.loads(reply.text or "{}"), text))
    elif request["messages"][-1]["role"] == "user":
        reply.text = _reply(text) or reply.text
    return reply


def _text(request: dict[str, Any]) -> str:
    parts = [m["content"] for m in request.get("messages", ()) if m.get("role") != "assistant"]
    return "\n".join(part for part in parts if isinstance(part, str))


def _words(text: str) -> set[str]:
    return {word.rstrip("s")[:5] for word in set(_WORD.findall(text.lower())) - _COMMON}


def _reply(text: str) -> str | None:
    """The sentence of the prompt that is nearest to its question, or a word about its subject."""
    sentences = [part.strip() for part in _SENTENCE.split(text) if part.strip()]
    asked = [part for part in sentences if part.endswith("?")]
    told = [part for part in sentences if part[-1:] in ".!" and not _ORDER.search(part)]
    if asked and told:
        question = _words(asked[-1])
        return max(reversed(told), key=lambda part: len(_words(part) & question))
    return next((said for word, said in _TALK.items() if word in text.lower()), None)


def _filled(made: dict[str, Any], text: str) -> dict[str, Any]:
    """*made* with values for the names that the text gives a value to, as in ``total: 12``."""
    return {name: _value(name, value, text) for name, value in made.items()}


def _value(name: str, value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return _filled(value, text)
    found = re.search(rf"{name.replace('_', '[ _]')}\s*(?:is|in|:|=)?\s*([^\n,;?]+)", text, re.I)
    if not found:
        return value
    given = found[1].strip().rstrip(".")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return value
    if isinstance(value, str):
        return given
    number = re.search(r"-?\d+(?:\.\d+)?", given)
    return type(value)(float(number[0])) if number else value
