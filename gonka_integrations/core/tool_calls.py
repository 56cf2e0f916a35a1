"""Tool calls out of a stream, whatever shape its server gives them. Pure.

OpenAI's protocol numbers the calls of an answer (`index`) and sends `id` and `name` once. Servers
in the wild leave the number out, number every call 0, or send id and name again with every piece;
what can be told apart is told apart here, so that nothing behind this has to guess.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_STRUCTURE = re.compile(r'["\\{}\[\]]')


def _new_id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


class _Call:
    """One call being put together."""

    __slots__ = ("_depth", "_escaped", "_quoted", "_scanned", "_whole", "id", "name", "number",
                 "parts", "round", "said_id", "said_name", "size")  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.round = 0  # in which it last grew
        self.id: str | None = None  # as the server calls it
        self.said_id: str | None = None  # as it was passed on: unique, and never changed
        self.name = ""
        self.said_name = False
        self.parts: list[str] = []
        self.size = 0
        self._scanned = 0
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._whole = False

    def add(self, piece: str) -> None:
        self.parts.append(piece)
        self.size += len(piece)

    def is_repeated_by(self, piece: str) -> bool:
        """Whether *piece* is the whole call once more, as some servers send at the end."""
        return len(piece) == self.size > 1 and piece == self.arguments() and self.is_whole()

    def arguments(self) -> str:
        """All pieces; joined once, so that asking again costs no more than a copy."""
        if len(self.parts) > 1:
            if self._scanned:
                self.is_whole()
                self._scanned = 1
            self.parts = ["".join(self.parts)]
        return self.parts[0] if self.parts else ""

    def is_whole(self) -> bool:
        """Whether the arguments are a closed JSON object. Every piece is looked at once."""
        for part in self.parts[self._scanned :]:
            self._scan(part)
        self._scanned = len(self.parts)
        return self._whole

    def _scan(self, part: str) -> None:
        after_escape = 0 if self._escaped else -1
        for found in _STRUCTURE.finditer(part):
            if found.start() == after_escape:
                continue
            mark = found[0]
            if self._quoted:
                if mark == "\\":
                    after_escape = found.end()
                elif mark == '"':
                    self._quoted = False
            elif mark == '"':
                self._quoted = True
            elif mark in "{[":
                self._depth += 1
            elif mark in "}]":
                self._depth -= 1
                self._whole = self._depth == 0
        self._escaped = after_escape == len(part)


class ToolCallAssembler:
    """Takes the `tool_calls` of the deltas of one choice, in any known shape.

    Calls are numbered from 0 in the order of their appearance. Ids are unique within the answer
    and made up where the server gives none. Time grows with the length of the stream, not with
    its square.

    Args:
        make_id: Makes an id for a call that came without one.
    """

    __slots__ = ("_by_id", "_by_index", "_calls", "_make_id", "_round", "_said_ids")

    def __init__(self, make_id: Callable[[], str] = _new_id) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._said_ids: dict[str, int] = {}
        self._round = 0
        self._make_id = make_id

    def __bool__(self) -> bool:
        return bool(self._calls)

    def feed(self, deltas: Iterable[Any] | None) -> list[dict[str, Any]]:
        """Take in `delta["tool_calls"]`: a list of pieces, or one that stands alone.

        Returns:
            What is new, as ``{"index": int, "id": str | None, "name": str | None,
            "arguments": str}``: id and name come once for each call, arguments in pieces that
            join to JSON text.
        """
        news = []
        self._round += 1
        for delta in (deltas,) if isinstance(deltas, Mapping) else deltas or ():
            if isinstance(delta, Mapping):
                new = self._take(delta)
                if new is not None:
                    news.append(new)
        return news

    def calls(self) -> list[dict[str, Any]]:
        """The calls so far, as ``{"id": str, "name": str, "arguments": str}``."""
        return [
            {"id": call.said_id, "name": call.name, "arguments": call.arguments()}
            for call in self._calls
        ]

    def _take(self, delta: Mapping[str, Any]) -> dict[str, Any] | None:
        function = delta.get("function")
        if not isinstance(function, Mapping):
            function = delta
        identity, name = _text(delta.get("id")), _text(function.get("name"))
        piece = _piece(function.get("arguments"))
        index = delta.get("index")
        index = index if type(index) is int else None
        call = None if index is None else self._by_index.get(index)
        if call is None or identity or name:  # else the plain case: one more piece of a known call
            call = self._find(index, identity, name, piece)
        return self._grow(call, identity, name, piece)

    def _find(self, index: int | None, identity: str, name: str, piece: str) -> _Call:
        """The call that a delta belongs to; a new one when it belongs to none."""
        current = self._current(index, identity, name)
        if current is None:
            return self._open(index)
        if identity and identity != current.id and identity in self._by_id:
            current = self._by_id[identity]
        if name and (
            current.round == self._round or not _continues(current, identity, name, piece)
        ):
            return self._open(index)
        return current  # name or id sent again, or an id made anew for every piece

    def _current(self, index: int | None, identity: str, name: str) -> _Call | None:
        """The call that goes on unless the delta says otherwise."""
        last = self._calls[-1] if self._calls else None
        if index is None:
            return last
        current = self._by_index.get(index)
        if current is None and not name:  # nothing begins without a name
            current = self._by_id.get(identity) if identity else last
            if current is last and last is not None and not identity and last.is_whole():
                return None
        return current

    def _open(self, index: int | None) -> _Call:
        call = _Call(len(self._calls))
        self._calls.append(call)
        if index is not None:
            self._by_index[index] = call
        return call

    def _grow(self, call: _Call, identity: str, name: str, piece: str) -> dict[str, Any] | None:
        if piece and call.is_repeated_by(piece):
            piece = ""
        new: dict[str, Any] = {"index": call.number, "id": None, "name": None, "arguments": piece}
        if identity and call.id is None:
            call.id = identity
            self._by_id[identity] = call
        if call.said_id is None:
            new["id"] = call.said_id = self._unique(identity or self._make_id())
        if name and not call.said_name:
            new["name"] = call.name = name
            call.said_name = True
        call.round = self._round
        if piece:
            call.add(piece)
        return new if piece or new["id"] or new["name"] else None

    def _unique(self, identity: str) -> str:
        unique = identity
        while unique in self._said_ids:
            self._said_ids[identity] += 1
            unique = f"{identity}_{self._said_ids[identity]}"
        self._said_ids[unique] = 1
        return unique


def _continues(current: _Call, identity: str, name: str, piece: str) -> bool:
    """Whether a delta that names a function goes on with *current* rather than calling anew."""
    if current.name and current.name != name:
        return False
    same = not identity or current.id is None or identity == current.id
    if not current.size:
        # Two openings in a row are two calls; an opening and then arguments are one.
        return same or bool(piece)
    if current.is_whole():
        return same and (not piece.strip() or current.is_repeated_by(piece))
    return True


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _piece(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    if arguments is None:
        return ""
    return json.dumps(arguments, ensure_ascii=False)


def parse_arguments(arguments: Any) -> dict[str, Any]:
    """Arguments of a finished call.

    Nothing, blank text and `null` are no arguments. Line breaks inside strings are tolerated, and
    so is an object that was encoded twice.

    Raises:
        ValueError: It is not a JSON object; the message says why.
    """
    if isinstance(arguments, Mapping):
        return dict(arguments)
    if arguments is None or not arguments.strip():
        return {}
    parsed = json.loads(arguments, strict=False)
    if isinstance(parsed, str):
        parsed = json.loads(parsed, strict=False) if parsed.strip() else None
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        raise ValueError(f"arguments are {type(parsed).__name__}, not an object")  # noqa: TRY004
    return parsed


def partial_arguments(text: str) -> dict[str, Any]:
    """Arguments of a call that is still arriving, as far as they are known; {} at worst."""
    try:
        parsed = jiter.from_json(text.encode(), partial_mode="trailing-strings")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}
