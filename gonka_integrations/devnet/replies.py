"""What a model says, as a value."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PIECE = re.compile(r"\s*\S+|\s+$")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Attributes:
        name: The function's name.
        arguments: Its arguments; a string is sent as it is, also when it is not JSON.
        id: None makes a fresh one.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None

    @property
    def arguments_text(self) -> str:
        """The arguments as they go over the wire."""
        if isinstance(self.arguments, str):
            return self.arguments
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(slots=True)
class Reply:
    """What a responder returns: one answer of the model.

    Attributes:
        text: The message; None for a message without content.
        tool_calls: Tools to call.
        reasoning: Sent as `reasoning_content`.
        refusal: Sent as `refusal`.
        finish_reason: None is `tool_calls` with tool calls, else `stop`.
        usage: None is counted: a word is a token.
        pieces: How *text* is split into deltas; None is by words.
        alternatives: Further choices, for n > 1.
        logprobs: Whether a plain server adds log probabilities.
        chunks: Raw chunk dicts that replace the rendered stream; envelope keys that are missing
            (id, object, created, model) are filled in. A plain call gets them merged.
        completion: Raw completion that replaces the rendered plain answer; filled in likewise.
        raw: The exact bytes of the body, sent as they are; nothing else counts then.
        message: Fields merged into the message of a plain answer.
        error: (HTTP status, message): the engine refuses.
        delay: Seconds before the answer begins.
        token_delay: Seconds between deltas; None is the network's.
    """

    text: str | None = ""
    tool_calls: Sequence[ToolCall] = ()
    reasoning: str | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    pieces: Sequence[str] | None = None
    alternatives: Sequence[Reply] = ()
    logprobs: bool = False
    chunks: Sequence[Mapping[str, Any]] | None = None
    completion: Mapping[str, Any] | None = None
    raw: bytes | None = None
    message: Mapping[str, Any] = field(default_factory=dict)
    error: tuple[int, str] | None = None
    delay: float = 0.0
    token_delay: float | None = None

    @property
    def text_pieces(self) -> Sequence[str]:
        """Deltas of the text."""
        return self.pieces if self.pieces is not None else split_words(self.text or "")

    @property
    def ending(self) -> str:
        """The finish reason."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    @property
    def choices(self) -> tuple[Reply, ...]:
        """Itself and its alternatives."""
        return (self, *self.alternatives)


def split_words(text: str) -> list[str]:
    """Words with the space before them; joined they are *text* again."""
    return _PIECE.findall(text)
