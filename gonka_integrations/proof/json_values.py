"""Values out of JSON that others wrote: typed, bounded, and named in the error.

Integers may be JSON numbers or decimal strings: nodes write both. Encodings are strict, so that
one value has one accepted spelling.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from .cometbft import Timestamp
from .errors import MalformedPayload

__all__ = [
    "as_integer",
    "as_list",
    "as_object",
    "as_text",
    "as_time",
    "excerpt",
    "from_base64",
    "from_hex",
    "load_json",
]

MAX_BODY_BYTES: Final = 32 << 20
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_TIME: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?Z"
)
_DAYS_BEFORE_MONTH: Final = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def load_json(body: bytes, what: str, *, limit: int = MAX_BODY_BYTES) -> Any:
    """Parse *body*.

    Raises:
        MalformedPayload: It is too big (*limit* in bytes), or no JSON.
    """
    if len(body) > limit:
        raise MalformedPayload(f"{what}: {len(body)} bytes are more than {limit}")
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload(f"{what}: is not JSON ({error})") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def as_object(value: Any, what: str) -> dict[str, Any]:
    """*value* when it is an object."""
    if not isinstance(value, dict):
        raise MalformedPayload(f"{what}: is {_kind(value)}, not an object")
    return value


def as_list(value: Any, what: str, limit: int) -> list[Any]:
    """*value* when it is a list of at most *limit* entries; Go writes null for an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedPayload(f"{what}: is {_kind(value)}, not a list")
    if len(value) > limit:
        raise MalformedPayload(f"{what}: {len(value)} entries are more than {limit}")
    return value


def as_text(value: Any, what: str, limit: int = 4096) -> str:
    """*value* when it is a string of at most *limit* characters."""
    if not isinstance(value, str):
        raise MalformedPayload(f"{what}: is {_kind(value)}, not a string")
    if len(value) > limit:
        raise MalformedPayload(f"{what}: {len(value)} characters are more than {limit}")
    if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
        raise MalformedPayload(f"{what}: has a half of a surrogate pair, which is no text")
    return value


def as_integer(value: Any, what: str, low: int = -(1 << 63), high: int = (1 << 63) - 1) -> int:
    """*value* when it is an integer in *low*…*high*, as a JSON number or a decimal string."""
    if isinstance(value, str) and len(value) <= 20 and _INTEGER.fullmatch(value):  # noqa: PLR2004
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        shown = repr(value[:40]) if isinstance(value, str) else _kind(value)
        raise MalformedPayload(f"{what}: {shown} is not an integer")
    if not low <= value <= high:
        raise MalformedPayload(f"{what}: {str(value)[:40]} is not in {low}…{high}")
    return value


def as_time(value: Any, what: str) -> Timestamp:
    """*value* when it is an RFC 3339 time in UTC with at most nanoseconds, as Go writes it."""
    match = _TIME.fullmatch(as_text(value, what, 40))
    if match is None:
        raise MalformedPayload(f"{what}: {value!r} is not a UTC time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (year >= 1 and 1 <= month <= 12 and hour < 24 and minute < 60 and second < 60):  # noqa: PLR2004
        raise MalformedPayload(f"{what}: {value!r} is not a UTC time")
    length = (31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]
    if not 1 <= day <= length:
        raise MalformedPayload(f"{what}: {value!r} is not a UTC time")
    before = year - 1
    days = before * 365 + before // 4 - before // 100 + before // 400 - 719162  # to 1970-01-01
    days += _DAYS_BEFORE_MONTH[month - 1] + (1 if leap and month > 2 else 0) + day - 1  # noqa: PLR2004
    nanos = int((match[7] or "").ljust(9, "0"))
    return Timestamp(((days * 24 + hour) * 60 + minute) * 60 + second, nanos)


def from_hex(value: Any, what: str, limit: int = MAX_BODY_BYTES) -> bytes:
    """Bytes of a hexadecimal string in one case."""
    text = as_text(value, what, limit)
    if text not in (text.upper(), text.lower()) or not text.isascii() or " " in text:
        raise MalformedPayload(f"{what}: {text[:40]!r} is not hexadecimal")
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MalformedPayload(f"{what}: {text[:40]!r} is not hexadecimal") from None


def from_base64(value: Any, what: str, limit: int = MAX_BODY_BYTES) -> bytes:
    """Bytes of a padded standard base64 string; null is empty."""
    if value is None:
        return b""
    text = as_text(value, what, limit)
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedPayload(f"{what}: {text[:40]!r} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise MalformedPayload(f"{what}: {text[:40]!r} is not canonical base64")
    return data


def excerpt(value: Any, limit: int = 120) -> str:
    """The beginning of a text that a node chose, fit to be printed; the kind of other values."""
    if isinstance(value, bytes):
        value = value[: 4 * limit].decode(errors="replace")
    if not isinstance(value, str):
        return _kind(value)
    return "".join(one if one.isprintable() else " " for one in value[:limit]).strip()


def _kind(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return "null" if value is None else names.get(type(value), "an object")
