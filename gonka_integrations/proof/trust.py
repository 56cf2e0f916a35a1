"""Trust roots: where the first trusted header comes from.

*Checkpoint*: the operator states a height and the header's hash. *Agreement*: on first use, several
independent sources must show the same header; it is remembered, and later headers must descend
from it. Without one of the two nothing can be proven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from ..errors import GonkaConfigError

__all__ = ["MAINNET", "Agreement", "Checkpoint", "TrustRoot", "host_of", "parse_trust"]

MAINNET: Final = "gonka-mainnet"
_HASH_SIZE: Final = 32
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Checkpoint:
    """A header that the operator vouches for.

    Attributes:
        height: Height of the header; at or below what is to be proven, less than five days old.
        hash: The header's hash, 32 bytes; hexadecimal text is taken too.
        chain_id: The chain that the header is of.
        store: File that remembers later headers; None for the usual place.
    """

    height: int
    hash: bytes
    chain_id: str = MAINNET
    store: str | None = None

    def __post_init__(self) -> None:
        shown: object = self.hash  # users write text here, as explorers show it
        if isinstance(shown, str):
            shown = _hash_from_hex(shown)
            object.__setattr__(self, "hash", shown)
        if not _at_least(self.height, 1):
            raise _problem(f"a checkpoint's height is a positive number, not {self.height!r}")
        if not isinstance(shown, bytes) or len(shown) != _HASH_SIZE:
            raise _problem("a checkpoint's hash has 32 bytes, written as 64 hexadecimal digits")

    @property
    def root_id(self) -> str:
        """Name under which what descends from this root is remembered."""
        return f"checkpoint:{self.height}:{self.hash.hex().upper()}"


@dataclass(frozen=True)
class Agreement:
    """The same header from several sources that different people run.

    Attributes:
        threshold: How many sources must show the same header on first use; any that shows
            another one is an error.
        renew_expired: Whether to agree anew, as on first use, when what is remembered is older
            than the trusting period; otherwise that is an error.
        chain_id: The chain that they are nodes of.
        store: File that remembers the header; None for the usual place.
    """

    threshold: int = 2
    renew_expired: bool = False
    chain_id: str = MAINNET
    store: str | None = None

    def __post_init__(self) -> None:
        if not _at_least(self.threshold, 2):
            raise _problem(f"agreement needs at least 2 sources, not {self.threshold!r}")

    @property
    def root_id(self) -> str:
        """Name under which what descends from this root is remembered."""
        return "agreement"


TrustRoot: TypeAlias = Checkpoint | Agreement


def parse_trust(value: object) -> TrustRoot:
    """A trust root from what a user writes.

    Takes a `Checkpoint` or an `Agreement`; ``"checkpoint:HEIGHT:HASH"``; ``"agreement"``, or
    ``"agreement:3"`` for three sources, both with ``@CHAIN`` behind for another chain than mainnet;
    and mappings with the key ``kind`` and the fields of the two classes.

    Raises:
        GonkaConfigError: It is none of these; the field is `trust`.
    """
    if isinstance(value, (Checkpoint, Agreement)):
        return value
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, Mapping):
        fields = dict(value)
        kind = fields.pop("kind", None)
        try:
            if kind == "checkpoint":
                return Checkpoint(**fields)
            if kind == "agreement":
                return Agreement(**fields)
        except TypeError as error:
            raise _problem(f"{kind}: {error}") from error
    raise _problem(
        "verify_proofs needs a trust root: 'checkpoint:HEIGHT:HASH' (a header hash from an "
        "explorer or a node you trust) or 'agreement' (two of your sources must show the same "
        f"header), not {str(value)[:80]!r}"
    )


def _parse_text(text: str) -> TrustRoot:
    root, _, chain = text.strip().partition("@")
    kind, _, rest = root.partition(":")
    chain_id = chain or MAINNET
    if kind == "checkpoint":
        height, _, hash_text = rest.partition(":")
        if not (height.isascii() and height.isdigit()):
            raise _problem(f"write 'checkpoint:HEIGHT:HASH', not {text[:120]!r}")
        return Checkpoint(int(height), _hash_from_hex(hash_text), chain_id)
    if kind == "agreement" and (not rest or (rest.isascii() and rest.isdigit())):
        return Agreement(int(rest) if rest else 2, chain_id=chain_id)
    raise _problem(f"{text[:80]!r} is neither 'checkpoint:HEIGHT:HASH' nor 'agreement[:SOURCES]'")


def _at_least(value: object, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _hash_from_hex(text: str) -> bytes:
    try:
        data = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != _HASH_SIZE:
        raise _problem(f"a header hash has 64 hexadecimal digits, not {text[:80]!r}")
    return data


def _problem(message: str) -> GonkaConfigError:
    return GonkaConfigError(f"trust: {message}", field="trust")


def host_of(url: str) -> str:
    """What makes a source independent of others: its host name.

    On the local machine each port counts as a host of its own, for development networks.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").lower()
    return f"{host}:{parts.port}" if host in _LOOPBACK else host
