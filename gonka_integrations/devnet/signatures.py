"""Checks a request signature the way the chain does, with libraries the client does not need.

Deliberately apart from `core.signing`: two readings of the same rules that must agree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

from .ledger import ORDER

if TYPE_CHECKING:
    from collections.abc import Callable

Scheme: TypeAlias = Literal["body_hash", "raw_body"]
"""`body_hash`: sha256 hex of the body is signed (nodes since v0.2.6); `raw_body`: the body."""

_PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()))


def signed_digest(body: bytes, timestamp: str, transfer_address: str, scheme: Scheme) -> bytes:
    """Digest, 32 bytes, that a request's signature covers.

    Args:
        body: The exact bytes received.
        timestamp: Decimal nanoseconds as the chain prints them; empty for zero or less.
        transfer_address: Address of the node that was asked.
        scheme: What of the body is signed.
    """
    first = hashlib.sha256(body).hexdigest().encode() if scheme == "body_hash" else body
    return hashlib.sha256(first + timestamp.encode() + transfer_address.encode()).digest()


def is_valid(public_key: bytes, signature: str, digest: bytes) -> bool:
    """Whether *signature* is strict base64 of 64 bytes r and s, low s, by *public_key*."""
    try:
        raw = base64.b64decode(signature.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return False
    if len(raw) != 64 or base64.b64encode(raw).decode() != signature:
        return False
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    if not 0 < r < ORDER or not 0 < s <= ORDER // 2:
        return False
    return _verifier()(public_key, r, s, digest)


@lru_cache(maxsize=1)
def _verifier() -> Callable[[bytes, int, int, bytes], bool]:
    try:
        import coincurve  # noqa: PLC0415 - optional, a third of the cost
    except ImportError:
        return verify_with_cryptography
    return coincurve_verifier(coincurve)


def verify_with_cryptography(public_key: bytes, r: int, s: int, digest: bytes) -> bool:
    """Verify with OpenSSL, through `cryptography`."""
    try:
        _cryptography_key(public_key).verify(encode_dss_signature(r, s), digest, _PREHASHED)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=1024)
def _cryptography_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), public_key)


def coincurve_verifier(coincurve: Any) -> Callable[[bytes, int, int, bytes], bool]:
    """A function that verifies with libsecp256k1, through the module *coincurve*."""
    key_of = lru_cache(maxsize=1024)(coincurve.PublicKey)

    def verify(public_key: bytes, r: int, s: int, digest: bytes) -> bool:
        der = encode_dss_signature(r, s)
        return bool(key_of(public_key).verify(der, digest, hasher=None))

    return verify
