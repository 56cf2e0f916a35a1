"""secp256k1 through libsecp256k1 (coincurve) where it is installed, else in Python (ecdsa).

Both give the same bytes: RFC 6979 nonces, low s, r and s of 32 bytes each. The first signs in
constant time and about fifteen times faster; the second is always there.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

try:
    import coincurve
except ImportError:  # no wheel for this platform
    coincurve = None  # type: ignore[assignment]

__all__ = ["HALF_ORDER", "ORDER", "SigningCurve", "backend", "low_s", "verify"]

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HALF_ORDER = ORDER // 2
_HALF_ORDER_BYTES = HALF_ORDER.to_bytes(32, "big")


class SigningCurve(Protocol):
    """A private key inside one of the libraries."""

    public_key: bytes

    def sign(self, digest: bytes) -> bytes:
        """64 bytes r and s, s in the lower half."""


class _Native:
    """libsecp256k1's key. Its signatures have a low s already."""

    __slots__ = ("_key", "public_key")

    def __init__(self, scalar: bytes) -> None:
        self._key = coincurve.PrivateKey(scalar)
        self.public_key: bytes = self._key.public_key.format(compressed=True)

    def sign(self, digest: bytes) -> bytes:
        # The recoverable form is r || s || v: no DER to take apart.
        signature: bytes = self._key.sign_recoverable(digest, hasher=None)
        return signature[:64]


class _Pure:
    """ecdsa's key, kept because making it costs as much as several signatures."""

    __slots__ = ("_key", "public_key")

    def __init__(self, scalar: bytes) -> None:
        import ecdsa  # noqa: PLC0415 - takes 20 ms, and is rarely needed beside coincurve

        self._key: Any = ecdsa.SigningKey.from_string(scalar, curve=ecdsa.SECP256k1)
        self.public_key: bytes = self._key.get_verifying_key().to_string("compressed")

    def sign(self, digest: bytes) -> bytes:
        return low_s(self._key.sign_digest_deterministic(digest, hashfunc=hashlib.sha256))


def backend(name: str | None = None) -> type[_Native | _Pure]:
    """The key class to use: "coincurve", "ecdsa", or None for the best one installed."""
    if name == "ecdsa" or (name is None and coincurve is None):
        return _Pure
    return _Native


def low_s(signature: bytes) -> bytes:
    """*signature* (64 bytes) with s in the lower half of the order, as the chain demands."""
    if signature[32:] <= _HALF_ORDER_BYTES:
        return signature
    s = ORDER - int.from_bytes(signature[32:], "big")
    return signature[:32] + s.to_bytes(32, "big")


def verify(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Whether *signature* (64 bytes, low s) of *digest* is by *public_key* (33 bytes)."""
    if len(signature) != 64 or signature[32:] > _HALF_ORDER_BYTES:  # noqa: PLR2004 - r and s
        return False
    import ecdsa  # noqa: PLC0415 - as above

    try:
        key = ecdsa.VerifyingKey.from_string(public_key, curve=ecdsa.SECP256k1)
        return bool(key.verify_digest(signature, digest))
    except (ecdsa.BadSignatureError, ecdsa.errors.MalformedPointError, AssertionError):
        return False
