"""Protobuf wire format: strict bounded reading, canonical writing.

Only what consensus messages need: varints, 64-bit fixed fields and length-delimited fields.
Reading refuses everything that a canonical encoder does not write (overlong varints, groups,
fields that run past the end), so that a message has one accepted encoding of each field.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from .errors import MalformedPayload

__all__ = [
    "Fields",
    "as_int64",
    "bytes_field",
    "fixed64_field",
    "read_fields",
    "read_zigzag",
    "single",
    "uvarint",
    "varint_field",
    "zigzag",
]

Fields: TypeAlias = list[tuple[int, int, int | bytes]]
"""Field number, wire type, value: an int for types 0, 1 and 5, bytes for type 2."""

VARINT: Final = 0
FIXED64: Final = 1
DELIMITED: Final = 2
FIXED32: Final = 5

_MAX_VARINT_BYTES: Final = 10
_MAX_FIELD_NUMBER: Final = (1 << 29) - 1
_UINT64: Final = 1 << 64


def read_fields(data: bytes, what: str, *, limit: int = 100_000) -> Fields:
    """Split one message into its fields, in the order they are written.

    Args:
        data: The message, without a length prefix.
        what: Name of the message, for the error.
        limit: Most fields accepted.

    Raises:
        MalformedPayload: The bytes are no canonical protobuf message.
    """
    fields: Fields = []
    position, end = 0, len(data)
    while position < end:
        tag, position = _read_uvarint(data, position, what)
        number, kind = tag >> 3, tag & 7
        if not 0 < number <= _MAX_FIELD_NUMBER:
            raise MalformedPayload(f"{what}: field number {number} at byte {position} is not valid")
        value: int | bytes
        if kind == DELIMITED:
            size, start = _read_uvarint(data, position, what)
            position = start + size
            value = data[start:position]
        elif kind == VARINT:
            value, position = _read_uvarint(data, position, what)
        elif kind in (FIXED64, FIXED32):
            start, position = position, position + (8 if kind == FIXED64 else 4)
            value = int.from_bytes(data[start:position], "little")
        else:
            raise MalformedPayload(f"{what}: wire type {kind} of field {number} is not supported")
        if position > end:
            raise MalformedPayload(f"{what}: field {number} runs past the end ({position} > {end})")
        fields.append((number, kind, value))
        if len(fields) > limit:
            raise MalformedPayload(f"{what}: more than {limit} fields")
    return fields


def _read_uvarint(data: bytes, position: int, what: str) -> tuple[int, int]:
    try:
        byte = data[position]
        if byte < 0x80:  # noqa: PLR2004 - the common one-byte case
            return byte, position + 1
        value, shift, start = byte & 0x7F, 7, position
        while True:
            position += 1
            byte = data[position]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - no continuation bit
                break
            shift += 7
            if position - start >= _MAX_VARINT_BYTES:
                raise MalformedPayload(f"{what}: varint at byte {start} is too long")
    except IndexError:
        raise MalformedPayload(f"{what}: cut off inside a varint at byte {len(data)}") from None
    if byte == 0 or value >= _UINT64:
        raise MalformedPayload(f"{what}: varint at byte {start} is not canonical")
    return value, position + 1


def read_zigzag(data: bytes, position: int, what: str) -> tuple[int, int]:
    """Read one zig-zag varint; returns the value and the position after it."""
    raw, position = _read_uvarint(data, position, what)
    return (raw >> 1) ^ -(raw & 1), position


def single(fields: Fields, kinds: dict[int, int], what: str) -> dict[int, int | bytes]:
    """The fields of a message in which each field occurs at most once and none is unknown.

    Args:
        fields: What `read_fields` returned.
        kinds: Wire type of every known field number.
        what: Name of the message, for the error.

    Raises:
        MalformedPayload: A field is unknown, repeated or has another wire type.
    """
    found: dict[int, int | bytes] = {}
    for number, kind, value in fields:
        if kinds.get(number) != kind:
            raise MalformedPayload(f"{what}: unexpected field {number} of wire type {kind}")
        if number in found:
            raise MalformedPayload(f"{what}: field {number} occurs twice")
        found[number] = value
    return found


def as_int64(value: int) -> int:
    """The signed reading of a 64-bit varint."""
    return value - _UINT64 if value >= _UINT64 >> 1 else value


def uvarint(value: int) -> bytes:
    """A varint; negative values in 64-bit two's complement, as protobuf's int64."""
    value %= _UINT64
    out = bytearray()
    while value >= 0x80:  # noqa: PLR2004 - seven bits at a time
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> bytes:
    """A zig-zag varint, as Go's `binary.PutVarint`."""
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)


def varint_field(number: int, value: int) -> bytes:
    """A varint field; empty for zero, as proto3 omits default values."""
    return uvarint(number << 3 | VARINT) + uvarint(value) if value else b""


def fixed64_field(number: int, value: int) -> bytes:
    """An sfixed64 field; empty for zero."""
    if not value:
        return b""
    return uvarint(number << 3 | FIXED64) + value.to_bytes(8, "little", signed=True)


def bytes_field(number: int, value: bytes, *, always: bool = False) -> bytes:
    """A length-delimited field; empty for empty bytes unless *always* (non-nullable messages)."""
    if not value and not always:
        return b""
    return uvarint(number << 3 | DELIMITED) + uvarint(len(value)) + value
