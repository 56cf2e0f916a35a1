"""The default responder: deterministic, strict about what it is asked, and never clever.

It answers well enough for the standard test-suites of the frameworks: tools are called with
arguments that fit their schema, structured output fits its schema, everything else is an echo.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .replies import Reply, ToolCall, split_words
from .schema_instances import instance_of
from .shapes import ShapeError, check_content, check_envelope, content_text, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_ECHO_LENGTH = 200
_THOUGHT = "The caller expects an echo."
_JOKE = {"setup": "Why did the block cross the chain?", "punchline": "To reach consensus."}


def scripted(request: dict[str, Any]) -> Reply:
    """Answer a chat-completions request.

    Returns:
        A `Reply`; with `error` set to (400, reason) when the request is malformed.
    """
    try:
        check_envelope(request)
        check_content(request)
    except (ShapeError, KeyError) as problem:
        return Reply(error=(400, str(problem)))
    reply = _called(request) or _structured(request) or _spoken(request)
    reply.logprobs = bool(request.get("logprobs"))
    if reply.tool_calls or request.get("response_format"):
        return reply
    _limit(reply, request)
    return _repeated(reply, request)


def _called(request: Mapping[str, Any]) -> Reply | None:
    tools, choice = request.get("tools"), request.get("tool_choice")
    if not tools or choice == "none":
        return None
    functions = {tool["function"]["name"]: tool["function"] for tool in tools}
    if isinstance(choice, dict):
        wanted = functions[choice["function"]["name"]]
    elif choice == "required" or request["messages"][-1]["role"] == "user":
        wanted = next(iter(functions.values()))
    else:
        return None
    arguments = _arguments(wanted, _last_user_text(request))
    return Reply(text=None, tool_calls=[ToolCall(wanted["name"], arguments)])


def _arguments(function: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    name = function["name"]
    schema = function.get("parameters") or {}
    if name == "magic_function" and (found := re.search(r"magic_function\((-?\d+)\)", prompt)):
        return {"input": int(found[1])}
    if name == "greeting_generator":
        return {"answer_style": "Pirate"}
    if name == "unicode_customer":
        found = re.search(r"['\"“「]([^'\"”」]+)['\"”」]", prompt)
        return {**instance_of(schema), "customer_name": found[1] if found else "customer"}
    made = instance_of(schema)
    return made if isinstance(made, dict) else {}


def _structured(request: Mapping[str, Any]) -> Reply | None:
    wanted = request.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        made = instance_of(wanted["json_schema"]["schema"])
        return Reply(json.dumps(made, ensure_ascii=False))
    if wanted.get("type") == "json_object":
        return Reply(json.dumps(_JOKE))
    return None


def _spoken(request: Mapping[str, Any]) -> Reply:
    last = request["messages"][-1]
    said = " ".join(content_text(last.get("content")).split())[:_ECHO_LENGTH]
    if last["role"] == "tool":
        text = f"The tool says: {said}"
    else:
        text = f"You said: {said}" if said else "I am listening."
    return _thinking(text, request)


def _thinking(text: str, request: Mapping[str, Any]) -> Reply:
    """Add the reasoning that a model of this name shows, in the way it shows it."""
    model = str(request.get("model", "")).lower()
    thinking = request.get("thinking") or {}
    if "minimax" in model:
        return Reply(f"<think>\n{_THOUGHT}\n</think>\n\n{text}")
    kimi = "kimi" in model and thinking.get("type") != "disabled"
    if kimi or request.get("reasoning_effort") or "reason" in model:
        return Reply(text, reasoning=_THOUGHT)
    return Reply(text)


def _limit(reply: Reply, request: Mapping[str, Any]) -> None:
    """Cut the text at a stop sequence and at the token limit."""
    text = reply.text or ""
    stops = request.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        text = text.split(stop)[0] if stop else text
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    words = split_words(text)
    if limit and len(words) > limit:
        text = "".join(words[:limit])
        reply.finish_reason = "length"
    reply.text = text


def _repeated(reply: Reply, request: Mapping[str, Any]) -> Reply:
    wanted = request.get("n") or 1
    reply.alternatives = [
        Reply(
            f"{reply.text} ({number})",
            reasoning=reply.reasoning,
            finish_reason=reply.finish_reason,
            logprobs=reply.logprobs,
        )
        for number in range(2, wanted + 1)
    ]
    return reply


def _last_user_text(request: Mapping[str, Any]) -> str:
    return text_of([one for one in request["messages"] if one["role"] == "user"][-1:])


def prompt_tokens(request: Mapping[str, Any]) -> int:
    """Size of a prompt: its words, and three for each message."""
    messages = [one for one in request.get("messages") or () if isinstance(one, dict)]
    return len(text_of(messages).split()) + 3 * len(messages)
