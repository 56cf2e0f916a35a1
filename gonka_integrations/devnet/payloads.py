"""The JSON that a node's reads consist of, in the dialects of its versions.

Shapes: gonka-ai/gonka `decentralized-api/internal/server/public/` and `common/queryapi`.
"""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .epochs import EpochRecord, Member
    from .network import Devnet
    from .network_state import ChainView

Dialect: TypeAlias = Literal["2025", "2026", "v0.2.15"]
"""`2025`: no `excluded_participants`, seeds by height, models under `models`. `2026`: numbers are
numbers. `v0.2.15`: integers of the participants are strings, chain parameters come whole."""

_CONTEXT = 180_000
_PRICE = 10_000


def participants(net: Devnet, record: EpochRecord, chain: ChainView | None) -> dict[str, Any]:
    """`/v1/epochs/{epoch}/participants`, with the chain's proof where there is a chain."""
    listed = [_participant(net, member, record) for member in record.members]
    active: dict[str, Any] = {
        "participants": listed,
        "epoch_group_id": record.epoch_id,
        "poc_start_block_height": record.poc_start,
        "effective_block_height": record.effective,
        "created_at_block_height": record.created_at,
        "epoch_id": record.epoch_id,
    }
    payload: dict[str, Any] = {
        "active_participants": _strings(active) if net.dialect == "v0.2.15" else active,
        "addresses": [_consensus_address(member) for member in record.members],
        "active_participants_bytes": "",
        "validators": [],
    }
    if chain is not None:
        payload.update(chain.proof_fields(record.epoch_id))
    if net.dialect != "2025":
        payload["excluded_participants"] = [
            {"address": address, "reason": reason, "exclusion_block_height": height}
            for address, reason, height in record.excluded
        ]
    return payload


def _participant(net: Devnet, member: Member, record: EpochRecord) -> dict[str, Any]:
    seed: dict[str, Any] = {"participant": member.address}
    if net.dialect == "2025":
        seed["block_height"] = record.poc_start
    else:
        seed["epoch_index"] = record.epoch_id
    seed["signature"] = hashlib.sha512(f"{member.address} {record.epoch_id}".encode()).hexdigest()
    node = {
        "node_id": f"node{member.index}",
        "poc_weight": member.weight,
        "timeslot_allocation": [True, False],
    }
    return {
        "index": member.address,
        "validator_key": base64.b64encode(member.validator_key).decode(),
        "weight": member.weight,
        "inference_url": member.inference_url,
        "models": list(member.models),
        "seed": seed,
        "ml_nodes": [{"ml_nodes": [node]} for _ in member.models],
    }


def _strings(value: Any) -> Any:
    """Integers as decimal strings, all the way down."""
    if isinstance(value, dict):
        return {key: _strings(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_strings(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _consensus_address(member: Member) -> str:
    return hashlib.sha256(member.validator_key).digest()[:20].hex().upper()


def epochs_latest(net: Devnet) -> dict[str, Any]:
    """`/v1/epochs/latest`."""
    book = net.epochs
    latest = book.latest_id()
    stages = book.stages(latest)
    params: dict[str, Any] = book.params.as_dict()
    if net.dialect == "v0.2.15":
        params = chain_params(net)
    event = net.confirmation_poc_event()
    payload = {
        "block_height": net.block_height,
        "latest_epoch": {"index": latest, "poc_start_block_height": stages["poc_start"]},
        "phase": net.phase,
        "epoch_stages": stages,
        "next_epoch_stages": book.stages(latest + 1),
        "epoch_params": params,
        "is_confirmation_poc_active": event is not None,
    }
    if event is not None or net.dialect == "v0.2.15":
        payload["active_confirmation_poc_event"] = event
    return payload


def models(net: Devnet) -> dict[str, Any]:
    """`/v1/models`: those that somebody serves in this epoch."""
    if net.dialect == "2025":
        return {"models": governance_models(net, net.epochs.current.models)}
    return {"object": "list", "data": [_model(one, net) for one in net.epochs.current.models]}


def _model(name: str, net: Devnet) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "object": "model",
        "id": name,
        "hugging_face_id": name,
        "name": name,
        "created": int(time.time()),
        "input_modalities": ["text"],
        "output_modalities": ["text"],
        "context_length": _CONTEXT,
        "max_output_length": _CONTEXT,
    }
    if net.dialect == "v0.2.15":
        del entry["hugging_face_id"]
    return entry


def governance_models(net: Devnet, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """The registered models, served or not."""
    return [
        {
            "proposed_by": net.hosts[0].address,
            "id": name,
            "units_of_compute_per_token": 100,
            "hf_repo": name,
            "hf_commit": hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(),
            "model_args": ["--tensor-parallel-size", "4"],
            "v_ram": 320,
            "throughput_per_nonce": 10_000,
            "validation_threshold": {"value": 958, "exponent": -3},
            "context_window": _CONTEXT,
            "coins_per_input_token": 1,
            "coins_per_output_token": 1,
        }
        for name in (net.models if names is None else names)
    ]


def pricing(net: Devnet) -> dict[str, Any]:
    """`/v1/pricing`, in ngonka per token."""
    return {
        "unit_of_compute_price": 100,
        "models": [
            {"id": name, "units_of_compute_per_token": 100, "price_per_token": _PRICE}
            for name in net.models
        ],
        "dynamic_pricing_enabled": False,
    }


def versions(net: Devnet, node_id: str) -> dict[str, Any]:
    """`/v1/versions`."""
    version = "0.2.15" if net.classic_gone else "0.2.13"
    build = {"version": version, "commit": "0" * 40}
    payload: dict[str, Any] = {
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "api_version": {"application_name": "decentralized-api", **build},
        "node_version": {"application_name": "inference", **build},
    }
    if net.dialect != "v0.2.15":
        node = {"node_id": node_id, "version": "3.0.16", "poc_validation_inference": True}
        payload["mlnodes"] = [node]
    return payload


def registry(net: Devnet) -> dict[str, Any]:
    """`/v1/participants`: everybody who ever registered."""
    listed = [
        {
            "id": host.address,
            "url": host.inference_url,
            "coins_owed": 0,
            "refunds_owed": 0,
            "balance": 0,
            "voting_power": host.weight,
            "reputation": 1,
        }
        for host in net.hosts
    ]
    return {"participants": listed, "block_height": net.block_height}


def chain_params(net: Devnet) -> dict[str, Any]:
    """The chain's parameters as its REST interface prints them: 64-bit integers are strings."""
    return {
        "epoch_params": _strings_64(net.epochs.params.as_dict()),
        "validation_params": {
            "timestamp_expiration": str(net.timestamp_expiration),
            "timestamp_advance": str(net.timestamp_advance),
            "expiration_blocks": "20",
        },
        "developer_access_params": {
            "until_block_height": str(net.restricted_until_height or 0),
            "allowed_developer_addresses": [],
        },
        "transfer_agent_access_params": {
            "allowed_transfer_addresses": list(net.allowed_transfer_addresses or ()),
        },
        "devshard_escrow_params": {
            "min_amount": "5000000000",
            "max_amount": "10000000000",
            "group_size": 16,
            "allowed_creator_addresses": [],
            "token_price": "1",
            "approved_versions": [],
            "devshard_requests_enabled": net.classic_gone,
        },
    }


def _strings_64(params: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, int) else value for key, value in params.items()}


def rpc_status(net: Devnet) -> dict[str, Any]:
    """`/chain-rpc/status`, without the node's own details."""
    nanos = net.block_time_ns()
    when = datetime.fromtimestamp(nanos // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return {
        "jsonrpc": "2.0",
        "id": -1,
        "result": {
            "node_info": {"network": net.chain_id},
            "sync_info": {
                "latest_block_height": str(net.block_height),
                "latest_block_time": f"{when}.{nanos % 1_000_000_000:09d}Z",
                "catching_up": False,
            },
        },
    }
