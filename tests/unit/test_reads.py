"""Reads of the network, in every shape that nodes and gateways have served."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonka_integrations.core.epochs import decode_epoch
from gonka_integrations.core.gateway_status import decode_gateway_status
from gonka_integrations.core.nodes import decode_identity, decode_versions
from gonka_integrations.core.reads import (
    decode_account,
    decode_block_time,
    decode_chain_params,
    decode_models,
    decode_pricing,
)
from gonka_integrations.errors import GonkaDiscoveryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MINIMAX = "MiniMaxAI/MiniMax-M2.7"
DECODERS: list[Callable[[Any], object]] = [
    decode_chain_params,
    decode_models,
    lambda value: decode_account(value, "gonka1x"),
    decode_pricing,
    decode_identity,
    decode_versions,
    decode_gateway_status,
    decode_block_time,
    decode_epoch,
]
NAMES = [
    "params", "validation_params", "timestamp_expiration", "transfer_agent_access_params",
    "allowed_transfer_addresses", "devshard_escrow_params", "approved_versions", "name", "data",
    "models", "model", "id", "context_length", "hf_repo", "pubkey", "balance", "denom",
    "price_per_token", "utilization", "dynamic_pricing_enabled", "address", "block",
    "delegate_ta", "api_version", "version", "mlnodes", "escrow_id", "phase", "capacity",
    "devshards", "requests_blocked", "routable", "result", "sync_info", "latest_block_time",
    "block_height", "latest_epoch", "index", "epoch_params", "epoch_stages", "poc_start",
    "is_confirmation_poc_active", "active_confirmation_poc_event",
]  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["12", "-1", "x", "1" * 30])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6)
    ),
    max_leaves=25,
)


@pytest.fixture
def read(shared: Path) -> Callable[[str], Any]:
    folder = shared / "fixtures" / "endpoints"
    return lambda name: json.loads((folder / f"{name}.json").read_text())


@given(JSON)
def test_any_json_gives_a_value_or_a_typed_error(value: Any) -> None:
    for decode in DECODERS:
        try:
            hash(str(decode(value)))
        except GonkaDiscoveryError as error:
            assert "makes no sense" in str(error)  # noqa: PT017 - either way is right


def test_errors_say_where_and_what() -> None:
    with pytest.raises(GonkaDiscoveryError) as caught:
        decode_chain_params({"params": {"validation_params": []}}, "http://node:8000")
    assert caught.value.source_url == "http://node:8000"
    assert str(caught.value) == (
        "the answer of http://node:8000 makes no sense: "
        "the chain parameters.params.validation_params is a list, not an object"
    )


def test_chain_parameters(read: Callable[[str], Any]) -> None:
    params = decode_chain_params(read("chain_params"))
    assert params.allowed_transfer_addresses is not None
    assert len(params.allowed_transfer_addresses) == 7
    assert "gonka1y2a9p56kv044327uycmqdexl7zs82fs5ryv5le" in params.allowed_transfer_addresses
    assert (params.timestamp_expiration, params.timestamp_advance) == (60, 30)
    assert params.epoch_length == 15391
    assert params.devshard_versions == ("v3", "v4")


@pytest.mark.parametrize("name", ["chain_params_empty_allowlist", "chain_params_pre_v029"])
def test_an_empty_or_absent_list_allows_everybody(read: Callable[[str], Any], name: str) -> None:
    assert decode_chain_params(read(name)).allowed_transfer_addresses is None


def test_a_window_of_zero_is_the_chains_default() -> None:
    zero = {"params": {"validation_params": {"timestamp_expiration": "0"}}}
    assert decode_chain_params(zero).timestamp_expiration == 10
    assert decode_chain_params({}).timestamp_advance == 10
    assert decode_chain_params({}).devshard_requests_enabled is None


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("models_list", 180_000),
        ("models_list_v0215_no_hf_id", 180_000),
        ("models_old_shape", 180_000),
        ("governance_models", 180_000),
        ("governance_models_legacy", 180_000),
        ("gateway_models", 4096),
    ],
)
def test_lists_of_models(read: Callable[[str], Any], name: str, context: int) -> None:
    first = decode_models(read(name))[0]
    assert (first.id, first.context_length) == (MINIMAX, context)
    assert first.hugging_face_id in (MINIMAX, None)


def test_a_list_without_models() -> None:
    assert decode_models({}) == ()
    assert decode_models({"data": None, "models": [{"name": "no id"}]}) == ()


@pytest.mark.parametrize(
    ("name", "epoch", "phase"),
    [
        ("epochs_latest_inference", 360, "Inference"),
        ("epochs_latest_v0215_shape", 360, "Inference"),
        ("epochs_latest_poc_generate", 360, "PoCGenerate"),
        ("epochs_latest_poc_validate", 360, "PoCValidate"),
    ],
)
def test_the_epoch(read: Callable[[str], Any], name: str, epoch: int, phase: str) -> None:
    info = decode_epoch(read(name))
    assert (info.epoch, info.phase, info.epoch_length) == (epoch, phase, 15391)
    assert info.confirmation_poc == ""
    assert info.next_change is not None
    assert info.next_change > info.block_height


def test_when_the_participants_change(read: Callable[[str], Any]) -> None:
    """In the middle of an epoch at the next one's end of validation; before that at its own."""
    info = decode_epoch(read("epochs_latest_inference"))
    assert (info.block_height, info.next_change) == (5_560_000, 5_567_906)
    assert info.seconds_to_change() == pytest.approx(7_906 * 5.5)
    early = decode_epoch(read("epochs_latest_poc_generate"))
    assert early.next_change == 5_552_515
    bare = decode_epoch({"block_height": 5, "latest_epoch": {"index": "3"}})
    assert bare.next_change is bare.seconds_to_change() is None


@pytest.mark.parametrize("shape", ["", "_v0215_shape"])
def test_a_confirmation_in_the_middle(read: Callable[[str], Any], shape: str) -> None:
    info = decode_epoch(read(f"epochs_latest_confirmation_poc{shape}"))
    assert info.confirmation_poc == "CONFIRMATION_POC_GENERATION"


@pytest.mark.parametrize("name", ["account", "account_old_shape"])
def test_an_account(read: Callable[[str], Any], name: str) -> None:
    account = decode_account(read(name), "gonka1xwu5ku9m6s60ptgpjftxn0klx35cx26ck7n0nk")
    assert (account.balance, account.denom) == (25_000_000_000, "ngonka")
    assert account.public_key is not None
    assert len(account.public_key) == 33
    with pytest.raises(GonkaDiscoveryError, match="base64"):
        decode_account({"pubkey": "?"}, "gonka1x")


def test_prices(read: Callable[[str], Any]) -> None:
    legacy, dynamic = decode_pricing(read("pricing")), decode_pricing(read("governance_pricing"))
    assert not legacy.dynamic
    assert legacy.models[0].price_per_token == 10_000
    assert dynamic.dynamic
    assert (dynamic.models[0].utilization, dynamic.models[0].capacity) == (0.41, 120_000)
    assert dynamic.models[1].utilization is None


def test_identities(read: Callable[[str], Any]) -> None:
    plain = decode_identity(read("identity"))
    assert plain.address == "gonka1xwu5ku9m6s60ptgpjftxn0klx35cx26ck7n0nk"
    assert (plain.block, plain.delegates) == (5_560_000, ())
    other = decode_identity(read("identity_delegate_ta"))
    assert other.warm_key_address == "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"
    assert other.delegates == (("http://delegate.example:8000", other.warm_key_address),)
    with pytest.raises(GonkaDiscoveryError, match="no address"):
        decode_identity(read("identity_error_500"))


def test_versions(read: Callable[[str], Any]) -> None:
    full = decode_versions(read("versions"))
    assert (full.api, full.node, full.ml_nodes) == ("0.2.15", "0.2.15", (("node1", "3.0.16"),))
    assert decode_versions(read("versions_v0215_shape")).ml_nodes == ()


def test_gateways(read: Callable[[str], Any]) -> None:
    ready = decode_gateway_status(read("gateway_status"))
    assert ready.routable(MINIMAX) is True
    assert ready.routable("unknown") is None
    assert ready.block_reasons == {}
    blocked = decode_gateway_status(read("gateway_status_poc_blocked"))
    assert blocked.routable(MINIMAX) is False
    assert blocked.block_reasons == {MINIMAX: "poc"}
    closed = next(model for model in blocked.models if model.id != MINIMAX)
    assert (closed.access_mode, closed.access_enabled) == ("admin_only", False)
    single = decode_gateway_status(read("gateway_status_single"))
    assert single.routable(MINIMAX) is True
    assert decode_gateway_status({"phase": "not_found"}).routable(MINIMAX) is False
    with pytest.raises(GonkaDiscoveryError, match="gateway"):
        decode_gateway_status(read("status"))


def test_the_time_of_the_latest_block() -> None:
    status = {"result": {"sync_info": {"latest_block_time": "2026-08-20T12:00:00.5Z"}}}
    assert decode_block_time(status) == "2026-08-20T12:00:00.5Z"
    with pytest.raises(GonkaDiscoveryError, match="latest_block_time"):
        decode_block_time({"result": {}})
