"""What nodes say about the network: typed values, decoded from every shape served.

All of these reads are unauthenticated GETs; nothing in them is proven. Sources: decentralized-api
``internal/server/public``, inference-chain ``params.proto``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from .json_fields import Fields

__all__ = [
    "Account",
    "ChainParams",
    "ModelInfo",
    "ModelPrice",
    "Pricing",
    "decode_account",
    "decode_block_time",
    "decode_chain_params",
    "decode_models",
    "decode_pricing",
]


@dataclass(frozen=True, slots=True)
class ChainParams:
    """Parameters of the chain that concern clients.

    Attributes:
        allowed_transfer_addresses: Hosts that may take signed requests; None allows all.
        timestamp_expiration: Seconds that a request may be older than the latest block.
        timestamp_advance: Seconds that it may be newer.
        epoch_length: Blocks of an epoch, 0 when not said.
        developer_gate_until: Height until which only some developers are served, 0 for none.
        allowed_developers: Those developers' addresses.
        devshard_requests_enabled: Whether gateways may run, None when not said.
        devshard_versions: Approved versions of the gateway protocol.
    """

    allowed_transfer_addresses: frozenset[str] | None = None
    timestamp_expiration: int = 10
    timestamp_advance: int = 10
    epoch_length: int = 0
    developer_gate_until: int = 0
    allowed_developers: frozenset[str] = frozenset()
    devshard_requests_enabled: bool | None = None
    devshard_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model of the network.

    Attributes:
        id: Its name in requests.
        context_length: Tokens of prompt and answer together, None when not said. What a gateway
            says here is its cap of the answer.
        max_output_length: Tokens of an answer, None when not said.
        hugging_face_id: Where its weights are, None when not said.
    """

    id: str
    context_length: int | None = None
    max_output_length: int | None = None
    hugging_face_id: str | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account; 1 GNK is 10**9 ngonka.

    Attributes:
        address: Whose it is.
        balance: Spendable amount in *denom*.
        denom: Unit of the balance.
        public_key: 33 bytes, None before the account's first transaction.
    """

    address: str
    balance: int
    denom: str = "ngonka"
    public_key: bytes | None = None


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What a model costs on the classic path.

    Attributes:
        id: The model.
        price_per_token: In ngonka.
        units_of_compute_per_token: Of the legacy price.
        utilization: Share of its capacity in use, None when not said.
        capacity: In tokens, None when not said.
    """

    id: str
    price_per_token: int
    units_of_compute_per_token: int = 0
    utilization: float | None = None
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class Pricing:
    """Prices of the classic path; brokers have their own.

    Attributes:
        unit_of_compute_price: In ngonka.
        dynamic: Whether the prices are the dynamic ones, which are charged.
        models: One entry for each model.
    """

    unit_of_compute_price: int
    dynamic: bool
    models: tuple[ModelPrice, ...]


def decode_chain_params(payload: object, source_url: str | None = None) -> ChainParams:
    """Parameters from ``chain-api/productscience/inference/inference/params``.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    params = Fields(payload, "the chain parameters", source_url).object("params")
    validation = params.object("validation_params")
    developers = params.object("developer_access_params")
    devshard = params.object("devshard_escrow_params")
    allowed = params.object("transfer_agent_access_params").texts("allowed_transfer_addresses")
    enabled = devshard.has("devshard_requests_enabled")
    return ChainParams(
        allowed_transfer_addresses=frozenset(allowed) or None,
        # The chain's code falls back to 10 s where a parameter is 0.
        timestamp_expiration=validation.integer("timestamp_expiration") or 10,
        timestamp_advance=validation.integer("timestamp_advance") or 10,
        epoch_length=params.object("epoch_params").integer("epoch_length"),
        developer_gate_until=developers.integer("until_block_height"),
        allowed_developers=frozenset(developers.texts("allowed_developer_addresses")),
        devshard_requests_enabled=devshard.flag("devshard_requests_enabled") if enabled else None,
        devshard_versions=tuple(
            entry.text("name") for entry in devshard.objects("approved_versions")
        ),
    )


def decode_models(payload: object, source_url: str | None = None) -> tuple[ModelInfo, ...]:
    """Models from any of the lists: ``data`` (OpenAI's), ``models`` or ``model`` (the chain's).

    Raises:
        GonkaDiscoveryError: It is no such list.
    """
    answer = Fields(payload, "the models", source_url)
    name = next((name for name in ("data", "models", "model") if answer.has(name)), "data")
    return tuple(_model(entry) for entry in answer.objects(name) if entry.text("id"))


def decode_account(payload: object, address: str, source_url: str | None = None) -> Account:
    """The account that ``/v1/participants/{address}`` describes.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    answer = Fields(payload, "the account", source_url)
    try:
        key = base64.b64decode(answer.text("pubkey"), validate=True) or None
    except (binascii.Error, ValueError):
        raise answer.wrong("has a pubkey that is no base64") from None
    return Account(
        address=address,
        balance=answer.integer("balance"),
        denom=answer.text("denom") or "ngonka",
        public_key=key,
    )


def decode_pricing(payload: object, source_url: str | None = None) -> Pricing:
    """Prices from ``/v1/governance/pricing`` or ``/v1/pricing``.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    answer = Fields(payload, "the prices", source_url)
    return Pricing(
        unit_of_compute_price=answer.integer("unit_of_compute_price"),
        dynamic=answer.flag("dynamic_pricing_enabled"),
        models=tuple(
            ModelPrice(
                id=entry.text("id"),
                price_per_token=entry.integer("price_per_token"),
                units_of_compute_per_token=entry.integer("units_of_compute_per_token"),
                utilization=entry.number("utilization"),
                capacity=entry.maybe_integer("capacity"),
            )
            for entry in answer.objects("models")
        ),
    )


def decode_block_time(payload: object, source_url: str | None = None) -> str:
    """Time of the latest block, RFC 3339, from ``chain-rpc/status``.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    answer = Fields(payload, "the chain's status", source_url)
    found = answer.object("result").object("sync_info").text("latest_block_time")
    if not found:
        raise answer.wrong("has no latest_block_time")
    return found


def _model(entry: Fields) -> ModelInfo:
    context = entry.maybe_integer("context_length")
    output = entry.maybe_integer("max_output_length")
    hub = entry.text("hugging_face_id") or entry.text("hf_repo")
    return ModelInfo(
        id=entry.text("id"),
        context_length=context if context is not None else entry.maybe_integer("context_window"),
        max_output_length=output
        if output is not None
        else entry.maybe_integer("max_completion_tokens"),
        hugging_face_id=hub or None,
    )
