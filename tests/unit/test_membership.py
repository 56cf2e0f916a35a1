"""Endpoints out of a configuration and a participant set."""

from __future__ import annotations

from typing import Any

import pytest
from made import account

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.endpoints import Bearer, Endpoint, Signed
from gonka_integrations.core.membership import assemble, versioned
from gonka_integrations.core.participants import GonkaParticipant

ONE, TWO = account(11).address, account(12).address
KEY = f"{1:064x}"


def config(**arguments: Any) -> GonkaConfig:
    return GonkaConfig(private_key=KEY, **arguments)


def participant(address: str = ONE, **fields: Any) -> GonkaParticipant:
    made: dict[str, Any] = {
        "address": address, "inference_url": f"http://{address[-4:]}.test", "weight": 10,
        "models": ("llama",), "validator_key": None, "epoch_id": 7,
    }  # fmt: skip
    return GonkaParticipant(**(made | fields))


def only(endpoints: list[Endpoint]) -> Endpoint:
    assert len(endpoints) == 1
    return endpoints[0]


class TestDiscovered:
    def test_participants(self) -> None:
        endpoint = only(assemble(config(max_concurrent=3), [participant()]))
        assert endpoint.kind == "participant"
        assert endpoint.base_url == f"http://{ONE[-4:]}.test/v1"
        assert (endpoint.address, endpoint.weight, endpoint.tier) == (ONE, 10.0, 0)
        assert endpoint.models == {"llama"}
        assert endpoint.max_concurrent == 3
        assert not endpoint.trusted
        assert isinstance(endpoint.credentials, Signed)
        assert endpoint.credentials.requester == account(1).address

    def test_from_a_source_that_may_name_private_hosts(self) -> None:
        assert only(assemble(config(), [participant()], trusted=True)).trusted

    def test_without_models_any_may_be_tried(self) -> None:
        assert only(assemble(config(), [participant(models=())])).models is None

    def test_without_weight_they_get_a_little(self) -> None:
        assert only(assemble(config(), [participant(weight=0)])).weight == 1.0

    def test_are_of_no_use_without_a_key(self) -> None:
        assert (
            assemble(GonkaConfig(base_url="https://g.test"), [participant()])[0].kind == "gateway"
        )

    def test_another_account_may_pay(self) -> None:
        endpoint = only(assemble(config(address=TWO), [participant()]))
        assert isinstance(endpoint.credentials, Signed)
        assert endpoint.credentials.requester == TWO


class TestNamed:
    def test_participants(self) -> None:
        endpoint = only(assemble(config(endpoints=f"http://h.test:8000/v1;{ONE}")))
        assert (endpoint.base_url, endpoint.address) == ("http://h.test:8000/v1", ONE)
        assert endpoint.trusted
        assert endpoint.models is None

    def test_what_was_discovered_is_known_better(self) -> None:
        found = assemble(
            config(endpoints=[f"http://h.test;{ONE}", f"http://i.test;{TWO}"]), [participant(ONE)]
        )
        assert [(one.address, one.weight) for one in found] == [(ONE, 10.0), (TWO, 1.0)]
        assert found[0].base_url != "http://h.test/v1"

    def test_a_gateway_weighs_as_much_as_an_average_participant(self) -> None:
        gates = [{"base_url": "https://a.test", "api_key": "k"}, "https://b.test"]
        found = assemble(
            config(gateways=gates), [participant(ONE, weight=10), participant(TWO, weight=30)]
        )
        assert [one.weight for one in found] == [10.0, 30.0, 20.0, 20.0]
        first, second = found[2:]
        assert isinstance(first.credentials, Bearer)
        assert isinstance(second.credentials, Bearer)
        assert first.credentials.key is not None
        assert first.credentials.key.reveal() == "k"
        assert second.credentials.key is None
        assert first.credentials.host == "a.test:443"
        assert only(assemble(GonkaConfig(base_url="https://g.test"))).weight == 1.0

    def test_providers(self) -> None:
        fallback = {
            "base_url": "https://p.test/v1", "api_key": "k", "tier": 2, "default_model": "small",
            "models": {"llama": "meta/llama"},
        }  # fmt: skip
        endpoint = only(assemble(GonkaConfig(fallbacks=[fallback])))
        assert (endpoint.kind, endpoint.tier) == ("provider", 2)
        assert endpoint.wire_model("llama") == "meta/llama"
        assert endpoint.wire_model("other") == "small"


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("http://h.test", "http://h.test/v1"),
        ("http://h.test/", "http://h.test/v1"),
        ("http://h.test/v1/", "http://h.test/v1"),
        ("http://h.test/api", "http://h.test/api/v1"),
    ],
)
def test_versions(url: str, api: str) -> None:
    assert versioned(url) == api
