"""JSON that is still arriving, read at a cost in proportion to its length.

Agents ask for the arguments of a call at every token. Parsing all that is there each time costs
the square of the length; here, text is parsed again only when it has grown by a part of itself,
or may be complete.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from ..core.tool_calls import partial_arguments

# Short text is parsed at every step, so that small objects appear smoothly.
_ALWAYS = 512
_GROWTH = 16  # longer text, when it has grown by a sixteenth
_KEPT = 64


class GrowingJson:
    """A JSON object that arrives piece by piece."""

    __slots__ = ("_parsed", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._parsed: dict[str, Any] = {}

    def extends(self, text: str) -> bool:
        """Whether *text* continues what was read before."""
        return text.startswith(self._text)

    def read(self, text: str) -> dict[str, Any]:
        """The object as far as it is known; exact when *text* is complete.

        Args:
            text: All of the text so far.
        """
        due = len(text) <= _ALWAYS or len(text) - len(self._text) >= len(self._text) // _GROWTH
        if due or text.rstrip().endswith("}"):
            self._text, self._parsed = text, partial_arguments(text)
        return self._parsed


_recent: OrderedDict[str, GrowingJson] = OrderedDict()
_lock = threading.Lock()


def parse_arguments(text: str) -> dict[str, Any]:
    """Arguments of a tool call as far as they have arrived, {} when they are no JSON object.

    Answers are remembered by how their text begins, so that the next token of the same call costs
    next to nothing; the caller may change what it gets.
    """
    key = text[:_KEPT]
    if len(text) <= _ALWAYS:
        return partial_arguments(text)
    with _lock:
        growing = _recent.get(key)
        if growing is None or not growing.extends(text):
            growing = _recent[key] = GrowingJson()
        _recent.move_to_end(key)
        while len(_recent) > _KEPT:
            _recent.popitem(last=False)
        return dict(growing.read(text))
