"""Checks of single configuration values: each returns the value in its final form or raises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import GonkaConfigError
from .addresses import require_address
from .keys import PrivateKey, Signer
from .urls import source_base

__all__ = [
    "boolean",
    "count",
    "endpoint_list",
    "flag_of_text",
    "optional",
    "private_key",
    "seconds",
    "signer",
    "source_list",
    "text",
    "trust",
]

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})


def optional(check: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """*check* for a field that may be None."""
    return lambda value, field: None if value is None else check(value, field)


def seconds(value: Any, field: str) -> float:
    """A time span in seconds, above 0 and finite."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = float(value)
        if number > 0 and math.isfinite(number):
            return number
    raise GonkaConfigError(f"{field}: expected seconds above 0, not {value!r}", field=field)


def count(least: int) -> Callable[[Any, str], int]:
    """A check for whole numbers of at least *least*."""

    def check(value: Any, field: str) -> int:
        if type(value) is int and value >= least:
            return value
        raise GonkaConfigError(
            f"{field}: expected a whole number of at least {least}, not {value!r}", field=field
        )

    return check


def boolean(value: Any, field: str) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    raise GonkaConfigError(f"{field}: expected True or False, not {value!r}", field=field)


def flag_of_text(value: str, field: str) -> bool:
    """True or False from an environment variable."""
    word = value.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise GonkaConfigError(f"{field}: expected 1 or 0, not {value!r}", field=field)


def text(value: Any, field: str) -> str:
    """Text that is not empty, without white space around it."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    kind = "empty text" if isinstance(value, str) else type(value).__name__
    raise GonkaConfigError(f"{field}: expected a name, not {kind}", field=field)


def private_key(value: Any, _field: str) -> PrivateKey:
    """A `PrivateKey`, or one made of text."""
    return value if isinstance(value, PrivateKey) else PrivateKey(value)


def signer(value: Any, field: str) -> Signer:
    """An object with ``address`` and ``sign(digest)``."""
    if not isinstance(value, Signer) or not callable(value.sign):
        raise GonkaConfigError(
            f"{field}: {type(value).__name__} needs an attribute address and a method sign(digest)",
            field=field,
        )
    require_address(value.address, field)
    return value


def trust(value: Any, _field: str) -> object:
    """A trust root for proofs, or what a user writes for one."""
    from ..proof.trust import parse_trust  # noqa: PLC0415 - most do not verify

    return parse_trust(value)


def source_list(value: Any, field: str) -> tuple[str, ...]:
    """Source URLs: one, several separated by commas, or a sequence; without repetition."""
    return tuple(dict.fromkeys(source_base(entry, field) for entry in _entries(value, field)))


def endpoint_list(value: Any, field: str) -> tuple[str, ...]:
    """Endpoints ``url;address``: one, several separated by commas, or a sequence."""
    return tuple(dict.fromkeys(_endpoint(entry, field) for entry in _entries(value, field)))


def _endpoint(entry: Any, field: str) -> str:
    if isinstance(entry, tuple) and len(entry) == 2:  # noqa: PLR2004 - a pair
        url, address = entry
    elif isinstance(entry, str) and ";" in entry:
        url, _, address = entry.partition(";")
        address = address.strip()
    else:
        raise GonkaConfigError(
            f"{field}: expected 'url;address', such as https://host:8000;gonka1…", field=field
        )
    return f"{source_base(url, field)};{require_address(address, field)}"


def _entries(value: Any, field: str) -> list[Any]:
    if isinstance(value, str):
        return [entry.strip() for entry in value.split(",") if entry.strip()]
    if isinstance(value, Iterable) and not isinstance(value, (bytes, dict)):
        return [part for entry in value for part in _parts(entry)]
    raise GonkaConfigError(
        f"{field}: expected text or a list of text, not {type(value).__name__}", field=field
    )


def _parts(entry: Any) -> list[Any]:
    return _entries(entry, "") if isinstance(entry, str) else [entry]
