"""Keys from backup words: BIP-39 (words to seed) and BIP-32 (seed to key)."""

from __future__ import annotations

import hashlib
import hmac
import re

from ..errors import GonkaClientError, GonkaConfigError
from . import curve
from .secrets import Secret

__all__ = ["derive"]

_FIELD = "mnemonic"
_HARDENED = 0x80000000
_STEP = re.compile(r"(\d{1,10})(['hH]?)")


def derive(words: Secret, passphrase: Secret, path: str) -> Secret:
    """Private key in hexadecimal at *path* below the words' seed.

    Raises:
        GonkaConfigError: A word, the checksum or the path is wrong; shows none of the words.
        GonkaClientError: The package ``mnemonic`` is missing.
    """
    steps = _steps(path)
    node = hmac.digest(b"Bitcoin seed", _seed(words, passphrase), "sha512")
    for step in steps:
        node = _child(node, step)
    return Secret(node[:32].hex())


def _seed(words: Secret, passphrase: Secret) -> bytes:
    try:
        from mnemonic import Mnemonic  # noqa: PLC0415 - optional
    except ImportError:
        raise GonkaClientError(
            "keys from backup words need one more package: pip install 'gonka-integrations[keys]'"
        ) from None
    english = Mnemonic("english")
    words = Secret(" ".join(words.reveal().lower().split()))
    if not english.check(words.reveal()):
        count = len(words.reveal().split())
        raise GonkaConfigError(
            f"{_FIELD}: these {count} words are no BIP-39 backup in English; "
            "a word is misspelt, missing or in the wrong place",
            field=_FIELD,
        )
    return bytes(Mnemonic.to_seed(words.reveal(), passphrase.reveal()))


def _steps(path: str) -> list[int]:
    root, *parts = path.split("/")
    matches = [_STEP.fullmatch(part) for part in parts]
    steps = [int(m[1]) + (_HARDENED if m[2] else 0) for m in matches if m and int(m[1]) < _HARDENED]
    if root != "m" or len(steps) != len(parts):
        raise GonkaConfigError(f"path: {path!r} is not like m/44'/1200'/0'/0/0", field="path")
    return steps


def _child(node: bytes, step: int) -> bytes:
    """BIP-32 CKDpriv on key || chain code (32 bytes each)."""
    key, chain_code = node[:32], node[32:]
    data = b"\0" + key if step >= _HARDENED else curve.backend()(key).public_key
    digest = hmac.new(chain_code, data + step.to_bytes(4, "big"), hashlib.sha512).digest()
    scalar = (int.from_bytes(digest[:32], "big") + int.from_bytes(key, "big")) % curve.ORDER
    return scalar.to_bytes(32, "big") + digest[32:]
