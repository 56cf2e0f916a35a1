"""Headers, commits and validators in the JSON dialects of real nodes.

`comet`: CometBFT's types with numbers, as the participants payload has them. `rpc`: the same with
64-bit integers as strings. `proto`: the SDK's protojson, of payloads of v0.2.15.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import bech32

from ..proof.cometbft import FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..proof.cometbft import BlockId, Commit, Header, Timestamp, Validator
    from ..proof.store_proof import ProofOp

BlockDialect: TypeAlias = Literal["comet", "rpc", "proto"]

_FLAGS = {
    FLAG_ABSENT: "BLOCK_ID_FLAG_ABSENT",
    FLAG_COMMIT: "BLOCK_ID_FLAG_COMMIT",
    FLAG_NIL: "BLOCK_ID_FLAG_NIL",
}
_YEAR_ONE = "0001-01-01T00:00:00Z"


def base64_text(data: bytes) -> str:
    """*data* in base64."""
    return base64.b64encode(data).decode()


def time_json(time: Timestamp) -> str:
    """RFC 3339 with as many digits as needed, as Go writes it."""
    if time.seconds < 0:
        return _YEAR_ONE
    when = datetime.fromtimestamp(time.seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{time.nanos:09d}".rstrip("0") if time.nanos else ""
    return f"{when}{fraction}Z"


def header_json(header: Header, dialect: BlockDialect) -> dict[str, Any]:
    """A header."""
    version: dict[str, Any] = {"block": _int64(header.version_block, dialect)}
    proposer: str = header.proposer_address.hex().upper()
    if dialect == "proto":
        version["app"] = _int64(header.version_app, dialect)
        groups = bech32.convertbits(header.proposer_address, 8, 5) or []
        proposer = bech32.bech32_encode("gonkavalcons", groups)
    hashes = (
        "last_commit_hash",
        "data_hash",
        "validators_hash",
        "next_validators_hash",
        "consensus_hash",
        "app_hash",
        "last_results_hash",
        "evidence_hash",
    )
    return {
        "version": version,
        "chain_id": header.chain_id,
        "height": _int64(header.height, dialect),
        "time": time_json(header.time),
        "last_block_id": block_id_json(header.last_block_id, dialect),
        **{name: _hash(getattr(header, name), dialect) for name in hashes},
        "proposer_address": proposer,
    }


def commit_json(commit: Commit, dialect: BlockDialect) -> dict[str, Any]:
    """A commit."""
    return {
        "height": _int64(commit.height, dialect),
        "round": commit.round,
        "block_id": block_id_json(commit.block_id, dialect),
        "signatures": [
            {
                "block_id_flag": _FLAGS[one.flag] if dialect == "proto" else one.flag,
                "validator_address": _hash(one.address, dialect),
                "timestamp": time_json(one.timestamp),
                "signature": base64_text(one.signature) if one.signature else None,
            }
            for one in commit.signatures
        ],
    }


def block_id_json(block_id: BlockId, dialect: BlockDialect) -> dict[str, Any]:
    """A block id."""
    parts = "part_set_header" if dialect == "proto" else "parts"
    return {
        "hash": _hash(block_id.hash, dialect),
        parts: {"total": block_id.parts_total, "hash": _hash(block_id.parts_hash, dialect)},
    }


def validators_json(validators: Sequence[Validator], dialect: BlockDialect) -> list[dict[str, Any]]:
    """Validators; keys are objects in the RPC, text in payloads."""
    return [
        {
            "address": one.address.hex().upper(),
            "pub_key": {
                "type": "tendermint/PubKeyEd25519",
                "value": base64_text(one.public_key),
            }
            if dialect == "rpc"
            else base64_text(one.public_key),
            "voting_power": _int64(one.power, dialect),
            "proposer_priority": _int64(0, dialect),
        }
        for one in validators
    ]


def proof_ops_json(ops: Sequence[ProofOp]) -> dict[str, Any]:
    """A `ProofOps`."""
    return {
        "ops": [
            {"type": op.type, "key": base64_text(op.key), "data": base64_text(op.data)}
            for op in ops
        ]
    }


def _int64(value: int, dialect: BlockDialect) -> int | str:
    return value if dialect == "comet" else str(value)


def _hash(data: bytes, dialect: BlockDialect) -> str:
    return base64_text(data) if dialect == "proto" else data.hex().upper()
