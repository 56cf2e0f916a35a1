"""Epochs of the network: who took part when, and where the chain stands now.

Heights and stages follow gonka-ai/gonka `inference-chain/x/inference/types/epoch_context.go`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

from .epoch_params import BLOCK_SECONDS, EpochParams

FIRST_HEIGHT = 5_552_115
PHASES = ("PoCGenerate", "PoCGenerateWindDown", "PoCValidate", "PoCValidateWindDown", "Inference")
CONFIRMATION_STAGES = ("grace period", "generation", "validation")


@dataclass(frozen=True, slots=True)
class Member:
    """A participant as one epoch knows it.

    Attributes:
        index: Position in the network's `hosts`.
        address: gonka1… address, also its transfer address.
        validator_key: Ed25519 consensus key, 32 bytes.
        weight: Consensus weight.
        inference_url: Base URL, without /v1.
        models: Ids of the models it serves.
    """

    index: int
    address: str
    validator_key: bytes
    weight: int
    inference_url: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch_id: Counted from 1.
        poc_start: Height at which its proof of compute began.
        created_at: Height at which its participant set was stored.
        members: Participants.
        excluded: (address, reason, height) of those thrown out meanwhile.
    """

    epoch_id: int
    poc_start: int
    created_at: int
    members: tuple[Member, ...]
    excluded: tuple[tuple[str, str, int], ...] = ()

    @property
    def effective(self) -> int:
        """Height from which the set is in force."""
        return self.created_at + 2

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that somebody serves in this epoch, in order of first mention."""
        return tuple(dict.fromkeys(model for member in self.members for model in member.models))


@dataclass(slots=True)
class EpochBook:
    """History of the epochs and the present height.

    Args:
        params: Epoch parameters.
        now: Seconds, monotonic; drives the height.
    """

    params: EpochParams = field(default_factory=EpochParams)
    now: Callable[[], float] = time.monotonic
    records: dict[int, EpochRecord] = field(default_factory=dict)
    current_id: int = 0
    _anchor_height: int = FIRST_HEIGHT
    _anchor_time: float = 0.0

    @property
    def current(self) -> EpochRecord:
        """The epoch in force."""
        return self.records[self.current_id]

    def begin(self, epoch_id: int, members: tuple[Member, ...]) -> EpochRecord:
        """Put a new participant set in force now; the chain jumps to its effective height."""
        poc_start = FIRST_HEIGHT + (epoch_id - 1) * self.params.epoch_length
        record = EpochRecord(epoch_id, poc_start, poc_start + self.params.switch_delay, members)
        self.records[epoch_id] = record
        self.current_id = epoch_id
        self.move_to(record.effective)
        return record

    def exclude(self, address: str, reason: str) -> None:
        """Throw a participant out of the running epoch."""
        entry = (address, reason, self.height)
        self.records[self.current_id] = replace(
            self.current, excluded=(*self.current.excluded, entry)
        )

    def move_to(self, height: int) -> None:
        """Set the present height."""
        self._anchor_height = height
        self._anchor_time = self.now()

    def move_to_phase(self, name: str) -> None:
        """Move to the beginning of a phase: of this epoch for `Inference`, else of the next.

        Raises:
            ValueError: No such phase.
        """
        if name == "Inference":
            self.move_to(self.current.effective)
            return
        stages = self.stages(self.current_id + 1)
        self.move_to(stages[_STARTS[PHASES.index(name)]])

    def confirmation_event(self, stage: str) -> dict[str, Any]:
        """A confirmation proof-of-compute event of the running epoch, as nodes report it."""
        begun = self.current.effective + 1
        return {
            "epoch_index": self.current_id,
            "event_sequence": 1,
            "trigger_height": begun,
            "generation_start_height": begun + 20,
            "phase": CONFIRMATION_STAGES.index(stage) + 1,
            "poc_seed_block_hash": "9C1185A5" * 8,
        }

    @property
    def height(self) -> int:
        """Height of the latest block; never past the next change of participants."""
        grown = self._anchor_height + int((self.now() - self._anchor_time) / BLOCK_SECONDS)
        last = self.current.poc_start + self.params.epoch_length + self.params.switch_delay - 1
        return min(grown, max(last, self._anchor_height))

    def stages(self, epoch_id: int) -> dict[str, Any]:
        """Heights of every stage of an epoch."""
        p = self.params
        start = FIRST_HEIGHT + (epoch_id - 1) * p.epoch_length
        generated = start + p.poc_stage_duration
        validation = generated + p.poc_validation_delay
        validated = validation + p.poc_validation_duration
        following = start + p.epoch_length
        cutoff = following - min(200, p.epoch_length // 2)
        return {
            "epoch_index": epoch_id,
            "poc_start": start,
            "poc_generation_wind_down": start + p.poc_stage_duration * 8 // 10,
            "poc_generation_end": generated,
            "poc_validation_start": validation,
            "poc_validation_wind_down": validation + p.poc_validation_duration * 8 // 10,
            "poc_validation_end": validated,
            "set_new_validators": validated + p.set_new_validators_delay,
            "claim_money": validated + p.set_new_validators_delay + 1,
            "inference_validation_cutoff": cutoff,
            "next_poc_start": following,
            "poc_exchange_window": {"start": start + 1, "end": generated},
            "poc_validation_exchange_window": {"start": validation + 1, "end": validated},
        }

    def latest_id(self) -> int:
        """Epoch whose proof of compute has begun last: the next one while that runs."""
        following = self.current.poc_start + self.params.epoch_length
        return self.current_id + 1 if self.height >= following else self.current_id

    def phase(self) -> str:
        """Phase of the chain at the present height."""
        stages, height = self.stages(self.latest_id()), self.height
        for name, end in zip(PHASES, _ENDS, strict=False):
            if stages["poc_start"] <= height < stages[end]:
                return name
        return "Inference"


_STARTS = (
    "poc_start",
    "poc_generation_wind_down",
    "poc_validation_start",
    "poc_validation_wind_down",
)
_ENDS = (
    "poc_generation_wind_down",
    "poc_validation_start",
    "poc_validation_wind_down",
    "poc_validation_end",
)
