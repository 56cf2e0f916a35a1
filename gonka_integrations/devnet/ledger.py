"""Accounts of the network: keys made from a seed, balances, what each spent, used signatures."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..core.addresses import address_of

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
PRICE_PER_TOKEN = 1000
"""ngonka per token: the legacy price, which a node falls back to."""

_DEFAULT_MAX_TOKENS = 5000
_FUNDED = 10**18


@dataclass(slots=True)
class Account:
    """One account on the network's chain.

    Attributes:
        address: gonka1… address.
        public_key: Compressed secp256k1 key, 33 bytes; None when the account never sent anything.
        balance: Spendable ngonka.
        spent: ngonka charged for served inferences.
        inferences: Inferences charged.
    """

    address: str
    public_key: bytes | None
    balance: int
    spent: int = 0
    inferences: int = 0


@dataclass(frozen=True, slots=True)
class TestKey:
    """A key pair made from a label; worthless outside of a devnet.

    Attributes:
        private_key: 64 hex digits.
        public_key: Compressed, 33 bytes.
        address: gonka1… address.
    """

    __test__ = False

    private_key: str
    public_key: bytes
    address: str

    @classmethod
    def from_label(cls, label: str) -> TestKey:
        """The key of *label*; the same in every run."""
        secret = int.from_bytes(_digest(label), "big") % (ORDER - 1) + 1
        public = _public_key(secret)
        return cls(f"{secret:064x}", public, address_of(public))


def validator_seed(label: str) -> bytes:
    """Seed, 32 bytes, of the Ed25519 consensus key that belongs to *label*."""
    return _digest(f"{label} consensus")


def validator_public_key(label: str) -> bytes:
    """Ed25519 consensus key, 32 bytes, that belongs to *label*."""
    private = Ed25519PrivateKey.from_private_bytes(validator_seed(label))
    return private.public_key().public_bytes_raw()


def required_balance(prompt_bytes: int, message_count: int, max_tokens: int | None) -> int:
    """Ngonka that must be there before a node serves.

    The prompt counts in bytes of message text, plus one per message; source gonka-ai/gonka
    `post_chat_handler.go`.
    """
    limit = max_tokens if max_tokens else _DEFAULT_MAX_TOKENS
    return (prompt_bytes + message_count + limit) * PRICE_PER_TOKEN


@dataclass(slots=True)
class Ledger:
    """The accounts of the chain.

    Attributes:
        accounts: By address.
    """

    accounts: dict[str, Account] = field(default_factory=dict)

    def open_account(self, key: TestKey, *, balance: int = _FUNDED) -> Account:
        """Add an account that has sent something, so that its public key is known."""
        account = Account(key.address, key.public_key, balance)
        self.accounts[key.address] = account
        return account

    def charge(self, address: str, tokens: int) -> None:
        """Book a served inference."""
        account = self.accounts.get(address)
        if account is None:
            return
        cost = min(account.balance, tokens * PRICE_PER_TOKEN)
        account.balance -= cost
        account.spent += cost
        account.inferences += 1


@dataclass(slots=True)
class ReplayGuard:
    """Signatures one node has met, for as long as it remembers them.

    Attributes:
        remember_seconds: A node remembers max(4, 2 x expiration / 4 s) blocks: 30 blocks of
            5.5 s at 60 s.
    """

    remember_seconds: float = 165.0
    _seen: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def is_new(self, signature: str, now: float) -> bool:
        """Whether *signature* was not met before; notes it. *now* in seconds."""
        while self._seen and next(iter(self._seen.values())) < now - self.remember_seconds:
            self._seen.popitem(last=False)
        if signature in self._seen:
            return False
        self._seen[signature] = now
        return True


def _public_key(secret: int) -> bytes:
    try:
        import coincurve  # noqa: PLC0415 - optional, a hundredth of the cost
    except ImportError:
        key = ec.derive_private_key(secret, ec.SECP256K1()).public_key()
        return key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    made: bytes = coincurve.PrivateKey.from_int(secret).public_key.format(compressed=True)
    return made


def _digest(label: str) -> bytes:
    return hashlib.sha256(f"gonka devnet {label}".encode()).digest()
