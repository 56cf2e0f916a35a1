"""Calls of a stream whose arguments are no JSON object when they end.

LangChain joins the pieces of a call and completes what is cut, so that one can watch arguments
grow. It does not stop at the end: a call that was cut at the token limit would be carried out with
half of its arguments. What is held back or added here makes the joined text mean what a whole
answer would.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from langchain_core.utils.json import parse_partial_json

from ..core.tool_calls import parse_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..core.tool_calls import ToolCallAssembler

_CLOSERS = tuple("".join(pair) for pair in itertools.product(("", '"', '""'), "]}"))


class CallEnds:
    """Passes pieces of calls on, and says at the end what is missing.

    Args:
        tools: Puts the calls together.
    """

    __slots__ = ("_held", "_known", "_tools")

    def __init__(self, tools: ToolCallAssembler) -> None:
        self._tools = tools
        self._known: set[int] = set()
        self._held: set[int] = set()

    def feed(self, deltas: Iterable[Any] | None) -> list[dict[str, Any]]:
        """As `ToolCallAssembler.feed`, without arguments that were encoded twice."""
        calls = self._tools.feed(deltas)
        for call in calls:
            number, piece = call["index"], call["arguments"].lstrip()
            if piece and number not in self._known:
                self._known.add(number)
                if piece.startswith('"'):
                    self._held.add(number)
            if number in self._held:
                call["arguments"] = ""
        return calls

    def last(self) -> list[dict[str, Any]]:
        """The last pieces: arguments held back, and marks that make half an object none."""
        pieces = []
        for number, call in enumerate(self._tools.calls()):
            rest = _rest(call["arguments"], held=number in self._held)
            if rest:
                pieces.append({"index": number, "id": None, "name": None, "arguments": rest})
        return pieces


def _rest(arguments: str, *, held: bool) -> str:
    """What is still to be passed on of the text *arguments*."""
    try:
        parsed = parse_arguments(arguments)
    except ValueError:
        return arguments if held else _spoiler(arguments)
    return json.dumps(parsed, ensure_ascii=False) if held else ""


def _spoiler(arguments: str) -> str:
    """Brackets after which nobody takes *arguments* for an object; "" where nobody did."""
    return next((end for end in ("", *_CLOSERS) if not _is_repaired(arguments + end)), "")


def _is_repaired(arguments: str) -> bool:
    try:
        return isinstance(parse_partial_json(arguments), dict)
    except ValueError:
        return False
