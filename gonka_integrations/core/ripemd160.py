"""RIPEMD-160, for Pythons whose OpenSSL has been built without it.

After Dobbertin, Bosselaers, Preneel, "RIPEMD-160: A Strengthened Version of RIPEMD" (1996).
Addresses are made once per key, so plainness comes before speed.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable  # noqa: TC003 - the class below is made with it
from typing import NamedTuple

__all__ = ["hash160", "ripemd160", "ripemd160_pure"]

_MASK = 0xFFFFFFFF
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)

# Each line is one of the five rounds: which message word, rotated by how much, in both lines.
_WORDS_LEFT = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8),
    (3, 10, 14, 4, 9, 15, 8, 1, 2, 7, 0, 6, 13, 11, 5, 12),
    (1, 9, 11, 10, 0, 8, 12, 4, 13, 3, 7, 15, 14, 5, 6, 2),
    (4, 0, 5, 9, 7, 12, 2, 10, 14, 1, 3, 8, 11, 6, 15, 13),
)
_WORDS_RIGHT = (
    (5, 14, 7, 0, 9, 2, 11, 4, 13, 6, 15, 8, 1, 10, 3, 12),
    (6, 11, 3, 7, 0, 13, 5, 10, 14, 15, 8, 12, 4, 9, 1, 2),
    (15, 5, 1, 3, 7, 14, 6, 9, 11, 8, 12, 2, 10, 0, 4, 13),
    (8, 6, 4, 1, 3, 11, 15, 0, 5, 12, 2, 13, 9, 7, 10, 14),
    (12, 15, 10, 4, 1, 5, 8, 7, 6, 2, 13, 14, 0, 3, 9, 11),
)
_TURNS_LEFT = (
    (11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8),
    (7, 6, 8, 13, 11, 9, 7, 15, 7, 12, 15, 9, 11, 7, 13, 12),
    (11, 13, 6, 7, 14, 9, 13, 15, 14, 8, 13, 6, 5, 12, 7, 5),
    (11, 12, 14, 15, 14, 15, 9, 8, 9, 14, 5, 6, 8, 6, 5, 12),
    (9, 15, 5, 11, 6, 8, 13, 12, 5, 12, 13, 14, 11, 8, 5, 6),
)
_TURNS_RIGHT = (
    (8, 9, 9, 11, 13, 15, 15, 5, 7, 7, 8, 11, 14, 14, 12, 6),
    (9, 13, 15, 7, 12, 8, 9, 11, 7, 7, 12, 7, 6, 15, 13, 11),
    (9, 7, 15, 11, 8, 6, 6, 14, 12, 13, 5, 14, 13, 13, 7, 5),
    (15, 5, 8, 11, 14, 14, 6, 14, 6, 9, 12, 9, 12, 5, 15, 8),
    (8, 5, 12, 9, 12, 5, 14, 6, 8, 13, 6, 5, 15, 13, 11, 11),
)
_ADD_LEFT = (0x00000000, 0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xA953FD4E)
_ADD_RIGHT = (0x50A28BE6, 0x5C4DD124, 0x6D703EF3, 0x7A6D76E9, 0x00000000)
_MIX: tuple[Callable[[int, int, int], int], ...] = (
    lambda x, y, z: x ^ y ^ z,
    lambda x, y, z: (x & y) | (~x & z),
    lambda x, y, z: (x | ~y) ^ z,
    lambda x, y, z: (x & z) | (y & ~z),
    lambda x, y, z: x ^ (y | ~z),
)


def hash160(data: bytes) -> bytes:
    """ripemd160(sha256(data)): 20 bytes, what an address is made of."""
    return ripemd160(hashlib.sha256(data).digest())


def ripemd160(data: bytes) -> bytes:
    """RIPEMD-160 of *data*: OpenSSL's where it has one, else our own."""
    try:
        return hashlib.new("ripemd160", data, usedforsecurity=False).digest()
    except ValueError:
        return ripemd160_pure(data)


def ripemd160_pure(data: bytes) -> bytes:
    """RIPEMD-160 of *data* in Python."""
    padding = b"\x80" + bytes(-(len(data) + 9) % 64) + struct.pack("<Q", len(data) * 8)
    message = data + padding
    state: tuple[int, ...] = _START
    for offset in range(0, len(message), 64):
        state = _compress(state, struct.unpack_from("<16I", message, offset))
    return struct.pack("<5I", *state)


def _rotate(value: int, turns: int) -> int:
    value &= _MASK
    return (value << turns | value >> (32 - turns)) & _MASK


class _Line(NamedTuple):
    """One of the two lines that work through a block side by side."""

    words: tuple[tuple[int, ...], ...]
    turns: tuple[tuple[int, ...], ...]
    constants: tuple[int, ...]
    mixes: tuple[Callable[[int, int, int], int], ...]

    def run(self, state: tuple[int, ...], block: tuple[int, ...]) -> tuple[int, ...]:
        a, b, c, d, e = state
        for words, turns, constant, mix in zip(*self, strict=True):
            for word, turn in zip(words, turns, strict=True):
                moved = _rotate(a + mix(b, c, d) + block[word] + constant, turn) + e
                a, b, c, d, e = e, moved & _MASK, b, _rotate(c, 10), d
        return a, b, c, d, e


_LEFT = _Line(_WORDS_LEFT, _TURNS_LEFT, _ADD_LEFT, _MIX)
_RIGHT = _Line(_WORDS_RIGHT, _TURNS_RIGHT, _ADD_RIGHT, _MIX[::-1])


def _compress(state: tuple[int, ...], block: tuple[int, ...]) -> tuple[int, ...]:
    left, right = _LEFT.run(state, block), _RIGHT.run(state, block)
    return tuple(
        (state[(i + 1) % 5] + left[(i + 2) % 5] + right[(i + 3) % 5]) & _MASK for i in range(5)
    )
