"""Reasoning: where answers carry it, and when it is sent back. Pure.

Models put it into a field beside the text (`reasoning_content`, or `reasoning` on newer vLLM) or
into the text, as `<think>…</think>` at its beginning (MiniMax).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Which reasoning of a conversation's history is sent back with it.
ReplayPolicy = Literal["auto", "always", "never"]

REASONING_KEYS = ("reasoning_content", "reasoning")


def reasoning_of(said: Mapping[str, Any]) -> str:
    """Reasoning in a delta or message, "" when it has none. A server that fills both repeats it."""
    value = said.get("reasoning_content") or said.get("reasoning")
    if not value:
        return ""
    if isinstance(value, str):
        return value
    parts = value if isinstance(value, list) else [value]
    return "".join(_text(part) for part in parts)


def _text(part: Any) -> str:
    if isinstance(part, Mapping):
        part = part.get("text") or part.get("content") or part.get("thinking")
    return part if isinstance(part, str) else ""


class Split(NamedTuple):
    """A piece of an answer, told apart."""

    text: str
    reasoning: str


_NOTHING = Split("", "")
_SPACE = re.compile(r"\s*")


class ThinkSplitter:
    """Tells `<think>…</think>` from the text behind it, piece by piece.

    A tag counts before any text has been said: models think first, and a tag further on is text
    about tags. White space around the tags belongs to them; nothing else is lost. However the
    answer is cut into pieces, the results join to the same, in time linear in its length.

    Args:
        tag: Name of the tag.
    """

    __slots__ = ("_close", "_held", "_lead", "_open", "_spaces", "_state", "_thought")

    def __init__(self, tag: str = "think") -> None:
        self._open = f"<{tag}>"
        self._close = f"</{tag}>"
        self._state: str = "before"  # then "inside" and "before" again, or "after"
        self._held = ""  # what may be the beginning of a tag; shorter than one
        self._spaces: list[str] = []  # white space of which it is open whose it is
        self._thought = False  # whether a tag has been seen
        self._lead: str | None = ""  # what the next reasoning begins with; None within it

    @property
    def over(self) -> bool:
        """Whether the answer's text has begun: from here on nothing is told apart."""
        return self._state == "after"

    def feed(self, text: str) -> Split:
        """Take in a piece of `content`, give what is certain of it and of what was held back."""
        if self._state == "after":
            return Split(text, "")
        if not text:
            return _NOTHING
        text, self._held = self._held + text, ""
        said = ""
        thought: list[str] = []
        at = 0
        while at < len(text) and self._state != "after":
            at = (
                self._inside(text, at, thought)
                if self._state == "inside"
                else self._before(text, at)
            )
        if self._state == "after":
            said = "".join(self._spaces) + text[at:]
            self._spaces = []
        return Split(said, "".join(thought))

    def end(self) -> Split:
        """What was still held back, once the answer is over."""
        held, self._held = self._held, ""
        if held or not self._thought:
            held = "".join(self._spaces) + held
        self._spaces = []
        if not held:
            return _NOTHING
        return Split("", held) if self._state == "inside" else Split(held, "")

    def _before(self, text: str, at: int) -> int:
        """Nothing has been said, or only reasoning."""
        start = _end_of_space(text, at)
        if not self._thought and start > at:
            self._spaces.append(text[at:start])
        if text.startswith(self._open, start):
            self._lead = "\n\n" if self._lead is None else ""
            self._spaces = []
            self._thought = True
            self._state = "inside"
            return start + len(self._open)
        if len(text) - start < len(self._open) and self._open.startswith(text[start:]):
            self._held = text[start:]
            return len(text)
        self._state = "after"
        return start

    def _inside(self, text: str, at: int, thought: list[str]) -> int:
        """Between the tags."""
        close = text.find(self._close, at)
        certain = close if close >= 0 else len(text) - _overlap(text, at, self._close)
        self._think(text[at:certain], thought)
        if close < 0:
            self._held = text[certain:]
            return len(text)
        self._spaces = []
        self._state = "before"
        return close + len(self._close)

    def _think(self, text: str, thought: list[str]) -> None:
        """Pass reasoning on without the white space at its edges, which waits for more."""
        body = text.rstrip()
        if body:
            if self._lead is None:
                thought.extend(self._spaces)
                thought.append(body)
            else:
                thought.append(self._lead + body.lstrip())
            self._lead, self._spaces = None, []
        if len(body) < len(text):
            self._spaces.append(text[len(body) :])


def _end_of_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _overlap(text: str, at: int, tag: str) -> int:
    """Length of the longest beginning of *tag* that *text*, from *at*, ends with."""
    for size in range(min(len(tag) - 1, len(text) - at), 0, -1):
        if text.endswith(tag[:size]):
            return size
    return 0


def split_thinking(text: str) -> Split:
    """Text and reasoning of a whole answer."""
    splitter = ThinkSplitter()
    first, rest = splitter.feed(text), splitter.end()
    return Split(first.text + rest.text, first.reasoning + rest.reasoning)


def replay_reasoning(
    messages: Iterable[Mapping[str, Any]],
    policy: ReplayPolicy = "auto",
    *,
    inline: bool = False,
) -> list[dict[str, Any]]:
    """The conversation with the reasoning that *policy* sends back, and no other.

    Some models must see their reasoning again while they work with tools (DeepSeek V4 answers 400
    without it, Kimi and MiniMax lose the thread), others refuse or ignore that of earlier turns.
    So "auto" sends that of the turn in progress: of assistant messages behind the last user
    message.

    Args:
        messages: Wire messages; assistant turns may have `reasoning_content`. Not changed.
        policy: "auto", "always" or "never".
        inline: Whether the model has its reasoning inside the text, as `<think>…</think>`.
    """
    given = list(messages)
    last = max((n for n in range(len(given)) if _begins_a_turn(given, n)), default=-1)
    replayed: list[dict[str, Any]] = []
    for number, message in enumerate(given):
        turn = dict(message)
        thoughts = next((found for key in REASONING_KEYS if (found := turn.pop(key, None))), None)
        if thoughts and policy != "never" and (policy == "always" or number > last):
            if inline:
                turn["content"] = _with_thoughts(thoughts, turn.get("content"))
            else:
                turn["reasoning_content"] = thoughts
        replayed.append(turn)
    return replayed


def _begins_a_turn(messages: list[Mapping[str, Any]], number: int) -> bool:
    """Whether a user speaks there; right behind a tool's answer it is media of that answer."""
    if messages[number].get("role") != "user":
        return False
    return not number or messages[number - 1].get("role") != "tool"


def _with_thoughts(thoughts: str, content: Any) -> Any:
    opening = f"<think>\n{thoughts}\n</think>\n\n"
    if isinstance(content, list):
        return [{"type": "text", "text": opening}, *content]
    return opening + (content or "")
