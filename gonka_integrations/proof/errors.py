"""Why a participant list is not proven: one class for each check.

The tree, all under `GonkaProofVerificationError`::

    ProofCheckError
    ├── MalformedPayload          an answer has the wrong shape, encoding or size
    ├── ParticipantsMismatch      the JSON list is not what the proven bytes say
    ├── EpochMismatch             the bytes are another epoch's record
    ├── StaleEpoch                a true record, but no longer the current one
    ├── ProofError                the ICS-23 proofs are not two single existence proofs
    │   ├── ProofSpecError        a proof's operations break the tree's specification
    │   ├── ProofKeyMismatch      the proof is for another key or store
    │   ├── ProofValueMismatch    the proof is for another value, or leads to another store root
    │   └── AppHashMismatch       the proofs lead to another application hash
    ├── MissingSignedHeader       nobody served the signed header, or its validators
    │   └── NotServed             a node does not offer this read at all
    ├── WrongHeight               header, commit or proof of another height
    ├── WrongChain                header of another chain
    ├── HeaderHashMismatch        the commit signs another header than the one shown
    ├── ValidatorSetMismatch      the validator set is incomplete or forged
    ├── CommitError               the commit does not fit its validator set
    │   ├── BadSignature          a signature does not verify
    │   └── InsufficientPower     two thirds of the voting power or less has signed
    └── TrustError                the header cannot be reached from what is trusted
        ├── TrustMismatch         a pinned or remembered header has another hash
        │   └── SourcesDisagree   sources show different headers for one height
        ├── NotEnoughTrust        a third of the trusted power or less has signed
        ├── TrustExpired          the newest trusted header is older than the trusting period
        ├── HeaderFromFuture      the header's time is ahead of the local clock
        └── NotMonotonic          the header is not above the trusted one

Messages name the check and the two values that differ.
"""
# ruff: noqa: N818 - each class is named after the check that failed

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import GonkaProofVerificationError

if TYPE_CHECKING:
    from .report import EvidenceLine

__all__ = [
    "AppHashMismatch",
    "BadSignature",
    "CommitError",
    "EpochMismatch",
    "HeaderFromFuture",
    "HeaderHashMismatch",
    "InsufficientPower",
    "MalformedPayload",
    "MissingSignedHeader",
    "NotEnoughTrust",
    "NotMonotonic",
    "NotServed",
    "ParticipantsMismatch",
    "ProofCheckError",
    "ProofError",
    "ProofKeyMismatch",
    "ProofSpecError",
    "ProofValueMismatch",
    "SourcesDisagree",
    "StaleEpoch",
    "TrustError",
    "TrustExpired",
    "TrustMismatch",
    "ValidatorSetMismatch",
    "WrongChain",
    "WrongHeight",
]


class ProofCheckError(GonkaProofVerificationError):
    """A check of the chain of evidence failed.

    Attributes:
        evidence: What was established before, and the failed check as the last line.
    """

    evidence: tuple[EvidenceLine, ...] = ()


class MalformedPayload(ProofCheckError):
    """An answer has the wrong shape, encoding or size."""


class ParticipantsMismatch(ProofCheckError):
    """The JSON list differs from the bytes that are proven."""


class EpochMismatch(ProofCheckError):
    """The bytes are the record of another epoch than the one asked for."""


class StaleEpoch(ProofCheckError):
    """The record is genuine, but it is not the current one any more."""


class ProofError(ProofCheckError):
    """The ICS-23 proofs are not one existence proof per tree, in the right order."""


class ProofSpecError(ProofError):
    """A proof's hash operations break the specification of its tree."""


class ProofKeyMismatch(ProofError):
    """The proof is for another key, or for another store."""


class ProofValueMismatch(ProofError):
    """The proof is for another value, or its tree has another root than the store's."""


class AppHashMismatch(ProofError):
    """The proofs lead to an application hash that the header does not carry."""


class MissingSignedHeader(ProofCheckError):
    """No source served the signed header of the proven state, or its whole validator set."""


class NotServed(MissingSignedHeader):
    """A node does not offer a read at all, so that asking again soon is no use."""


class WrongHeight(ProofCheckError):
    """A header, commit or proof is of another height than the one needed."""


class WrongChain(ProofCheckError):
    """The header belongs to another chain."""


class HeaderHashMismatch(ProofCheckError):
    """The commit signs a header with another hash than the one that is shown."""


class ValidatorSetMismatch(ProofCheckError):
    """The validators do not hash to the header's validator set: incomplete, or forged."""


class CommitError(ProofCheckError):
    """The commit has not one well-formed signature per validator, in the set's order."""


class BadSignature(CommitError):
    """A validator's signature does not verify over the canonical vote."""


class InsufficientPower(CommitError):
    """Not more than two thirds of the voting power has signed the header."""


class TrustError(ProofCheckError):
    """The header is consistent, but cannot be reached from what is trusted."""


class TrustMismatch(TrustError):
    """A pinned or remembered header has another hash than the one shown."""


class SourcesDisagree(TrustMismatch):
    """Sources that should agree show different headers at one height: one of them lies."""


class NotEnoughTrust(TrustError):
    """Not more than a third of the trusted validators' power has signed the header."""


class TrustExpired(TrustError):
    """The newest usable trusted header is older than the trusting period."""


class HeaderFromFuture(TrustError):
    """The header's time is further ahead of the local clock than the allowed drift."""


class NotMonotonic(TrustError):
    """The header is not above, or not later than, the trusted one."""
