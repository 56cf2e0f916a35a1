"""What a payload's own block says: never proof, sometimes a hint about what is wrong.

The payload carries header H+1, the commit for H inside it, and (some of) the validators at H. No
signature there is over header H+1, so all of this can hold for a forged list too; it is noted in
the evidence when the signed header is missing, and decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cometbft import Commit, Header, ValidatorSet
from .commits import check_signatures
from .errors import (
    AppHashMismatch,
    CommitError,
    MalformedPayload,
    ProofCheckError,
    ValidatorSetMismatch,
    WrongChain,
    WrongHeight,
)
from .json_dialects import read_commit, read_header, read_validators
from .json_values import as_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from .report import Report

__all__ = ["note_payload_block"]


def note_payload_block(
    payload: dict[str, Any], app_hash: bytes, height: int, chain_id: str, report: Report
) -> None:
    """Note which checks the payload's own block and validators pass.

    Args:
        payload: The decoded payload, in either dialect.
        app_hash: Where the payload's proofs lead to.
        height: H+1, the header that must carry *app_hash*.
        chain_id: The chain that the header must be of.
        report: Receives one line per check.
    """
    try:
        header, commit = _payload_block(payload)
        validators = ValidatorSet(read_validators(payload.get("validators")))
    except ProofCheckError as error:
        report.fail("payload block", str(error))
        return
    checks: dict[str, Callable[[], str]] = {
        "payload header": lambda: _header(header, height, chain_id),
        "payload app hash": lambda: _app_hash(header, app_hash),
        "payload validators": lambda: _validators(header, validators),
        "payload last commit": lambda: _last_commit(header, commit),
        "payload signatures": lambda: _signatures(header, commit, validators),
    }
    for name, check in checks.items():
        try:
            report.add(name, check())
        except ProofCheckError as error:
            report.fail(name, str(error))


def _payload_block(payload: dict[str, Any]) -> tuple[Header, Commit]:
    block = payload.get("block")
    if isinstance(block, list):  # nodes of 2025 wrote a list of one
        block = block[0] if len(block) == 1 else None
    if block is None:
        raise MalformedPayload("the payload has no block")
    fields = as_object(block, "block")
    return read_header(fields.get("header")), read_commit(fields.get("last_commit"))


def _header(header: Header, height: int, chain_id: str) -> str:
    if header.height != height:
        raise WrongHeight(f"is of height {header.height}, not {height}")
    if header.chain_id != chain_id:
        raise WrongChain(f"is of {header.chain_id!r}, not of {chain_id!r}")
    return f"{height} of {chain_id} hashes to {header.hash.hex().upper()}"


def _app_hash(header: Header, app_hash: bytes) -> str:
    if header.app_hash != app_hash:
        raise AppHashMismatch(
            f"the proofs lead to {app_hash.hex().upper()}, "
            f"header {header.height} says {header.app_hash.hex().upper()}"
        )
    return f"{app_hash.hex().upper()} is the header's, unsigned"


def _validators(header: Header, validators: ValidatorSet) -> str:
    if validators.hash != header.validators_hash:
        raise ValidatorSetMismatch(
            f"{len(validators)} validators hash to {validators.hash.hex().upper()}, "
            f"the header says {header.validators_hash.hex().upper()}; cut to a page, or changed"
        )
    return f"{len(validators)} validators are the header's set"


def _last_commit(header: Header, commit: Commit) -> str:
    if commit.hash != header.last_commit_hash or commit.block_id != header.last_block_id:
        raise CommitError(f"the commit for {commit.height} is not the one in the header")
    return f"the commit for {commit.height} is the one that header {header.height} names"


def _signatures(header: Header, commit: Commit, validators: ValidatorSet) -> str:
    power = check_signatures(header.chain_id, commit, validators)
    return f"power {power} of {validators.total_power} has signed block {commit.height}"
