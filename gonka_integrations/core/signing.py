"""Request signatures of the classic path: bytes in, signature out.

The signed text is the hexadecimal SHA-256 of the body, the timestamp in nanoseconds and the
transfer address, without separators; what is signed is its SHA-256 (inference-chain,
``x/inference/calculations/signature_validate.go``; the hashed form since v0.2.6).
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from typing import TYPE_CHECKING

from ..errors import GonkaClientError, GonkaConfigError
from . import curve
from .addresses import require_address
from .timestamps import TimestampSource

if TYPE_CHECKING:
    from .keys import Signer

__all__ = [
    "TimestampSource",
    "body_hash",
    "decode_signature",
    "sign_hash",
    "sign_request",
    "signed_digest",
]

_SIGNATURE_LENGTH = 64


def sign_request(key: Signer, body: bytes, timestamp_ns: int, transfer_address: str) -> str:
    """Signature of a request, for its ``Authorization`` header.

    Args:
        key: Who pays.
        body: The exact bytes that are sent.
        timestamp_ns: Nanoseconds since 1970; never used twice for one body and address.
        transfer_address: Account address of the host the request goes to.

    Returns:
        88 characters of base64.

    Raises:
        GonkaConfigError: An argument is not what it should be.
        GonkaClientError: The signer returned something else than 64 bytes.
    """
    return sign_hash(key, body_hash(body), timestamp_ns, transfer_address)


def body_hash(body: bytes | bytearray | memoryview | str) -> str:
    """SHA-256 of a body in lower-case hexadecimal; computed once for all attempts of a request."""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise GonkaConfigError(
            f"body: expected the bytes that are sent, not {type(body).__name__}", field="body"
        )
    return hashlib.sha256(body).hexdigest()


def sign_hash(key: Signer, body_sha256_hex: str, timestamp_ns: int, transfer_address: str) -> str:
    """Like `sign_request`, for a body whose `body_hash` is known already."""
    signature = key.sign(signed_digest(body_sha256_hex, timestamp_ns, transfer_address))
    if not isinstance(signature, bytes) or len(signature) != _SIGNATURE_LENGTH:
        raise GonkaClientError(
            f"the signer of {key.address} must return 64 bytes (r and s); "
            "convert DER and drop a recovery byte"
        )
    return base64.b64encode(curve.low_s(signature)).decode("ascii")


def signed_digest(body_sha256_hex: str, timestamp_ns: int, transfer_address: str) -> bytes:
    """The 32 bytes that are signed."""
    if type(timestamp_ns) is not int or timestamp_ns <= 0:
        raise GonkaConfigError(
            "timestamp: expected nanoseconds since 1970 as a positive int", field="timestamp"
        )
    _check_transfer_address(transfer_address)
    text = f"{body_sha256_hex}{timestamp_ns}{transfer_address}"
    return hashlib.sha256(text.encode("ascii")).digest()


def decode_signature(text: str) -> bytes | None:
    """The 64 bytes behind an ``Authorization`` header, None where the network refuses its form.

    Only padded standard base64 of exactly 64 bytes is taken: no scheme, no DER, no URL alphabet.
    """
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return signature if len(signature) == _SIGNATURE_LENGTH else None


@functools.lru_cache(maxsize=4096)
def _check_known_address(transfer_address: str) -> None:
    require_address(transfer_address, "transfer_address")


def _check_transfer_address(transfer_address: object) -> None:
    if isinstance(transfer_address, str):
        _check_known_address(transfer_address)
    else:
        require_address(transfer_address, "transfer_address")
