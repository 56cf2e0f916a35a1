"""The two ways to prove a list: by the recent state of the chain, or by the payload's own proofs.

The recent state is better: it works on nodes that have pruned old states, its header is seconds
old, and it proves which epoch is the current one. The payload's proofs are from when its epoch
began, so only their header's age speaks against a replay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from .anchoring import Asking
from .claims import check_age, check_app_hash, note_proof, prove_claim, read_claim
from .errors import (
    EpochMismatch,
    MalformedPayload,
    MissingSignedHeader,
    NotServed,
    ProofCheckError,
    SourcesDisagree,
    StaleEpoch,
    TrustExpired,
)
from .json_values import as_integer, as_object, load_json
from .node_reader import NodeReader, StateAnswer, Steps
from .participants_proof import ActiveParticipants, check_epoch, check_json_list, decode_record
from .payload_hints import note_payload_block
from .store_proof import prove_record
from .verification import note_block

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..core.participants import ParticipantSet
    from .claims import Claim
    from .light import LightBlock
    from .report import Report
    from .verifier import Verifier

__all__ = ["Run"]

_T = TypeVar("_T")
_EPOCH_BYTES: Final = 8
# Another source cannot help: the trust root itself is at fault.
_FINAL: Final = (SourcesDisagree, TrustExpired)


class _Proven(NamedTuple):
    record: ActiveParticipants
    epoch: int


class Run:
    """One verification.

    Args:
        verifier: Trust root, rules and memory.
        sources: Nodes to ask, in order.
        epoch: The epoch asked for; None for the current one.
        report: Receives the evidence.
    """

    def __init__(
        self, verifier: Verifier, sources: Sequence[str], epoch: int | None, report: Report
    ) -> None:
        self.report = report
        self._verifier = verifier
        self._sources = sources
        self._epoch = epoch
        self._rules = verifier.rules
        self._now = verifier.clock()
        self._reader = NodeReader(verifier.rules.chain_id)
        self._failures: list[ProofCheckError] = []

    def prove(self, payload: bytes | Mapping[str, Any], source_url: str) -> Steps[ParticipantSet]:
        """See `Verifier.steps`."""
        shown = as_object(
            load_json(payload, "payload") if isinstance(payload, bytes) else dict(payload),
            "payload",
        )
        for trusted in self._verifier.store.headers():
            self._reader.know(trusted.validators)
        record = yield from self._by_state(shown)
        if record is None:
            record = yield from self._by_payload(shown)
        if self._epoch is None:
            self._check_epoch_order(record.epoch_id)
            self._verifier.store.remember((), record.epoch_id)
        return record.to_set(shown.get("excluded_participants"), source_url, verified=True)

    def _check_epoch_order(self, epoch: int) -> None:
        """Epochs do not come back: what was current before a later one is a replay."""
        known = self._verifier.store.epoch
        if self._epoch is None and epoch < known:
            raise StaleEpoch(f"freshness: epoch {epoch} is over, epoch {known} was proven before")

    # -- the recent state -----------------------------------------------------------------------

    def _by_state(self, shown: dict[str, Any]) -> Steps[ActiveParticipants | None]:
        """The record by recent state; None when no source proves it, or an older epoch only.

        Raises:
            ParticipantsMismatch, StaleEpoch: What is proven contradicts the payload.
        """
        for source in self._sources:
            if not self._verifier.serves_state(source):
                continue
            proven = yield from self._attempt(self._prove_state(source))
            if proven is None:
                if isinstance(self._failures[-1], NotServed):
                    self._verifier.note_stateless(source)
                continue
            if self._is_behind(proven, shown):
                return None
            check_json_list(proven.record, shown.get("active_participants"))
            self.report.add("list", "the JSON list is what the record says")
            return proven.record
        return None

    def _is_behind(self, proven: _Proven, shown: dict[str, Any]) -> bool:
        """Whether the payload is of a newer epoch than the recent state, as around a change."""
        active = as_object(shown.get("active_participants"), "active_participants")
        claimed = as_integer(active.get("epoch_id", 0), "active_participants.epoch_id")
        if claimed == proven.epoch:
            return False
        if self._epoch is not None:
            raise EpochMismatch(f"epoch: the payload is of epoch {claimed}, not {self._epoch}")
        if claimed < proven.epoch:
            raise StaleEpoch(
                f"freshness: the payload is of epoch {claimed}, the chain is in {proven.epoch}"
            )
        self.report.skip("epoch", f"the recent state is of {proven.epoch}, before {claimed}")
        return True

    def _prove_state(self, source: str) -> Steps[_Proven]:
        """Epoch and record, proven by one header that is anchored and seconds old."""
        layout = self._rules.layout
        height = yield from self._reader.latest_height(source)
        epoch = self._epoch
        answers: list[tuple[str, bytes, StateAnswer]] = []
        if epoch is None:
            key = layout.effective_epoch_key
            index = yield from self._reader.state(source, layout.store, key, height)
            if len(index.value) != _EPOCH_BYTES:
                raise MalformedPayload(f"recent state: {index.value[:16].hex()} is no epoch")
            epoch = int.from_bytes(index.value, "big")
            answers.append(("the number of the current epoch", key, index))
        key = layout.record_key(epoch)
        answer = yield from self._reader.state(source, layout.store, key, height)
        answers.append((f"the record of epoch {epoch}", key, answer))
        block = yield from self._reader.light_block(source, height + 1)
        self._check_recent(block, source)
        for what, key, found in answers:
            proof = prove_record(found.ops, layout.store, key, found.value)
            note_proof(proof, layout, what, self.report)
            check_app_hash(proof, block, self.report)
        record = decode_record(answer.value)
        check_epoch(record, epoch)
        yield from self._anchored(block, source)
        if self._epoch is None:
            self.report.add("epoch", f"{epoch} is the current one in the state of {height}")
        self.report.add("record", f"{len(record.participants)} participants of epoch {epoch}")
        return _Proven(record, epoch)

    def _check_recent(self, block: LightBlock, source: str) -> None:
        note_block(block, self.report, source)
        age = self._now - block.header.time.unix
        if age > self._rules.max_state_age:
            raise MissingSignedHeader(
                f"recent state: the newest header of {source} is {age / 60:.0f} minutes old"
            )

    # -- the payload's proofs -------------------------------------------------------------------

    def _by_payload(self, shown: dict[str, Any]) -> Steps[ActiveParticipants]:
        """The record by the proofs beside it and the header after the record's height."""
        claim = read_claim(shown, self._epoch, self.report)
        self._check_epoch_order(claim.epoch)
        proof = prove_claim(claim, self._rules.layout, self.report)
        for source in self._sources:
            block = yield from self._attempt(self._signed(source, claim))
            if block is None:
                continue
            # The header is anchored: whatever differs now is the payload's fault.
            check_app_hash(proof, block, self.report)
            if self._epoch is None:
                check_age(block, claim.epoch, self._now, self._rules.max_age, self.report)
            return claim.record
        telling = [one for one in self._failures if not isinstance(one, MissingSignedHeader)]
        if telling:
            raise telling[0]
        height, chain_id = claim.header_height, self._rules.chain_id
        note_payload_block(shown, proof.app_hash, height, chain_id, self.report)
        last = f" ({self._failures[-1]})" if self._failures else ""
        raise MissingSignedHeader(
            f"signed header: no source shows the commit for height {height}, and the payload's own "
            f"is for height {height - 1} and signs nothing of what is proven{last}"
        )

    def _signed(self, source: str, claim: Claim) -> Steps[LightBlock]:
        block = yield from self._reader.light_block(source, claim.header_height)
        note_block(block, self.report, source)
        yield from self._anchored(block, source)
        return block

    # -- both -----------------------------------------------------------------------------------

    def _anchored(self, block: LightBlock, source: str) -> Steps[None]:
        return self._verifier.anchor.steps(
            block, Asking(source, self._reader, self._now, self.report)
        )

    def _attempt(self, steps: Steps[_T]) -> Steps[_T | None]:
        """The result of *steps*, or None with the failure noted: the next source may do better."""
        try:
            return (yield from steps)
        except _FINAL:
            raise
        except ProofCheckError as error:
            self._failures.append(error)
            self.report.skip(type(error).__name__, str(error))
            return None
