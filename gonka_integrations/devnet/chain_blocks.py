"""Blocks of the synthetic chain: validator sets, times, headers and signed commits.

Blocks are made when they are asked for. A header names its true predecessor, except every 64th,
whose predecessor is made up: a chain of millions of blocks is then as cheap as those it shows.
"""

from __future__ import annotations

import bisect
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ..proof.cometbft import (
    FLAG_ABSENT,
    FLAG_COMMIT,
    FLAG_NIL,
    BlockId,
    Commit,
    CommitSig,
    Timestamp,
    Validator,
    ValidatorSet,
)
from .epoch_params import BLOCK_SECONDS
from .ledger import validator_seed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..proof.cometbft import Header
    from .epochs import EpochRecord

NANO = 1_000_000_000
LINKED = 64
_GUARDIAN_SHARE = 34  # percent of the power, as on mainnet
_ABSENT_FROM = 7  # validators; in bigger sets one in 17 misses a block


def digest(*parts: object) -> bytes:
    """32 bytes that depend on *parts* only."""
    return hashlib.sha256(" ".join(map(str, parts)).encode()).digest()


@lru_cache(maxsize=4096)
def signing_key(label: str) -> Ed25519PrivateKey:
    """Consensus key of a label."""
    return Ed25519PrivateKey.from_private_bytes(validator_seed(label))


@dataclass
class Signers:
    """Who may sign: keys by their public half.

    Args:
        seed: Seed of the network; host keys depend on it.
        guardians: Validators besides the participants, who stay in every epoch and have a third
            of the power.
        most: How many participants validate; None is all of them.
    """

    seed: object
    guardians: int = 3
    most: int | None = None
    _labels: dict[bytes, str] = field(default_factory=dict)

    def validator_set(self, record: EpochRecord) -> ValidatorSet:
        """Validators of an epoch. Power is not the participants' weight, nor proportional to it."""
        found = []
        for member in record.members[: self.most]:
            self._labels[member.validator_key] = f"{self.seed} host {member.index}"
            found.append(Validator(member.validator_key, 1000 + member.weight % 1000))
        total = sum(one.power for one in found)
        if self.guardians:
            power = total * _GUARDIAN_SHARE // (100 - _GUARDIAN_SHARE) // self.guardians + 1
            for index in range(self.guardians):
                label = f"{self.seed} guardian {index}"
                key = signing_key(label).public_key().public_bytes_raw()
                self._labels[key] = label
                found.append(Validator(key, power))
        return ValidatorSet(tuple(found))

    def commit(
        self,
        header: Header,
        validators: ValidatorSet,
        *,
        chain_id: str,
        absent: Collection[int] = (),
        nil: Collection[int] = (),
        block_hash: bytes | None = None,
    ) -> Commit:
        """The validators' precommits for *header*.

        Args:
            header: What is signed.
            validators: Who signs, in order.
            chain_id: Chain that the votes are for.
            absent: Positions of those who did not vote.
            nil: Positions of those who voted for nil.
            block_hash: Another hash to sign than the header's.
        """
        block_id = BlockId(
            header.hash if block_hash is None else block_hash, 1, digest("parts", header.hash.hex())
        )
        bare = Commit(header.height, 0, block_id, ())
        signatures = []
        for position, validator in enumerate(validators.validators):
            if position in absent:
                signatures.append(CommitSig(FLAG_ABSENT, b"", Timestamp(), b""))
                continue
            flag = FLAG_NIL if position in nil else FLAG_COMMIT
            when = Timestamp(header.time.seconds + 1, position * 1001)
            unsigned = CommitSig(flag, validator.address, when, b"")
            key = signing_key(self._labels[validator.public_key])
            signature = key.sign(bare.sign_bytes(chain_id, unsigned))
            signatures.append(CommitSig(flag, validator.address, when, signature))
        return Commit(header.height, 0, block_id, tuple(signatures))


def usual_absent(height: int, count: int) -> frozenset[int]:
    """Positions of those who miss the block at *height* in a set of *count*."""
    if count < _ABSENT_FROM:
        return frozenset()
    return frozenset(index for index in range(count) if (height + index) % 17 == 0)


class BlockTimes:
    """When each block was made: straight lines between the moments at which the chain was seen."""

    def __init__(self) -> None:
        self._heights: list[int] = []
        self._times: list[int] = []

    def see(self, height: int, time_ns: int) -> None:
        """Note that the latest block is at *height* now."""
        if self._heights and height <= self._heights[-1]:
            return
        if self._heights:
            # Later in any case: a block per microsecond at least.
            time_ns = max(time_ns, self._times[-1] + 1000 * (height - self._heights[-1]))
        self._heights.append(height)
        self._times.append(time_ns)

    @property
    def latest(self) -> int:
        """Highest height seen."""
        return self._heights[-1]

    def at(self, height: int) -> Timestamp:
        """Time of the block at *height*, at most the latest."""
        index = bisect.bisect_left(self._heights, height)
        if index == 0:
            nanos = self._times[0] - int((self._heights[0] - height) * BLOCK_SECONDS * NANO)
        else:
            low, high = self._heights[index - 1], self._heights[index]
            since, until = self._times[index - 1], self._times[index]
            nanos = since + (until - since) * (height - low) // (high - low)
        return Timestamp(nanos // NANO, nanos % NANO)


def record_at(records: Mapping[int, EpochRecord], height: int) -> EpochRecord:
    """Epoch whose validators make the block at *height*; before the first one, those of the first.

    A new set is in force from the epoch's effective height on.
    """
    ordered = sorted(records.values(), key=lambda record: record.epoch_id)
    found = ordered[0]
    for record in ordered:
        if record.effective <= height:
            found = record
    return found
