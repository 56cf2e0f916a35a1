"""Endpoints: what they serve, under which name, and that they show no key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made import account, gateway, node, provider

from gonka_integrations.core.endpoints import Bearer, Endpoint
from gonka_integrations.core.secrets import Secret
from gonka_integrations.core.served import CallOptions
from gonka_integrations.errors import GonkaConfigError


@pytest.mark.parametrize(
    ("endpoint", "model", "serves"),
    [
        (node(1), "any", True),
        (node(1, models=frozenset({"a"})), "a", True),
        (node(1, models=frozenset({"a"})), "b", False),
        (node(1, models=frozenset({"a"})), "", True),
        (provider(models=frozenset({"a"}), model_map={"b": "gpt"}), "b", True),
        (provider(models=frozenset()), "a", False),
    ],
)
def test_serves(endpoint: Endpoint, model: str, serves: bool) -> None:
    assert endpoint.serves(model) is serves


def test_identity_stays_when_weights_and_models_change() -> None:
    assert node(1).identity == node(1, weight=9.0, models=frozenset({"a"})).identity
    assert node(1).identity != replace(node(1), address=node(2).address).identity
    assert len({node(1).identity, node(2).identity, gateway().identity, provider().identity}) == 4


def test_one_address_in_two_tiers_is_two_endpoints() -> None:
    """A provider may be the first fallback for one model and the second for another."""
    several = [provider(tier=1), provider(tier=2), provider(default_model="gpt")]
    assert len({endpoint.identity for endpoint in several}) == 3
    assert node(1).identity == node(1, tier=1).identity, "a participant is one wherever it is used"


def test_endpoints_of_one_account_share_its_errors_and_keys_do_not() -> None:
    assert node(1).credentials.group == node(2).credentials.group
    assert node(1).credentials.group != node(1, key=2).credentials.group
    assert gateway(0).credentials.group != gateway(1).credentials.group


def test_two_keys_of_one_gateway_are_two_endpoints() -> None:
    """Each has its own quota, and its own errors."""
    one, same = gateway(), gateway()
    other = replace(one, credentials=Bearer(Secret("another"), one.credentials.host))  # type: ignore[union-attr]
    assert one.identity == same.identity != other.identity
    assert one.credentials.group != other.credentials.group
    assert "another" not in other.identity + other.credentials.group


@pytest.mark.parametrize(
    "headers",
    [{"a b": "x"}, {"": "x"}, {"X-Ü": "x"}, {"X-A": "x\r\nX-B: y"}, {"X-A": "✓"}, {"X-A": 5}],
)
def test_headers_that_cannot_be_sent(headers: dict[str, Any]) -> None:
    with pytest.raises(GonkaConfigError, match="extra_headers") as caught:
        CallOptions(extra_headers=headers)
    assert caught.value.field == "extra_headers"


def test_headers_that_can_be_sent() -> None:
    CallOptions(extra_headers={"X-Trace-Id": "a\tb é", "x_y": ""})


def test_shown_without_keys() -> None:
    assert str(node(1)) == f"participant http://host1.test/v1 ({node(1).address})"
    assert str(gateway()) == "gateway https://gate0.test/v1"
    shown = repr([node(1), gateway(), provider()])
    for secret in ("gk-0", "sk-0", f"{1:064x}"):
        assert secret not in shown
    assert account().address in shown


def test_values() -> None:
    assert node(1) == node(1)
    assert hash(gateway()) == hash(gateway(model_map={"a": "b"}))
