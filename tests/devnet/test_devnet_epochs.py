"""Epochs, participant sets and the other reads of a node, in every dialect."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from devnet_wire import ask, chat, new_client

from gonka_integrations.devnet import Devnet


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with new_client() as client:
        yield client


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=3, epoch=7) as net:
        yield net


def get(client: httpx.Client, net: Devnet, path: str) -> Any:
    response = client.get(net.source_url + path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    return response.json()


def members(client: httpx.Client, net: Devnet, epoch: object = "current") -> list[str]:
    payload = get(client, net, f"/v1/epochs/{epoch}/participants")
    return [one["index"] for one in payload["active_participants"]["participants"]]


def test_participants(net: Devnet, client: httpx.Client) -> None:
    payload = get(client, net, "/v1/epochs/current/participants")
    active = payload["active_participants"]
    assert active["epoch_id"] == 7
    assert active["effective_block_height"] == active["created_at_block_height"] + 2
    for host, one in zip(net.hosts, active["participants"], strict=True):
        assert one["index"] == host.address
        assert one["inference_url"] == host.url
        assert one["weight"] == host.weight
        assert one["models"] == list(host.models)
    keys = [base64.b64decode(one["validator_key"]) for one in active["participants"]]
    addresses = [hashlib.sha256(key).digest()[:20].hex().upper() for key in keys]
    assert payload["addresses"] == addresses
    assert payload["excluded_participants"] == []


def test_a_new_set_is_in_force_at_once_and_old_ones_stay_readable(
    net: Devnet, client: httpx.Client
) -> None:
    first = members(client, net)
    assert net.advance_epoch(leave=(1,), join=2) == 8
    assert net.epoch == 8
    second = members(client, net)
    assert second == [first[0], first[2], net.hosts[3].address, net.hosts[4].address]
    assert [host.address for host in net.participants] == second
    assert members(client, net, 8) == second
    assert members(client, net, 7) == first
    assert ask(client, net, net.hosts[1], chat()).status_code == 200, "who left goes on running"
    net.rejoin(1)
    net.advance_epoch()
    assert net.hosts[1].address in members(client, net)


def test_exclusion_within_an_epoch(net: Devnet, client: httpx.Client) -> None:
    net.exclude(2, "downtime")
    payload = get(client, net, "/v1/epochs/current/participants")
    [excluded] = payload["excluded_participants"]
    assert excluded["address"] == net.hosts[2].address
    assert excluded["reason"] == "downtime"
    net.advance_epoch()
    assert get(client, net, "/v1/epochs/current/participants")["excluded_participants"] == []


@pytest.mark.parametrize(
    ("epoch", "status", "text"),
    [
        ("0", 400, "Epoch enumeration starts with 1"),
        ("latest", 400, "Invalid epoch id"),
        ("-1", 400, "Invalid epoch id"),
        ("99", 404, "No active participants found for the specified epoch. Looks like PoC failed!"),
    ],
)
def test_other_epochs(
    net: Devnet, client: httpx.Client, epoch: str, status: int, text: str
) -> None:
    response = client.get(f"{net.source_url}/v1/epochs/{epoch}/participants")
    assert (response.status_code, response.json()) == (status, {"error": text})


def test_latest(net: Devnet, client: httpx.Client) -> None:
    latest = get(client, net, "/v1/epochs/latest")
    stages = latest["epoch_stages"]
    assert latest["latest_epoch"]["index"] == 7
    assert latest["phase"] == "Inference"
    start = stages["poc_start"]
    assert stages["poc_generation_wind_down"] == start + 28
    assert stages["poc_generation_end"] == start + 35
    assert stages["poc_validation_start"] == start + 40
    assert stages["poc_validation_wind_down"] == start + 232
    assert stages["poc_validation_end"] == start + 280
    assert stages["set_new_validators"] == start + 400
    assert stages["next_poc_start"] == start + 15391
    assert latest["next_epoch_stages"]["poc_start"] == start + 15391
    assert stages["set_new_validators"] <= latest["block_height"] < stages["next_poc_start"]
    other = client.get(f"{net.source_url}/v1/epochs/7")
    assert other.json()["error"].startswith("Only getting info for current epoch")


@pytest.mark.parametrize("phase", ["PoCGenerate", "PoCGenerateWindDown", "PoCValidate"])
def test_phases(net: Devnet, client: httpx.Client, phase: str) -> None:
    net.phase = phase
    latest = get(client, net, "/v1/epochs/latest")
    assert latest["phase"] == phase
    assert latest["latest_epoch"]["index"] == 8, "the next epoch is being prepared"
    active = get(client, net, "/v1/epochs/current/participants")["active_participants"]
    assert active["epoch_id"] == 7, "while the old set serves"
    net.phase = "Inference"
    assert get(client, net, "/v1/epochs/latest")["phase"] == "Inference"


def test_height_grows_with_time_but_not_past_the_epoch() -> None:
    from gonka_integrations.devnet.epoch_params import EpochParams
    from gonka_integrations.devnet.epochs import EpochBook

    now = [0.0]
    book = EpochBook(EpochParams.of_seconds(60), lambda: now[0])
    book.begin(1, ())
    begun = book.height
    now[0] = 11.0
    assert book.height == begun + 2
    now[0] = 1e6
    assert book.height == book.stages(2)["set_new_validators"] - 1


@pytest.mark.parametrize("seconds", [1, 10, 60, 3600])
def test_short_epochs_are_all_inference(seconds: float) -> None:
    from gonka_integrations.devnet.epoch_params import EpochParams
    from gonka_integrations.devnet.epochs import EpochBook

    now = [0.0]
    book = EpochBook(EpochParams.of_seconds(seconds), lambda: now[0])
    for epoch in (1, 2, 3):
        book.begin(epoch, ())
        for _ in range(10):
            assert book.phase() == "Inference"
            assert book.latest_id() == epoch
            now[0] += seconds / 10


class TestDialects:
    def test_2025(self, net: Devnet, client: httpx.Client) -> None:
        net.dialect = "2025"
        payload = get(client, net, "/v1/epochs/current/participants")
        assert "excluded_participants" not in payload
        assert "block_height" in payload["active_participants"]["participants"][0]["seed"]
        assert get(client, net, "/v1/models")["models"][0]["id"] == "gonka/test-model"

    def test_v0_2_15(self, net: Devnet, client: httpx.Client) -> None:
        net.dialect = "v0.2.15"
        active = get(client, net, "/v1/epochs/current/participants")["active_participants"]
        assert active["epoch_id"] == "7"
        assert active["participants"][0]["weight"] == "100"
        latest = get(client, net, "/v1/epochs/latest")
        assert latest["epoch_params"]["epoch_params"]["epoch_length"] == "15391"
        assert latest["active_confirmation_poc_event"] is None
        assert "hugging_face_id" not in get(client, net, "/v1/models")["data"][0]
        assert "mlnodes" not in get(client, net, "/v1/versions")


def test_the_other_reads(net: Devnet, client: httpx.Client) -> None:
    assert get(client, net, "/v1/status") == {"status": "ok"}
    assert get(client, net, "/api/v1/status") == {"status": "ok"}
    assert get(client, net, "/v1/models")["data"][0]["context_length"] == 180_000
    assert get(client, net, "/v1/governance/models")["models"][0]["id"] == "gonka/test-model"
    assert get(client, net, "/v1/pricing")["models"][0]["price_per_token"] == 10_000
    assert get(client, net, "/v1/versions")["api_version"]["version"] == "0.2.13"
    registry = get(client, net, "/v1/participants")["participants"]
    assert [one["id"] for one in registry] == [host.address for host in net.hosts]
    params = get(client, net, "/chain-api/productscience/inference/inference/params")["params"]
    assert params["validation_params"]["timestamp_expiration"] == "60"
    assert params["epoch_params"]["epoch_length"] == "15391"


def test_identity_is_signed(net: Devnet, client: httpx.Client) -> None:
    import ecdsa

    response = client.get(f"{net.source_url}/v1/identity")
    identity = response.json()
    assert identity["data"]["address"] == net.hosts[0].address
    signed = response.text[len('{"data":') : response.text.index(',"signature"')]
    key = ecdsa.VerifyingKey.from_string(net.hosts[0].key.public_key, ecdsa.SECP256k1)
    signature = base64.b64decode(identity["signature"])
    assert key.verify(signature, signed.encode(), hashlib.sha256)


def test_chain_interfaces_may_be_switched_off(net: Devnet, client: httpx.Client) -> None:
    net.chain_api_enabled = False
    url = f"{net.source_url}/chain-api/productscience/inference/inference/params"
    response = client.get(url)
    assert (response.status_code, response.text) == (404, "Chain API Disabled")
    assert client.get(f"{net.source_url}/chain-rpc/status").status_code == 404


def test_a_chain_proves_the_set(client: httpx.Client) -> None:
    with Devnet(hosts=2, proofs=True) as net:
        payload = get(client, net, "/v1/epochs/current/participants")
        assert len(payload["proof_ops"]["ops"]) == 2
        assert bytes.fromhex(payload["active_participants_bytes"])
        height = payload["active_participants"]["created_at_block_height"] + 1
        commit = get(client, net, f"/chain-rpc/commit?height={height}")["result"]["signed_header"]
        assert commit["header"]["height"] == str(height)


def test_what_each_host_serves_and_weighs(client: httpx.Client) -> None:
    with Devnet(hosts=3, models=("a", "b"), host_models=[["a"], ["b"]], weights=[5, 6]) as net:
        active = get(client, net, "/v1/epochs/current/participants")["active_participants"]
        assert [one["models"] for one in active["participants"]] == [["a"], ["b"], ["a", "b"]]
        assert [one["weight"] for one in active["participants"]] == [5, 6, 300]
        assert [one["id"] for one in get(client, net, "/v1/models")["data"]] == ["a", "b"]
