"""From a trust root along headers: the pure part of anchoring, shared by bundles and fetching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NotMonotonic, TrustMismatch
from .light import LightBlock, TrustedHeader, TrustPolicy, check_fresh, check_step
from .trust import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_path", "check_pin", "is_trusted"]


def check_path(
    trusted: TrustedHeader | Checkpoint,
    blocks: Sequence[LightBlock],
    now: float,
    policy: TrustPolicy,
) -> TrustedHeader:
    """Follow *blocks*, lowest first, from what is trusted; the last is the one to be trusted.

    Returns:
        The header that the path began at.

    Raises:
        TrustError, ValidatorSetMismatch: Trust does not carry that far.
    """
    if isinstance(trusted, Checkpoint):
        check_pin(trusted, blocks[0])
        trusted, blocks = TrustedHeader.of(blocks[0]), blocks[1:]
        check_fresh(trusted, now, policy)
    start = trusted
    for block in blocks:
        if is_trusted(trusted, block):
            check_fresh(trusted, now, policy)
        else:
            check_step(trusted, block, now, policy)
            trusted = TrustedHeader.of(block)
    return start


def check_pin(pin: Checkpoint, block: LightBlock) -> None:
    """Raise when *block* is not the pinned header."""
    if block.height != pin.height:
        raise NotMonotonic(
            f"checkpoint: the path begins at height {block.height}, not at {pin.height}"
        )
    if block.hash != pin.hash:
        raise TrustMismatch(
            f"checkpoint: header {block.height} has hash {block.hash.hex().upper()}, "
            f"the checkpoint says {pin.hash.hex().upper()}"
        )


def is_trusted(trusted: TrustedHeader, block: LightBlock) -> bool:
    """Whether *block* is the trusted header itself.

    Raises:
        TrustMismatch: It is another header at the same height.
    """
    if block.height != trusted.height:
        return False
    if block.hash != trusted.hash:
        raise TrustMismatch(
            f"trusted header: {block.height} has hash {block.hash.hex().upper()}, "
            f"trusted is {trusted.hash.hex().upper()}"
        )
    return True
