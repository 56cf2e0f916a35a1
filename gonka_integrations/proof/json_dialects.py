"""CometBFT values out of the two JSON dialects that nodes write.

`encoding/json` of CometBFT's own types (hashes in upper-case hex, enums as numbers; the RPC always
answers in it, with 64-bit integers as strings), and protojson of the SDK's block (hashes in base64,
enums by name, `part_set_header`, the proposer as `gonkavalcons1…`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import bech32

from .cometbft import (
    FLAG_ABSENT,
    FLAG_COMMIT,
    FLAG_NIL,
    BlockId,
    Commit,
    CommitSig,
    Header,
    SignedHeader,
    Timestamp,
    Validator,
)
from .errors import MalformedPayload
from .json_values import (
    as_integer,
    as_list,
    as_object,
    as_text,
    as_time,
    excerpt,
    from_base64,
    from_hex,
)
from .store_proof import ProofOp

__all__ = ["read_commit", "read_header", "read_proof_ops", "read_signed_header", "read_validators"]

MAX_VALIDATORS: Final = 10_000
_MAX_INT32: Final = (1 << 31) - 1
_HASH_SIZES: Final = (0, 32)
_ADDRESS_SIZES: Final = (0, 20)
_KEY_TYPES: Final = {
    "tendermint/PubKeyEd25519": "value",
    "/cosmos.crypto.ed25519.PubKey": "key",
}
_FLAG_NAMES: Final = {
    "BLOCK_ID_FLAG_ABSENT": FLAG_ABSENT,
    "BLOCK_ID_FLAG_COMMIT": FLAG_COMMIT,
    "BLOCK_ID_FLAG_NIL": FLAG_NIL,
}

_Decoder: TypeAlias = Callable[[Any, str], bytes]


def read_header(value: Any, what: str = "header") -> Header:
    """A block header in either dialect.

    Raises:
        MalformedPayload: A field is missing, or has the wrong type or size.
    """
    fields = as_object(value, what)
    decode = _dialect(fields.get("validators_hash"), f"{what}.validators_hash")

    def hash_of(name: str) -> bytes:
        return _sized(decode, fields.get(name), f"{what}.{name}", _HASH_SIZES)

    version = as_object(fields.get("version", {}), f"{what}.version")
    app_hash = decode(fields.get("app_hash"), f"{what}.app_hash")
    return Header(
        version_block=as_integer(version.get("block", 0), f"{what}.version.block", 0),
        version_app=as_integer(version.get("app", 0), f"{what}.version.app", 0),
        chain_id=as_text(fields.get("chain_id"), f"{what}.chain_id", 50),
        height=as_integer(fields.get("height"), f"{what}.height", 1),
        time=as_time(fields.get("time"), f"{what}.time"),
        last_block_id=_block_id(fields.get("last_block_id"), f"{what}.last_block_id", decode),
        last_commit_hash=hash_of("last_commit_hash"),
        data_hash=hash_of("data_hash"),
        validators_hash=hash_of("validators_hash"),
        next_validators_hash=hash_of("next_validators_hash"),
        consensus_hash=hash_of("consensus_hash"),
        app_hash=app_hash,
        last_results_hash=hash_of("last_results_hash"),
        evidence_hash=hash_of("evidence_hash"),
        proposer_address=_proposer(fields.get("proposer_address"), what, decode),
    )


def read_commit(value: Any, what: str = "commit") -> Commit:
    """A commit in either dialect.

    Raises:
        MalformedPayload: A field is missing, or has the wrong type or size.
    """
    fields = as_object(value, what)
    block_id = as_object(fields.get("block_id"), f"{what}.block_id")
    decode = _dialect(block_id.get("hash"), f"{what}.block_id.hash")
    signatures = as_list(fields.get("signatures"), f"{what}.signatures", MAX_VALIDATORS)
    return Commit(
        height=as_integer(fields.get("height"), f"{what}.height", 1),
        round=as_integer(fields.get("round", 0), f"{what}.round", 0, _MAX_INT32),
        block_id=_block_id(block_id, f"{what}.block_id", decode),
        signatures=tuple(
            _commit_sig(one, f"{what}.signatures[{position}]", decode)
            for position, one in enumerate(signatures)
        ),
    )


def read_signed_header(value: Any, what: str = "signed header") -> SignedHeader:
    """The `signed_header` of an RPC answer to `commit`."""
    fields = as_object(value, what)
    return SignedHeader(read_header(fields.get("header")), read_commit(fields.get("commit")))


def read_validators(value: Any, what: str = "validators") -> tuple[Validator, ...]:
    """A list of validators, of the RPC, of a payload, or of the SDK's protojson."""
    entries = as_list(value, what, MAX_VALIDATORS)
    return tuple(_validator(one, f"{what}[{position}]") for position, one in enumerate(entries))


def read_proof_ops(value: Any, what: str = "proof_ops") -> tuple[ProofOp, ...]:
    """The operations of a `ProofOps` object."""
    ops = as_list(as_object(value, what).get("ops"), f"{what}.ops", 8)
    return tuple(
        ProofOp(
            as_text(op.get("type"), f"{what}.ops[{position}].type", 64),
            from_base64(op.get("key"), f"{what}.ops[{position}].key"),
            from_base64(op.get("data"), f"{what}.ops[{position}].data"),
        )
        for position, op in enumerate(as_object(op, f"{what}.ops") for op in ops)
    )


def _dialect(hash_text: Any, what: str) -> _Decoder:
    """How this object spells bytes, told from one of its 32-byte hashes."""
    if hash_text is None or as_text(hash_text, what, 64) == "":
        return _hex_or_empty
    return _hex_or_empty if len(hash_text) == 64 else from_base64  # noqa: PLR2004


def _hex_or_empty(value: Any, what: str) -> bytes:
    return b"" if value is None else from_hex(value, what, 256)


def _sized(decode: _Decoder, value: Any, what: str, sizes: tuple[int, ...]) -> bytes:
    data = decode(value, what)
    if len(data) not in sizes:
        raise MalformedPayload(f"{what}: has {len(data)} bytes, not {sizes[-1]}")
    return data


def _block_id(value: Any, what: str, decode: _Decoder) -> BlockId:
    if value is None:
        return BlockId()
    fields = as_object(value, what)
    parts = fields.get("parts", fields.get("part_set_header"))
    parts = as_object({} if parts is None else parts, f"{what}.parts")
    return BlockId(
        _sized(decode, fields.get("hash"), f"{what}.hash", _HASH_SIZES),
        as_integer(parts.get("total", 0), f"{what}.parts.total", 0, 2 * _MAX_INT32 + 1),
        _sized(decode, parts.get("hash"), f"{what}.parts.hash", _HASH_SIZES),
    )


def _commit_sig(value: Any, what: str, decode: _Decoder) -> CommitSig:
    fields = as_object(value, what)
    flag = fields.get("block_id_flag")
    named = _FLAG_NAMES.get(flag) if isinstance(flag, str) else None
    time = fields.get("timestamp")
    return CommitSig(
        flag=as_integer(flag, f"{what}.block_id_flag", 0, 255) if named is None else named,
        address=_sized(
            decode, fields.get("validator_address"), f"{what}.validator_address", _ADDRESS_SIZES
        ),
        timestamp=Timestamp() if time is None else as_time(time, f"{what}.timestamp"),
        signature=from_base64(fields.get("signature"), f"{what}.signature", 256),
    )


def _validator(value: Any, what: str) -> Validator:
    fields = as_object(value, what)
    power = fields.get("voting_power", fields.get("power"))
    validator = Validator(
        _public_key(fields.get("pub_key"), f"{what}.pub_key"),
        as_integer(power, f"{what}.voting_power", 1),
    )
    address = fields.get("address")
    spelt_hex = isinstance(address, str) and len(address) == 40  # noqa: PLR2004 - else bech32
    if spelt_hex and from_hex(address, f"{what}.address") != validator.address:
        raise MalformedPayload(f"{what}.address: {address} is not the key's address")
    return validator


def _public_key(value: Any, what: str) -> bytes:
    if isinstance(value, dict):
        kind = value.get("type", value.get("@type"))
        if not isinstance(kind, str) or kind not in _KEY_TYPES:
            raise MalformedPayload(f"{what}: {excerpt(kind, 60)!r} is not an Ed25519 key")
        value = value.get(_KEY_TYPES[kind])
    key = from_base64(value, what, 64)
    if len(key) != 32:  # noqa: PLR2004 - Ed25519
        raise MalformedPayload(f"{what}: has {len(key)} bytes, not 32")
    return key


def _proposer(value: Any, what: str, decode: _Decoder) -> bytes:
    what = f"{what}.proposer_address"
    if isinstance(value, str) and "valcons1" in value:
        _, groups = bech32.bech32_decode(as_text(value, what, 90))
        data = bech32.convertbits(groups, 5, 8, False) if groups else None
        if data is None or len(data) != _ADDRESS_SIZES[-1]:
            raise MalformedPayload(f"{what}: {value[:60]!r} is no consensus address")
        return bytes(data)
    return _sized(decode, value, what, _ADDRESS_SIZES)
