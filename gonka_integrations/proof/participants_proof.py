"""The proven record: `ActiveParticipants` bytes, and what may become endpoints.

Only what is decoded from the bytes under the proof is used. The JSON list beside them must say the
same; exclusions are an unproven hint, which can shrink the list and never add to it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..core.participants import ParticipantSet, decode_participants
from .errors import EpochMismatch, MalformedPayload, ParticipantsMismatch
from .json_values import as_integer, as_list, as_object, as_text
from .wire import DELIMITED, VARINT, as_int64, read_fields

__all__ = ["ActiveParticipants", "StateLayout", "check_epoch", "check_json_list", "decode_record"]

MAX_PARTICIPANTS: Final = 20_000
MAX_FIELDS: Final = 100_000  # of one participant, so also models
MAX_TEXT: Final = 1 << 20
_NAMES: Final = ("index", "validator_key", "weight", "inference_url", "models")
_REPLACED: Final = "\ufffd"  # stands for bytes that are no text; nodes show them in their own ways
_HEIGHTS: Final = {
    2: "epoch_group_id",
    3: "poc_start_block_height",
    4: "effective_block_height",
    5: "created_at_block_height",
    6: "epoch_id",
}


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Where the chain keeps what is proven; consensus state, so only an upgrade moves it."""

    store: str = "inference"
    record_prefix: bytes = b"ActiveParticipants/value/"
    record_suffix: bytes = b"/"
    effective_epoch_key: bytes = b"\x0c"  # collections prefix 12, value: uint64 big-endian

    def record_key(self, epoch: int) -> bytes:
        """Key of an epoch's participants: prefix ‖ uint64 big-endian ‖ suffix."""
        return self.record_prefix + epoch.to_bytes(8, "big") + self.record_suffix


class RecordedParticipant(NamedTuple):
    """One participant as the chain has it; the network calls the address `index`."""

    address: str
    validator_key: str
    weight: int
    inference_url: str
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ActiveParticipants:
    """A decoded record."""

    participants: tuple[RecordedParticipant, ...]
    epoch_group_id: int = 0
    poc_start_block_height: int = 0
    effective_block_height: int = 0
    created_at_block_height: int = 0
    epoch_id: int = 0

    def to_set(self, excluded: object, source_url: str, *, verified: bool) -> ParticipantSet:
        """The participants as the rest of the package knows them.

        Args:
            excluded: The payload's `excluded_participants`, an unproven hint.
            source_url: Where the payload came from.
            verified: Whether every check up to a trust root holds.
        """
        active: dict[str, Any] = {name: getattr(self, name) for name in _HEIGHTS.values()}
        active["participants"] = [
            {**dict(zip(_NAMES, one, strict=True)), "models": list(one.models)}
            for one in self.participants
        ]
        payload = {"active_participants": active, "excluded_participants": excluded}
        decoded = decode_participants(payload, source_url=source_url)
        return dataclasses.replace(decoded, verified=verified)


def decode_record(data: bytes) -> ActiveParticipants:
    """Decode the protobuf of `inference.inference.ActiveParticipants`; unknown fields are skipped.

    Raises:
        MalformedPayload: The bytes are no such message, or list more than 20,000 participants.
    """
    what = "active_participants_bytes"
    participants: list[RecordedParticipant] = []
    numbers: dict[str, int] = {}
    for number, kind, value in read_fields(data, what, limit=MAX_PARTICIPANTS + 100):
        if number == 1:
            if not isinstance(value, bytes) or kind != DELIMITED:
                raise MalformedPayload(f"{what}: participant {len(participants)} is no message")
            participants.append(_participant(value, f"{what}: participant {len(participants)}"))
        elif number in _HEIGHTS:
            name = _HEIGHTS[number]
            if not isinstance(value, int) or kind != VARINT or name in numbers:
                raise MalformedPayload(f"{what}: {name} is not one number")
            numbers[name] = as_int64(value)
    if len(participants) > MAX_PARTICIPANTS:
        raise MalformedPayload(f"{what}: {len(participants)} participants are too many")
    return ActiveParticipants(tuple(participants), **numbers)


def _participant(data: bytes, what: str) -> RecordedParticipant:
    texts = {1: "", 2: "", 4: ""}
    weight = 0
    models: list[str] = []
    for number, kind, value in read_fields(data, what, limit=MAX_FIELDS):
        if number in (1, 2, 4, 5):
            if kind != DELIMITED or not isinstance(value, bytes):
                raise MalformedPayload(f"{what}: field {number} is no text")
            # A host chooses these texts: bad UTF-8 must cost it its own place, not all theirs.
            text = value.decode(errors="replace")
            if number == 5:  # noqa: PLR2004 - models
                models.append(text)
            else:
                texts[number] = text
        elif number == 3:  # noqa: PLR2004 - weight
            if kind != VARINT or not isinstance(value, int):
                raise MalformedPayload(f"{what}: weight is no number")
            weight = as_int64(value)
    return RecordedParticipant(texts[1], texts[2], weight, texts[4], tuple(models))


def check_epoch(record: ActiveParticipants, epoch: int | None) -> int:
    """The record's epoch, which must be *epoch* unless that is None (whatever is current).

    Raises:
        EpochMismatch: Another epoch, or a record from before epochs were recorded.
    """
    found = record.epoch_id
    if found <= 0 or (epoch is not None and found != epoch):
        wanted = "a recorded one" if epoch is None else epoch
        raise EpochMismatch(f"epoch: the bytes are of epoch {found}, not of {wanted}")
    return found


def check_json_list(record: ActiveParticipants, shown: object) -> None:
    """Compare the payload's `active_participants` with the record.

    Raises:
        ParticipantsMismatch: They differ; names the first field that does.
        MalformedPayload: The JSON has the wrong shape.
    """
    what = "active_participants"
    fields = as_object(shown, what)
    for name in _HEIGHTS.values():
        found = as_integer(fields.get(name, 0), f"{what}.{name}")
        if found != getattr(record, name):
            raise ParticipantsMismatch(
                f"{what}.{name}: JSON says {found}, the proven bytes say {getattr(record, name)}"
            )
    entries = as_list(fields.get("participants"), f"{what}.participants", MAX_PARTICIPANTS)
    if len(entries) != len(record.participants):
        raise ParticipantsMismatch(
            f"{what}.participants: JSON lists {len(entries)}, "
            f"the proven bytes {len(record.participants)}"
        )
    for position, (entry, proven) in enumerate(zip(entries, record.participants, strict=True)):
        claimed = _shown_participant(entry, f"{what}.participants[{position}]")
        for name, ours, theirs in zip(_NAMES, proven, claimed, strict=True):
            if ours != theirs and _REPLACED not in str(ours):
                raise ParticipantsMismatch(
                    f"{what}.participants[{position}].{name}: JSON says {str(theirs)[:200]!r}, "
                    f"the proven bytes say {str(ours)[:200]!r}"
                )


def _shown_participant(value: Any, what: str) -> RecordedParticipant:
    fields = as_object(value, what)
    models = as_list(fields.get("models"), f"{what}.models", MAX_FIELDS)
    return RecordedParticipant(
        as_text(fields.get("index", ""), f"{what}.index", MAX_TEXT),
        as_text(fields.get("validator_key", ""), f"{what}.validator_key", MAX_TEXT),
        as_integer(fields.get("weight", 0), f"{what}.weight"),
        as_text(fields.get("inference_url", ""), f"{what}.inference_url", MAX_TEXT),
        tuple(as_text(model, f"{what}.models", MAX_TEXT) for model in models),
    )
