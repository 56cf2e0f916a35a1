"""Private keys of Gonka accounts, and what may stand for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ..errors import GonkaConfigError
from . import curve
from .addresses import address_of
from .secrets import Environment, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PrivateKey", "Signer"]

_FIELD = "private_key"
_HEX_LENGTH = 64


@runtime_checkable
class Signer(Protocol):
    """What can sign for an account: a `PrivateKey`, a hardware wallet, a key service."""

    @property
    def address(self) -> str:
        """The account's address, gonka1…."""

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over secp256k1 of a 32-byte digest: 64 bytes, r and s big-endian."""


class PrivateKey:
    """A secp256k1 private key that does not show itself.

    It has no attribute dictionary and its repr has the address only. Pickling one that was read
    from the environment stores the variable's name, not the key.

    Attributes:
        address: The account's address, gonka1….
        public_key: Compressed public key, 33 bytes.
    """

    __slots__ = ("_curve", "_secret", "address", "public_key")

    def __init__(self, secret: str | Secret, *, backend: str | None = None) -> None:
        secret = _hidden(secret)
        self._secret = secret
        self._curve = _load(secret, backend)
        self.public_key = self._curve.public_key
        self.address = address_of(self.public_key)

    @classmethod
    def from_hex(cls, text: str | Secret, *, backend: str | None = None) -> PrivateKey:
        """The key written as 64 hexadecimal digits, with or without ``0x`` before them.

        Args:
            text: The digits.
            backend: "coincurve" or "ecdsa"; None takes the faster one that is installed.

        Raises:
            GonkaConfigError: It is not such a key; the message does not show it.
        """
        text = _hidden(text)
        return cls(text, backend=backend)

    @classmethod
    def from_env(
        cls,
        name: str = "GONKA_PRIVATE_KEY",
        environ: Mapping[str, str] | Environment | None = None,
    ) -> PrivateKey:
        """The key in the environment variable *name*; white space around it is ignored."""
        environ = Environment.of(environ)
        return cls(Secret.from_env(name, environ=environ))

    @classmethod
    def from_mnemonic(
        cls,
        words: str | Secret,
        passphrase: str | Secret = "",
        *,
        path: str = "m/44'/1200'/0'/0/0",
        backend: str | None = None,
    ) -> PrivateKey:
        """The key that wallets derive from the words of a BIP-39 backup.

        Args:
            words: 12 to 24 English words.
            passphrase: The optional "25th word".
            path: BIP-32 path. Gonka's coin type is 1200; some wallets used Cosmos' 118.
            backend: As in `from_hex`.

        Raises:
            GonkaConfigError: A word or the checksum is wrong.
            GonkaClientError: The extra ``keys`` is not installed.
        """
        from .mnemonics import derive  # noqa: PLC0415 - an optional dependency is behind it

        words, passphrase = Secret.of(words), Secret.of(passphrase)
        return cls(derive(words, passphrase, path), backend=backend)

    def sign(self, digest: bytes) -> bytes:
        """Signature of a 32-byte digest: 64 bytes r and s, low s, RFC 6979 nonce."""
        return self._curve.sign(digest)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PrivateKey):
            return NotImplemented
        return self.public_key == other.public_key

    def __hash__(self) -> int:
        return hash(self.public_key)

    def __repr__(self) -> str:
        return f"PrivateKey({getattr(self, 'address', 'not set')})"

    def __copy__(self) -> PrivateKey:
        return self

    def __deepcopy__(self, memo: object) -> PrivateKey:
        return self

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return PrivateKey, (self._secret,)


# No frame that can raise keeps a key as text: tracebacks may be shown with their local variables.


def _hidden(value: Any) -> Secret:
    if isinstance(value, (str, Secret)) or hasattr(value, "get_secret_value"):
        return Secret.of(value)
    raise GonkaConfigError(
        f"{_FIELD}: expected text of 64 hexadecimal digits, not {type(value).__name__}",
        field=_FIELD,
    )


def _load(secret: Secret, backend: str | None) -> curve.SigningCurve:
    complaint = _complaint(secret)
    if complaint:
        raise GonkaConfigError(f"{_FIELD}: {complaint}", field=_FIELD)
    return curve.backend(backend)(bytes.fromhex(_digits(secret)))


def _digits(secret: Secret) -> str:
    text = secret.reveal()
    return text[2:] if text[:2] in ("0x", "0X") else text


def _complaint(secret: Secret) -> str | None:
    digits = _digits(secret)
    if not digits:
        return "it is empty"
    if digits != digits.strip():
        return "there is white space around it"
    if len(digits) != _HEX_LENGTH:
        return f"expected 64 hexadecimal digits, got {len(digits)} characters"
    if not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        return "it has characters that are not hexadecimal digits"
    if not 0 < int(digits, 16) < curve.ORDER:
        return "the number is not in the range of secp256k1 keys"
    return None
