"""RefreshResult: what came of one look at the network."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RefreshResult"]


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What came of one refresh.

    Attributes:
        success: Whether the participants in use are those the network named.
        epoch_changed: Whether they are of another epoch than before.
        old_epoch: The epoch before, None when nothing was known.
        new_epoch: The epoch after.
        participants_added: How many are new.
        participants_removed: How many left.
        error: Why it failed; the participants from before stay in use.
    """

    success: bool
    epoch_changed: bool = False
    old_epoch: int | None = None
    new_epoch: int | None = None
    participants_added: int = 0
    participants_removed: int = 0
    error: Exception | None = None

    def raise_for_error(self) -> None:
        """Raises `error` if there is one."""
        if self.error is not None:
            raise self.error
