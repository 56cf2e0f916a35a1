"""An honest answer of the chain, and the tools to change it as an attacker would."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .chain import SyntheticChain
from .chain_json import (
    commit_json,
    header_json,
    proof_ops_json,
    validators_json,
)
from .chain_records import encode_record, record_json
from .ledger import validator_public_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from ..proof.store_proof import ProofOp
    from .epochs import EpochRecord

EVIL_URL = "http://203.0.113.66:8000"


class Forgery:
    """An honest answer to be changed: payload, signed header and validators of one epoch.

    Args:
        chain: The honest chain.
        epoch: The epoch asked for.

    Attributes:
        payload: Of the participants read.
        height: Height of the header that would prove it.
        signed: `signed_header` of the commit read at that height; None when there is none.
        validators: The whole set, as the RPC shows it.
    """

    def __init__(self, chain: SyntheticChain, epoch: int) -> None:
        self.chain = chain
        chain.observe()
        self.show_epoch(epoch)

    def show_epoch(self, epoch: int) -> None:
        """Show the honest answer of *epoch*."""
        self.epoch = epoch
        self.record = self.chain.book.records[epoch]
        self.height = self.record.created_at + 1
        self.show_chain(self.chain)

    def show_chain(self, chain: SyntheticChain) -> None:
        """Show what *chain* has at the same epoch and height."""
        self.payload: dict[str, Any] = copy.deepcopy(chain.payload(self.epoch))
        self.signed: dict[str, Any] | None = self.signed_at(self.height, chain)
        self.validators = self.validators_of(chain)

    def signed_at(self, height: int, chain: SyntheticChain | None = None) -> dict[str, Any]:
        """A chain's true `signed_header`."""
        chain = chain or self.chain
        return {
            "header": header_json(chain.header(height), "rpc"),
            "commit": commit_json(chain.commit(height), "rpc"),
        }

    def validators_of(self, chain: SyntheticChain) -> list[dict[str, Any]]:
        """A chain's set at the height."""
        return validators_json(chain.validator_set(self.height).validators, "rpc")

    @property
    def header(self) -> dict[str, Any]:
        """The header shown."""
        return self.signed["header"] if self.signed else {}

    @property
    def commit(self) -> dict[str, Any]:
        """The commit shown."""
        return self.signed["commit"] if self.signed else {}

    @property
    def ops(self) -> list[dict[str, Any]]:
        """The proofs shown."""
        ops: list[dict[str, Any]] = self.payload["proof_ops"]["ops"]
        return ops

    # -- an attacker's list ---------------------------------------------------------------------

    def evil_record(self) -> EpochRecord:
        """The record with the attacker's URL for everybody."""
        members = tuple(replace(one, inference_url=EVIL_URL) for one in self.record.members)
        return replace(self.record, members=members)

    def evil_chain(self) -> SyntheticChain:
        """A chain like the honest one, whose state holds the attacker's list."""
        return like(self.chain, {self.epoch: self.evil_record()})

    def foreign_chain(self) -> SyntheticChain:
        """A chain of the attacker's validators, with the attacker's list."""
        records = {**self.chain.book.records, self.epoch: self.evil_record()}
        foreign = {
            number: replace(
                one,
                members=tuple(
                    replace(who, validator_key=validator_public_key(f"attacker host {who.index}"))
                    for who in one.members
                ),
            )
            for number, one in records.items()
        }
        return like(self.chain, foreign, seed="attacker")

    def show_list(self, record: EpochRecord) -> None:
        """Put a record's list into the JSON."""
        self.payload["active_participants"] = record_json(record)

    def show_bytes(self, record: EpochRecord) -> None:
        """Put a record's list into the JSON and the bytes."""
        self.show_list(record)
        self.payload["active_participants_bytes"] = encode_record(record).hex()

    def show_ops(self, *ops: ProofOp) -> None:
        """Put proofs into the payload."""
        self.payload["proof_ops"] = proof_ops_json(ops)

    def sign_again(self, *, absent: Collection[int] = (), nil: Collection[int] = ()) -> None:
        """Let the true validators sign the true header, with some missing."""
        chain = self.chain
        commit = chain.signers.commit(
            chain.header(self.height),
            chain.validator_set(self.height),
            chain_id=chain.chain_id,
            absent=absent,
            nil=nil,
        )
        self.signed = {"header": self.header, "commit": commit_json(commit, "rpc")}

    def third(self) -> list[int]:
        """Fewest validators without whom not more than two thirds are left."""
        found = self.chain.validator_set(self.height)
        missing: list[int] = []
        for position in reversed(range(len(found))):
            left = sum(v.power for i, v in enumerate(found.validators) if i not in missing)
            if left * 3 > found.total_power * 2:
                missing.append(position)
        return missing


def like(
    chain: SyntheticChain, records: dict[int, EpochRecord] | None = None, **changes: Any
) -> SyntheticChain:
    """A chain with other records, another id or other keys, and the same times.

    Args:
        chain: The model.
        records: Records in place of the model's.
        changes: Arguments of `SyntheticChain`.
    """
    book = replace(chain.book, records={**chain.book.records, **(records or {})})
    arguments = {
        "chain_id": chain.chain_id,
        "seed": chain.seed,
        "guardians": chain.signers.guardians,
        **changes,
    }
    made = SyntheticChain(book, chain.clock_ns, **arguments)
    made.take_times(chain)
    made.observe()
    return made
