"""Reading decoded JSON of the network: integers as numbers or text, unknown names ignored."""

from __future__ import annotations

import re
from typing import Any

from ..errors import GonkaDiscoveryError

__all__ = ["Fields", "integer_of"]

_DECIMAL = re.compile(r"-?[0-9]{1,20}")
_LIMIT = 2**64


def integer_of(value: object) -> int | None:
    """An integer that came as a number or as decimal text; None when it is neither.

    Chain builds differ: v0.2.15 writes 64-bit integers as text, others as numbers.
    """
    if isinstance(value, str):
        value = int(value) if _DECIMAL.fullmatch(value) else None
    if type(value) is int and -_LIMIT < value < _LIMIT:
        return value
    return None


class Fields:
    """The fields of one JSON object.

    An absent field and null are the same: nodes leave out zero and empty values.

    Args:
        value: Decoded JSON that should be an object.
        where: What it is, for messages.
        source_url: Where it came from, for errors.

    Raises:
        GonkaDiscoveryError: From the constructor when *value* is no object, from each method when
            the field is there and has another type.
    """

    __slots__ = ("_source_url", "_values", "_where")

    def __init__(self, value: object, where: str, source_url: str | None = None) -> None:
        self._where = where
        self._source_url = source_url
        if not isinstance(value, dict):
            raise self.wrong(f"is {_kind(value)}, not an object")
        self._values: dict[str, Any] = value

    def wrong(self, problem: str) -> GonkaDiscoveryError:
        """An error that says where it is."""
        source = f" of {self._source_url}" if self._source_url else ""
        return GonkaDiscoveryError(
            f"the answer{source} makes no sense: {self._where} {problem}",
            source_url=self._source_url,
        )

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def anything(self, name: str) -> Any:
        """Whatever is there."""
        return self._values.get(name)

    def integer(self, name: str, default: int = 0) -> int:
        """An integer."""
        value = self._values.get(name)
        if value is None:
            return default
        number = integer_of(value)
        if number is None:
            raise self._mistyped(name, "an integer")
        return number

    def maybe_integer(self, name: str) -> int | None:
        """An integer, or None when the field is absent."""
        return self.integer(name) if self.has(name) else None

    def text(self, name: str, default: str = "") -> str:
        """Text."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._mistyped(name, "text")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """True or false."""
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._mistyped(name, "true or false")
        return value

    def number(self, name: str) -> float | None:
        """A number, or None when the field is absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LIMIT:
            return float(value)
        raise self._mistyped(name, "a number")

    def items(self, name: str) -> list[Any]:
        """A list; empty when the field is absent."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._mistyped(name, "a list")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of text; other entries are left out."""
        return tuple(entry for entry in self.items(name) if isinstance(entry, str))

    def object(self, name: str) -> Fields:
        """An object; an empty one when the field is absent."""
        value = self._values.get(name)
        where = f"{self._where}.{name}" if self._where else name
        return Fields({} if value is None else value, where, self._source_url)

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        return [
            Fields(entry, f"{self._where}.{name}[{position}]", self._source_url)
            for position, entry in enumerate(self.items(name))
        ]

    def pairs(self, name: str) -> list[tuple[str, Any]]:
        """Names and values of an object; none when the field is absent."""
        return list(self.object(name)._values.items())

    def _mistyped(self, name: str, expected: str) -> GonkaDiscoveryError:
        return self.wrong(f"has {_kind(self._values[name])} as {name}, not {expected}")


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return names.get(type(value), "a number")
