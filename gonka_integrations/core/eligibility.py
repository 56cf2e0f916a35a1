"""Which participants may be sent signed requests. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import GonkaNoParticipantsError
from .addresses import is_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from .participants import GonkaParticipant, ParticipantSet

__all__ = ["usable"]


def usable(
    found: ParticipantSet,
    allowed: frozenset[str] | None = None,
    refusal: Callable[[GonkaParticipant], str | None] = lambda _: None,
) -> ParticipantSet:
    """*found* with only those left that may be sent signed requests.

    Args:
        found: A decoded set.
        allowed: The chain's allowed transfer addresses; None or empty allows all.
        refusal: Says why a participant is not to be used, or None.

    Raises:
        GonkaNoParticipantsError: Nobody is left; says why the first ones are not.
    """
    models_known = any(one.models for one in found.participants)
    staying, dropped = [], []
    for one in found.participants:
        reason = _reason(one, found.excluded, allowed, models_known=models_known) or refusal(one)
        if reason is None:
            staying.append(one)
        else:
            dropped.append((one.address, reason))
    if not staying:
        reasons = "; ".join(f"{who}: {why}" for who, why in dropped[:3])
        raise GonkaNoParticipantsError(
            f"none of the {len(dropped)} participants of epoch {found.epoch_id} can be used: "
            f"{reasons}",
            source_url=found.source_url,
        )
    return replace(found, participants=tuple(staying), skipped=found.skipped + tuple(dropped))


def _reason(
    one: GonkaParticipant,
    excluded: frozenset[str],
    allowed: frozenset[str] | None,
    *,
    models_known: bool,
) -> str | None:
    if not is_address(one.address):
        return "its address is not spelt right, so nothing can be signed for it"
    if one.address in excluded:
        return "the chain excluded it in this epoch"
    if allowed and one.address not in allowed:
        return "the chain does not allow it to take requests (allowed_transfer_addresses)"
    if models_known and not one.models:
        return "it serves no model"
    return None
