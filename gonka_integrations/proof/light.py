"""The light client's rules: from a trusted header to a later one, without any I/O.

After cometbft `light/verifier.go`: the next header needs the validators that the trusted one
announces; a header further ahead needs more than a third of the trusted validators' power among
its signers, besides more than two thirds of its own set's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .cometbft import FLAG_COMMIT, Header, Timestamp, ValidatorSet
from .commits import check_signed_header
from .errors import (
    HeaderFromFuture,
    NotEnoughTrust,
    NotMonotonic,
    TrustExpired,
    ValidatorSetMismatch,
)

if TYPE_CHECKING:
    from .cometbft import SignedHeader

__all__ = [
    "DAY",
    "LightBlock",
    "TrustPolicy",
    "TrustedHeader",
    "check_clock",
    "check_fresh",
    "check_step",
]

DAY: Final = 86400.0


@dataclass(frozen=True)
class LightBlock:
    """A header that more than two thirds of its own validators have signed.

    Make one with `checked`: the type is the evidence.
    """

    signed: SignedHeader
    validators: ValidatorSet
    power: int  # that has signed

    @classmethod
    def checked(cls, chain_id: str, signed: SignedHeader, validators: ValidatorSet) -> LightBlock:
        """The block, when header, commit and validators belong together (see `commits`)."""
        return cls(signed, validators, check_signed_header(chain_id, signed, validators))

    @property
    def header(self) -> Header:
        """The signed header."""
        return self.signed.header

    @property
    def height(self) -> int:
        """Height of the header."""
        return self.signed.header.height

    @property
    def hash(self) -> bytes:
        """Hash of the header."""
        return self.signed.header.hash


@dataclass(frozen=True)
class TrustedHeader:
    """What later headers are compared with; *validators* signed it or follow it."""

    height: int
    hash: bytes
    time: Timestamp
    next_validators_hash: bytes
    validators: ValidatorSet

    @classmethod
    def of(cls, block: LightBlock) -> TrustedHeader:
        """Trust in *block*, which is the caller's to justify."""
        header = block.header
        return cls(
            header.height, header.hash, header.time, header.next_validators_hash, block.validators
        )

    def __str__(self) -> str:
        return f"{self.height} ({self.hash.hex().upper()[:16]}…)"


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """How long and how far trust carries (seconds, fraction of power).

    Five days: the chain forgets evidence of double signing after about six (100,000 blocks), so
    older validators could sign another history unpunished.
    """

    trusting_period: float = 5 * DAY
    clock_drift: float = 10.0
    trust_level: tuple[int, int] = (1, 3)


def check_clock(block: LightBlock, now: float, policy: TrustPolicy) -> None:
    """Raise `HeaderFromFuture` when *block* is too far ahead of *now* (UNIX seconds)."""
    ahead = block.header.time.unix - now
    if ahead >= policy.clock_drift:
        raise HeaderFromFuture(
            f"header time: header {block.height} is {ahead:.0f} s ahead of the local clock, "
            f"more than {policy.clock_drift:.0f} s; is the clock right?"
        )


def check_fresh(trusted: TrustedHeader, now: float, policy: TrustPolicy) -> None:
    """Raise `TrustExpired` when *trusted* is older than the trusting period at *now*."""
    age = now - trusted.time.unix
    if age >= policy.trusting_period:
        raise TrustExpired(
            f"trusting period: trusted header {trusted} is {age / DAY:.1f} days old, more than "
            f"{policy.trusting_period / DAY:.1f}; renew the trust root with a newer checkpoint "
            "(height and header hash from an explorer or a node you trust)"
        )


def check_step(
    trusted: TrustedHeader, block: LightBlock, now: float, policy: TrustPolicy | None = None
) -> None:
    """Check that trust in *trusted* carries to *block* in one step.

    Raises:
        TrustExpired, NotMonotonic, HeaderFromFuture: Of the two times and heights.
        ValidatorSetMismatch: *block* is the next one, and has other validators than announced.
        NotEnoughTrust: *block* is further ahead, and too few trusted validators signed it.
    """
    policy = policy or TrustPolicy()
    check_fresh(trusted, now, policy)
    header = block.header
    if header.height <= trusted.height or header.time <= trusted.time:
        raise NotMonotonic(
            f"order: header {header.height} is not above and later than trusted header {trusted}"
        )
    check_clock(block, now, policy)
    if header.height == trusted.height + 1:
        if header.validators_hash != trusted.next_validators_hash:
            raise ValidatorSetMismatch(
                f"validator set {header.height}: {header.validators_hash.hex().upper()} is not "
                f"{trusted.next_validators_hash.hex().upper()}, which header {trusted} announces"
            )
        return
    signed, total = _overlap(trusted.validators, block), trusted.validators.total_power
    numerator, denominator = policy.trust_level
    if signed * denominator <= total * numerator:
        raise NotEnoughTrust(
            f"overlap: power {signed} of {total} trusted at {trusted} has signed header "
            f"{header.height}, more than {numerator}/{denominator} is needed"
        )


def _overlap(trusted: ValidatorSet, block: LightBlock) -> int:
    """Trusted power among the signers of *block*, whose signatures are checked already."""
    signatures = block.signed.commit.signatures
    signers = {
        validator.public_key
        for signature, validator in zip(signatures, block.validators.validators, strict=True)
        if signature.flag == FLAG_COMMIT
    }
    return sum(one.power for one in trusted.validators if one.public_key in signers)
