"""CometBFT 0.38 values and the bytes that their hashes and signatures are over.

Layouts from cometbft `types/block.go`, `types/validator.go`, `types/canonical.go` and
`proto/tendermint/types`. Nothing here decides whether to trust; see `commits` and `light`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from .merkle import merkle_root
from .wire import bytes_field, fixed64_field, uvarint, varint_field

__all__ = [
    "FLAG_ABSENT",
    "FLAG_COMMIT",
    "FLAG_NIL",
    "PRECOMMIT",
    "BlockId",
    "Commit",
    "CommitSig",
    "Header",
    "SignedHeader",
    "Timestamp",
    "Validator",
    "ValidatorSet",
    "vote_sign_bytes",
]

PRECOMMIT: Final = 2
FLAG_ABSENT: Final = 1
FLAG_COMMIT: Final = 2
FLAG_NIL: Final = 3


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Seconds since 1970 (negative before) and nanoseconds."""

    seconds: int = -62135596800  # 0001-01-01, Go's zero time
    nanos: int = 0

    def encode(self) -> bytes:
        """`google.protobuf.Timestamp`."""
        return varint_field(1, self.seconds) + varint_field(2, self.nanos)

    @property
    def unix(self) -> float:
        """Seconds since 1970, for comparison with a wall clock."""
        return self.seconds + self.nanos / 1e9


@dataclass(frozen=True, slots=True)
class BlockId:
    """Header hash and the root of the block's parts."""

    hash: bytes = b""
    parts_total: int = 0
    parts_hash: bytes = b""

    def encode(self) -> bytes:
        """`BlockID` and `CanonicalBlockID`, which have the same layout."""
        parts = varint_field(1, self.parts_total) + bytes_field(2, self.parts_hash)
        return bytes_field(1, self.hash) + bytes_field(2, parts, always=True)


@dataclass(frozen=True)
class Header:
    """A block header; hashes and addresses are raw bytes."""

    version_block: int
    version_app: int
    chain_id: str
    height: int
    time: Timestamp
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes

    @cached_property
    def hash(self) -> bytes:
        """Merkle root of the 14 encoded fields."""
        version = varint_field(1, self.version_block) + varint_field(2, self.version_app)
        wrapped = (
            self.last_commit_hash,
            self.data_hash,
            self.validators_hash,
            self.next_validators_hash,
            self.consensus_hash,
            self.app_hash,
            self.last_results_hash,
            self.evidence_hash,
            self.proposer_address,
        )
        leaves = [
            version,
            bytes_field(1, self.chain_id.encode()),
            varint_field(1, self.height),
            self.time.encode(),
            self.last_block_id.encode(),
            *(bytes_field(1, value) for value in wrapped),
        ]
        return merkle_root(leaves)


@dataclass(frozen=True, slots=True)
class CommitSig:
    """One validator's precommit for a block, for nil, or its absence."""

    flag: int
    address: bytes
    timestamp: Timestamp
    signature: bytes

    def encode(self) -> bytes:
        """`CommitSig`: a leaf of the commit hash."""
        return (
            varint_field(1, self.flag)
            + bytes_field(2, self.address)
            + bytes_field(3, self.timestamp.encode(), always=True)
            + bytes_field(4, self.signature)
        )


@dataclass(frozen=True)
class Commit:
    """The precommits of one height and round."""

    height: int
    round: int
    block_id: BlockId
    signatures: tuple[CommitSig, ...]

    @cached_property
    def hash(self) -> bytes:
        """Merkle root of the signatures: the next header's `last_commit_hash`."""
        return merkle_root([signature.encode() for signature in self.signatures])

    def sign_bytes(self, chain_id: str, signature: CommitSig) -> bytes:
        """What the validator behind *signature* has signed."""
        block_id = self.block_id if signature.flag == FLAG_COMMIT else None
        return vote_sign_bytes(
            chain_id,
            signature.timestamp,
            kind=PRECOMMIT,
            height=self.height,
            round_=self.round,
            block_id=block_id,
        )


@dataclass(frozen=True)
class SignedHeader:
    """A header and the commit that is said to be over it."""

    header: Header
    commit: Commit


@dataclass(frozen=True)
class Validator:
    """An Ed25519 consensus key and its voting power."""

    public_key: bytes
    power: int

    @cached_property
    def address(self) -> bytes:
        """First 20 bytes of the key's SHA-256."""
        return hashlib.sha256(self.public_key).digest()[:20]

    def encode(self) -> bytes:
        """`SimpleValidator`: what the validator-set hash is over."""
        return bytes_field(1, bytes_field(1, self.public_key)) + varint_field(2, self.power)


class ValidatorSet:
    """Validators in the chain's order: power descending, then address ascending."""

    def __init__(self, validators: tuple[Validator, ...]) -> None:
        self.validators = tuple(sorted(validators, key=lambda one: (-one.power, one.address)))

    def __len__(self) -> int:
        return len(self.validators)

    @cached_property
    def total_power(self) -> int:
        """Voting power of all."""
        return sum(validator.power for validator in self.validators)

    @cached_property
    def hash(self) -> bytes:
        """Merkle root of the set: a header's `validators_hash`."""
        return merkle_root([validator.encode() for validator in self.validators])


def vote_sign_bytes(
    chain_id: str,
    time: Timestamp,
    *,
    kind: int,
    height: int,
    round_: int,
    block_id: BlockId | None,
) -> bytes:
    """The length-prefixed `CanonicalVote`; *block_id* is None for a vote for nil."""
    vote = (
        varint_field(1, kind)
        + fixed64_field(2, height)
        + fixed64_field(3, round_)
        + (bytes_field(4, block_id.encode()) if block_id is not None else b"")
        + bytes_field(5, time.encode(), always=True)
        + bytes_field(6, chain_id.encode())
    )
    return uvarint(len(vote)) + vote
