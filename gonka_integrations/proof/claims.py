"""What an answer claims the chain's state to be, and the checks that tie it to a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import AppHashMismatch, MalformedPayload, StaleEpoch
from .json_dialects import read_proof_ops
from .json_values import from_hex
from .participants_proof import (
    ActiveParticipants,
    StateLayout,
    check_epoch,
    check_json_list,
    decode_record,
)
from .store_proof import ProofOp, RecordProof, prove_record

if TYPE_CHECKING:
    from .light import LightBlock
    from .report import Report

__all__ = ["Claim", "check_age", "check_app_hash", "note_proof", "prove_claim", "read_claim"]


@dataclass(frozen=True, slots=True)
class Claim:
    """What a payload says, decoded but not proven."""

    record: ActiveParticipants
    value: bytes
    ops: tuple[ProofOp, ...]
    epoch: int
    excluded: Any

    @property
    def header_height(self) -> int:
        """Height of the header that carries the hash of the state the record was made in."""
        return self.record.created_at_block_height + 1


def read_claim(payload: dict[str, Any], epoch: int | None, report: Report) -> Claim:
    """Decode a payload's record and proofs; compare its epoch, and its JSON list.

    Raises:
        MalformedPayload, EpochMismatch, ParticipantsMismatch: See `errors`.
    """
    for name in ("active_participants_bytes", "proof_ops"):
        if not payload.get(name):
            raise MalformedPayload(f"payload: has no {name}, so there is no proof of this list")
    value = from_hex(payload["active_participants_bytes"], "active_participants_bytes")
    record = decode_record(value)
    found = check_epoch(record, epoch)
    report.add("record", f"{len(record.participants)} participants of epoch {found}")
    check_json_list(record, payload.get("active_participants"))
    report.add("list", "the JSON list is what the record says")
    ops = read_proof_ops(payload["proof_ops"])
    return Claim(record, value, ops, found, payload.get("excluded_participants"))


def prove_claim(claim: Claim, layout: StateLayout, report: Report) -> RecordProof:
    """Compute the application hash that the claim's proofs lead to.

    Raises:
        ProofError: See `store_proof.prove_record`.
    """
    proof = prove_record(claim.ops, layout.store, layout.record_key(claim.epoch), claim.value)
    note_proof(proof, layout, "the record", report)
    return proof


def note_proof(proof: RecordProof, layout: StateLayout, what: str, report: Report) -> None:
    """Note what proofs of *what* establish."""
    report.add(
        "proofs",
        f"store {layout.store!r} with root {_short(proof.store_root)} holds {what}, written at "
        f"height {proof.version}; they lead to app hash {_short(proof.app_hash)}",
    )


def check_app_hash(proof: RecordProof, block: LightBlock, report: Report) -> None:
    """Raise `AppHashMismatch` when the proofs do not lead to the header's application hash."""
    if proof.app_hash != block.header.app_hash:
        raise AppHashMismatch(
            f"app hash: the proofs lead to {proof.app_hash.hex().upper()}, "
            f"header {block.height} says {block.header.app_hash.hex().upper()}"
        )
    report.add("app hash", f"{_short(proof.app_hash)} is the one of header {block.height}")


def check_age(block: LightBlock, epoch: int, now: float, limit: float, report: Report) -> None:
    """Raise `StaleEpoch` when *block* is older than *limit* seconds."""
    age = now - block.header.time.unix
    if age > limit:
        raise StaleEpoch(
            f"freshness: header {block.height} of epoch {epoch} is {age / 3600:.1f} h old, "
            f"more than {limit / 3600:.1f}"
        )
    report.add("freshness", f"header {block.height} is {max(age, 0):.0f} s old")


def _short(value: bytes) -> str:
    return value.hex().upper()[:16] + "…"
