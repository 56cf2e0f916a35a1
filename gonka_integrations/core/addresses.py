"""Account addresses: bech32 of ripemd160(sha256(public key)) with the prefix ``gonka``."""

from __future__ import annotations

import functools
import operator

import bech32

from ..errors import GonkaConfigError
from .ripemd160 import hash160

__all__ = ["address_of", "is_address", "require_address"]

_PREFIX = "gonka"
_HEAD = _PREFIX + "1"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
# 20 bytes are 32 characters of 5 bits without padding; 6 more are the checksum.
_DATA_LENGTH = 38


def address_of(public_key: bytes) -> str:
    """Address of a compressed (33-byte) secp256k1 public key."""
    groups = bech32.convertbits(hash160(public_key), 8, 5) or []
    return bech32.bech32_encode(_PREFIX, groups)


def is_address(text: object) -> bool:
    """Whether *text* is an account address with a right checksum, spelt in lower case.

    The checksum is linear over the characters' bits, so one table per position replaces bech32's
    bit loop: 2 us instead of 60, which counts in participant lists of thousands.
    """
    if not isinstance(text, str) or len(text) != len(_HEAD) + _DATA_LENGTH:
        return False
    if not text.startswith(_HEAD):
        return False
    start, tables = _checksum_tables()
    try:
        return (
            functools.reduce(operator.xor, map(operator.getitem, tables, text[len(_HEAD) :]), start)
            == 1
        )
    except KeyError:
        return False


def require_address(text: object, field: str) -> str:
    """*text* when it is an account address.

    Raises:
        GonkaConfigError: It is not; names *field* and what is wrong.
    """
    if isinstance(text, str) and is_address(text):
        return text
    raise GonkaConfigError(f"{field}: {_complaint(text)}", field=field)


def _complaint(text: object) -> str:
    if not isinstance(text, str):
        return f"an address is text such as gonka1…, not {type(text).__name__}"
    if text != text.strip():
        return "the address has white space around it"
    if text != text.lower():
        return f"addresses are lower case: {text[:64]!r}"
    if not text.startswith(_HEAD):
        return f"addresses begin with {_HEAD!r}: {text[:64]!r}"
    if len(text) != len(_HEAD) + _DATA_LENGTH:
        return f"an address has {len(_HEAD) + _DATA_LENGTH} characters, this one {len(text)}"
    return f"the checksum of {text!r} is wrong; was it copied whole?"


def _step(checksum: int) -> int:
    top = checksum >> 25
    checksum = (checksum & 0x1FFFFFF) << 5
    for bit, generator in enumerate(_GENERATOR):
        if top >> bit & 1:
            checksum ^= generator
    return checksum


@functools.cache
def _checksum_tables() -> tuple[int, list[dict[str, int]]]:
    """What the prefix, and each character at each position, adds to the checksum."""
    column = list(range(len(bech32.CHARSET)))
    tables: list[dict[str, int]] = []
    for _ in range(_DATA_LENGTH):
        tables.append(dict(zip(bech32.CHARSET, column, strict=True)))
        column = [_step(value) for value in column]
    start = bech32.bech32_polymod([*bech32.bech32_hrp_expand(_PREFIX), *[0] * _DATA_LENGTH])
    return start, tables[::-1]
