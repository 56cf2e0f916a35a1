"""The epoch: where the chain is in it, and when its participants change.

Source: ``GET /v1/epochs/latest`` (decentralized-api ``get_epoch.go``, inference-chain
``epoch_stages.go``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .json_fields import Fields, integer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BLOCK_SECONDS", "EpochInfo", "decode_epoch"]

#: Mean time between two blocks of the chain, in seconds.
BLOCK_SECONDS = 5.5

_CONFIRMATION_PHASES: Mapping[int, str] = {
    0: "CONFIRMATION_POC_INACTIVE",
    1: "CONFIRMATION_POC_GRACE_PERIOD",
    2: "CONFIRMATION_POC_GENERATION",
    3: "CONFIRMATION_POC_VALIDATION",
    4: "CONFIRMATION_POC_COMPLETED",
}
_STAGES = (
    "poc_start",
    "poc_generation_wind_down",
    "poc_generation_end",
    "poc_validation_start",
    "poc_validation_wind_down",
    "poc_validation_end",
    "set_new_validators",
    "claim_money",
    "inference_validation_cutoff",
    "next_poc_start",
)


@dataclass(frozen=True, slots=True)
class EpochInfo:
    """Where the chain is in its epoch. Heights are block heights.

    Attributes:
        block_height: Latest block.
        epoch: Index of the latest epoch. Until `set_new_validators` of its stages, the
            participants of the epoch before are in force.
        phase: "PoCGenerate", "PoCGenerateWindDown", "PoCValidate", "PoCValidateWindDown" or
            "Inference".
        stages: Stage -> height, of the latest epoch.
        next_stages: The same of the epoch to come.
        epoch_length: Blocks of an epoch, 0 when not said.
        confirmation_poc: Phase of a confirmation in the middle of the epoch, "" when there is none.
    """

    block_height: int
    epoch: int
    phase: str
    stages: Mapping[str, int]
    next_stages: Mapping[str, int]
    epoch_length: int = 0
    confirmation_poc: str = ""

    @property
    def participants_epoch(self) -> int:
        """The epoch whose participants are in force."""
        changes = self.stages.get("set_new_validators", 0)
        return self.epoch if self.block_height >= changes else max(1, self.epoch - 1)

    @property
    def next_change(self) -> int | None:
        """Height at which the next set of participants comes into force, None when not said."""
        heights = (
            stages.get("set_new_validators", 0) for stages in (self.stages, self.next_stages)
        )
        return next((height for height in heights if height > self.block_height), None)

    def seconds_to_change(self, block_seconds: float = BLOCK_SECONDS) -> float | None:
        """Seconds until `next_change`, estimated; None when that is not known."""
        height = self.next_change
        return None if height is None else (height - self.block_height) * block_seconds


def decode_epoch(payload: object, source_url: str | None = None) -> EpochInfo:
    """Where the chain is, in the shape of numbers or in that of v0.2.15.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    answer = Fields(payload, "the epoch", source_url)
    latest = answer.object("latest_epoch")
    if not answer.has("block_height") or not latest.has("index"):
        raise answer.wrong("has no block_height or no latest_epoch")
    params = answer.object("epoch_params")
    if params.has("epoch_params"):  # v0.2.15 puts all of the chain's parameters here
        params = params.object("epoch_params")
    return EpochInfo(
        block_height=answer.integer("block_height"),
        epoch=latest.integer("index"),
        phase=answer.text("phase"),
        stages=_stages(answer.object("epoch_stages")),
        next_stages=_stages(answer.object("next_epoch_stages")),
        epoch_length=params.integer("epoch_length"),
        confirmation_poc=_confirmation(answer),
    )


def _stages(stages: Fields) -> dict[str, int]:
    return {name: stages.integer(name) for name in _STAGES if stages.has(name)}


def _confirmation(answer: Fields) -> str:
    if not answer.flag("is_confirmation_poc_active"):
        return ""
    phase = answer.object("active_confirmation_poc_event").anything("phase")
    number = integer_of(0 if phase is None else phase)
    return (
        phase
        if number is None and isinstance(phase, str)
        else _CONFIRMATION_PHASES.get(number or 0, "")
    )
