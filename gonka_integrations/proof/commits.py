"""Whether a commit makes its header final: the set, the hash, the signatures, the power.

Stricter than CometBFT's `VerifyCommitLight`: every signature is checked, also after two thirds.
OpenSSL's Ed25519 is stricter than the chain's (ZIP-215): it can refuse an oddly encoded signature
that the chain takes, never the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..errors import GonkaConfigError
from .cometbft import FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL, CommitSig, Timestamp
from .errors import (
    BadSignature,
    CommitError,
    HeaderHashMismatch,
    InsufficientPower,
    ValidatorSetMismatch,
    WrongChain,
    WrongHeight,
)

if TYPE_CHECKING:
    from .cometbft import Commit, SignedHeader, Validator, ValidatorSet

__all__ = ["check_signatures", "check_signed_header", "require_ed25519"]

MAX_TOTAL_POWER: Final = (1 << 63) // 8  # cometbft types.MaxTotalVotingPower
_ZERO_TIMES: Final = (Timestamp(), Timestamp(0))  # of Go and of protobuf
_ADDRESS_SIZE: Final = 20
_SIGNATURE_SIZE: Final = 64


def require_ed25519() -> None:
    """Raise `GonkaConfigError` when the package that checks signatures is missing."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401, PLC0415 - optional
    except ImportError as error:
        raise GonkaConfigError(
            "verify_proofs needs the package 'cryptography': pip install gonka-integrations[proof]",
            field="verify_proofs",
        ) from error


def check_signed_header(chain_id: str, signed: SignedHeader, validators: ValidatorSet) -> int:
    """Check that more than two thirds of *validators* have signed this very header.

    Returns:
        The voting power that has signed.

    Raises:
        WrongChain, WrongHeight, ValidatorSetMismatch, HeaderHashMismatch: What differs.
        CommitError: The signatures do not fit the set; `BadSignature`, `InsufficientPower`.
    """
    header, commit = signed.header, signed.commit
    if header.chain_id != chain_id:
        raise WrongChain(f"chain id: header is of {header.chain_id!r}, not of {chain_id!r}")
    if commit.height != header.height:
        raise WrongHeight(f"commit: is for height {commit.height}, header is {header.height}")
    _check_set(header.validators_hash, validators, header.height)
    if header.hash != commit.block_id.hash:
        raise HeaderHashMismatch(
            f"header hash: header {header.height} hashes to {header.hash.hex().upper()}, "
            f"the commit signs {commit.block_id.hash.hex().upper()}"
        )
    return check_signatures(chain_id, commit, validators)


def _check_set(expected: bytes, validators: ValidatorSet, height: int) -> None:
    if len({one.public_key for one in validators.validators}) != len(validators):
        raise ValidatorSetMismatch(f"validator set {height}: a validator is listed twice")
    if not 0 < validators.total_power <= MAX_TOTAL_POWER:
        raise ValidatorSetMismatch(f"validator set {height}: power {validators.total_power}")
    if validators.hash != expected:
        raise ValidatorSetMismatch(
            f"validator set {height}: {len(validators)} validators hash to "
            f"{validators.hash.hex().upper()}, the header says {expected.hex().upper()}; "
            "the list is incomplete or forged"
        )


def check_signatures(chain_id: str, commit: Commit, validators: ValidatorSet) -> int:
    """Check every signature of *commit*; returns the voting power that signed the block.

    Raises:
        CommitError: Not one well-formed signature per validator in the set's order.
        InsufficientPower: Not more than two thirds signed for the block.
        BadSignature: A signature does not verify.
    """
    if len(commit.signatures) != len(validators):
        raise CommitError(
            f"commit {commit.height}: {len(commit.signatures)} signatures "
            f"for {len(validators)} validators"
        )
    pairs = list(zip(commit.signatures, validators.validators, strict=True))
    for position, (signature, validator) in enumerate(pairs):
        _check_shape(signature, validator, f"commit {commit.height}: signature {position}")
    signed = sum(who.power for signature, who in pairs if signature.flag == FLAG_COMMIT)
    if signed * 3 <= validators.total_power * 2:
        raise InsufficientPower(
            f"commit {commit.height}: power {signed} of {validators.total_power} has signed, "
            "more than two thirds are needed"
        )
    for position, (signature, validator) in enumerate(pairs):
        if signature.flag != FLAG_ABSENT and not _verifies(
            validator.public_key, signature.signature, commit.sign_bytes(chain_id, signature)
        ):
            raise BadSignature(
                f"commit {commit.height}: signature {position} of validator "
                f"{validator.address.hex().upper()} does not verify over "
                f"block {commit.block_id.hash.hex().upper()}"
            )
    return signed


def _check_shape(signature: CommitSig, validator: Validator, where: str) -> None:
    if signature.flag == FLAG_ABSENT:
        if signature.address or signature.signature or signature.timestamp not in _ZERO_TIMES:
            raise CommitError(f"{where}: is marked absent, but is not empty")
        return
    if signature.flag not in (FLAG_COMMIT, FLAG_NIL):
        raise CommitError(f"{where}: block id flag {signature.flag} is unknown")
    if len(signature.address) != _ADDRESS_SIZE or len(signature.signature) != _SIGNATURE_SIZE:
        raise CommitError(f"{where}: address or signature has the wrong size")
    if signature.address != validator.address:
        raise CommitError(
            f"{where}: is by {signature.address.hex().upper()}, "
            f"the set has {validator.address.hex().upper()} there"
        )


def _verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - optional dependency
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
