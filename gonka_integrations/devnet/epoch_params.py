"""The chain's epoch parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BLOCK_SECONDS = 5.5
"""Usual time between blocks."""


@dataclass(frozen=True, slots=True)
class EpochParams:
    """The chain's epoch parameters, in blocks. Defaults are those of mainnet.

    Attributes:
        epoch_length: Blocks from one proof-of-compute start to the next.
        poc_stage_duration: Blocks of generation.
        poc_validation_delay: Blocks between generation and validation.
        poc_validation_duration: Blocks of validation.
        set_new_validators_delay: Blocks from the end of validation to the new participant set.
    """

    epoch_length: int = 15391
    poc_stage_duration: int = 35
    poc_validation_delay: int = 5
    poc_validation_duration: int = 240
    set_new_validators_delay: int = 120

    @property
    def switch_delay(self) -> int:
        """Blocks from the start of proof of compute to the new participant set."""
        return (
            self.poc_stage_duration
            + self.poc_validation_delay
            + self.poc_validation_duration
            + self.set_new_validators_delay
        )

    @classmethod
    def of_seconds(cls, seconds: float) -> EpochParams:
        """Parameters of epochs that last about *seconds* at the usual block time.

        Their proof of compute takes no blocks: it would fill a short epoch, and gateways would
        never serve.
        """
        length = max(5, round(seconds / BLOCK_SECONDS))
        return cls(length, 0, 0, 0, 0)

    def as_dict(self) -> dict[str, Any]:
        """As a node reports them."""
        return {
            "epoch_length": self.epoch_length,
            "epoch_multiplier": 1,
            "epoch_shift": 2199,
            "default_unit_of_compute_price": 100,
            "poc_stage_duration": self.poc_stage_duration,
            "poc_validation_delay": self.poc_validation_delay,
            "poc_validation_duration": self.poc_validation_duration,
            "set_new_validators_delay": self.set_new_validators_delay,
            "inference_validation_cutoff": min(200, self.epoch_length // 2),
            "inference_pruning_epoch_threshold": 2,
            "inference_pruning_max": 5000,
            "poc_pruning_max": 1000,
            "poc_slot_allocation": {"value": 5, "exponent": -1},
            "confirmation_poc_safety_window": min(500, self.epoch_length // 2),
        }
