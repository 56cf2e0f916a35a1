"""Participant records as the chain stores them: protobuf of `inference.inference`."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

from ..proof.wire import bytes_field, varint_field

if TYPE_CHECKING:
    from .epochs import EpochRecord, Member

PREFIX = b"ActiveParticipants/value/"
EFFECTIVE_EPOCH_KEY = b"\x0c"


def record_key(epoch_id: int) -> bytes:
    """Key of an epoch's participants in the inference store."""
    return PREFIX + epoch_id.to_bytes(8, "big") + b"/"


def encode_record(record: EpochRecord) -> bytes:
    """`ActiveParticipants`."""
    return (
        b"".join(bytes_field(1, _participant(member, record)) for member in record.members)
        + varint_field(2, record.epoch_id)
        + varint_field(3, record.poc_start)
        + varint_field(4, record.effective)
        + varint_field(5, record.created_at)
        + varint_field(6, record.epoch_id)
    )


def _participant(member: Member, record: EpochRecord) -> bytes:
    signature = hashlib.sha512(f"{member.address} {record.epoch_id}".encode()).hexdigest()
    seed = (
        bytes_field(1, member.address.encode())
        + varint_field(2, record.epoch_id)
        + bytes_field(3, signature.encode())
    )
    node = (
        bytes_field(1, f"node{member.index}".encode())
        + varint_field(3, member.weight)
        + bytes_field(4, b"\x01\x00")
    )
    return (
        bytes_field(1, member.address.encode())
        + bytes_field(2, base64.b64encode(member.validator_key))
        + varint_field(3, member.weight)
        + bytes_field(4, member.inference_url.encode())
        + b"".join(bytes_field(5, model.encode()) for model in member.models)
        + bytes_field(6, seed)
        + bytes_field(7, bytes_field(1, node)) * len(member.models)
    )


def record_json(record: EpochRecord) -> dict[str, Any]:
    """`active_participants` of a payload, with what is proven of it."""
    return {
        "participants": [
            {
                "index": member.address,
                "validator_key": base64.b64encode(member.validator_key).decode(),
                "weight": member.weight,
                "inference_url": member.inference_url,
                "models": list(member.models),
            }
            for member in record.members
        ],
        "epoch_group_id": record.epoch_id,
        "poc_start_block_height": record.poc_start,
        "effective_block_height": record.effective,
        "created_at_block_height": record.created_at,
        "epoch_id": record.epoch_id,
    }
