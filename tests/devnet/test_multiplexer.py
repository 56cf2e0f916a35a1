"""The multiplexer filled by hand: weights, names, tiers, and what happens to what is taken away."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import openai
import pytest
from pool_doors import HELLO, met, wait_until

from gonka_integrations.core.endpoints import Bearer, Endpoint
from gonka_integrations.core.multiplexer import Multiplexer
from gonka_integrations.core.secrets import Secret
from gonka_integrations.devnet import Devnet
from gonka_integrations.errors import GonkaModelNotServedError, GonkaRegistrationError

BIG, SMALL = "m/big", "m/small"


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=1, gateways=0, providers=3, models=(BIG, SMALL)) as net:
        yield net
    gc.collect()


@pytest.fixture
def mux() -> Iterator[Multiplexer]:
    with Multiplexer() as mux:
        yield mux


def endpoint(server: Any) -> Endpoint:
    """What a client for *server* amounts to."""
    return Endpoint("provider", server.base_url, Bearer(Secret(server.api_key), server.url))


def client(server: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.api_key)


def ask(mux: Multiplexer, model: str) -> str:
    return mux.chat_sync(model=model, messages=HELLO).choices[0].message.content or ""


def test_weights_are_shares(net: Devnet, mux: Multiplexer) -> None:
    for provider, weight in zip(net.providers, (1, 3, 6), strict=True):
        mux.add_model(endpoint(provider), weight, BIG)
    mux.pool._rng.seed(5)
    for state in mux.pool._members.states.values():
        state.ewma = 0.001  # all equally quick, and whatever is measured hardly changes it
    drawn: Counter[str] = Counter()
    from gonka_integrations.core.pool import Outcome, Want

    for _ in range(3_000):
        lease = mux.pool.acquire(Want(BIG))
        assert lease is not None
        drawn[lease.endpoint.base_url] += 1
        mux.pool.settle(lease, Outcome(failure="cancelled"))
    shares = [drawn[provider.base_url] / 3_000 for provider in net.providers]
    assert shares == pytest.approx([0.1, 0.3, 0.6], abs=0.04)


def test_one_client_may_serve_several_models(net: Devnet, mux: Multiplexer) -> None:
    provider = net.providers[0]
    with client(provider) as one:
        mux.add_model(one, 1, BIG)
        mux.add_model(one, 1, SMALL, wire_name="theirs")
    assert len(mux.endpoints()) == 1
    ask(mux, BIG)
    ask(mux, SMALL)
    assert [one.json["model"] for one in provider.requests if one.json] == [BIG, "theirs"]
    assert mux.remove_model(SMALL) == 1
    assert mux.models() == (BIG,)
    with pytest.raises(GonkaModelNotServedError):
        ask(mux, SMALL)
    assert ask(mux, BIG)


def test_a_weight_given_again_is_the_endpoint_s(
    net: Devnet, mux: Multiplexer, caplog: pytest.LogCaptureFixture
) -> None:
    one = endpoint(net.providers[0])
    mux.add_model(one, 1, BIG)
    mux.add_model(one, 1, SMALL)
    assert not caplog.records
    mux.add_model(one, 5, SMALL, max_concurrent=2)
    assert "weight 5 and max_concurrent 2 now, for all of its models" in caplog.text
    assert one.base_url in caplog.text
    assert [(it.weight, it.max_concurrent) for it in mux.endpoints()] == [(5.0, 2)]


def test_two_keys_of_one_gateway_are_both_used(net: Devnet, mux: Multiplexer) -> None:
    provider = net.providers[0]
    right = endpoint(provider)
    wrong = replace(right, credentials=Bearer(Secret("wrong"), provider.url))
    for key in (wrong, right):
        mux.add_model(key, 1, BIG)
    assert len(mux.endpoints()) == 2
    for _ in range(10):
        assert ask(mux, BIG)  # the other key is not blamed for this one


def test_one_client_may_be_model_and_fallback(net: Devnet, mux: Multiplexer) -> None:
    first, second = net.providers[:2]
    mux.add_model(endpoint(first), 1, BIG)
    mux.add_model(endpoint(second), 1, SMALL)
    mux.add_fallback_model(endpoint(second), 1, BIG)
    for _ in range(5):
        ask(mux, BIG)
    assert (met(first), met(second)) == (5, 0)
    ask(mux, SMALL)
    first.kill()
    ask(mux, BIG)
    assert met(second) == 2
    assert mux.remove_model(BIG) == 2
    assert ask(mux, SMALL)


def test_taking_away_from_one_place(net: Devnet, mux: Multiplexer) -> None:
    first, second = net.providers[:2]
    mux.add_model(endpoint(first), 1, BIG)
    mux.add_model(endpoint(second), 1, BIG)
    assert mux.remove_model(BIG, f"{first.base_url}/") == 1
    for _ in range(5):
        ask(mux, BIG)
    assert (met(first), met(second)) == (0, 5)


def test_what_is_under_way_finishes(net: Devnet, mux: Multiplexer) -> None:
    provider = net.providers[0]
    net.token_delay = 0.005
    mux.add_model(endpoint(provider), 1, BIG)
    stream = mux.chat_sync(model=BIG, messages=HELLO, stream=True)
    heard = [next(iter(stream))]
    mux.remove_model(BIG)
    heard += list(stream)
    assert "".join(c.delta.content or "" for one in heard for c in one.choices) == "You said: Hello"
    assert not provider.requests[0].disconnected
    wait_until(lambda: not provider.connections)


def test_what_is_under_way_elsewhere_at_the_same_address_too(net: Devnet, mux: Multiplexer) -> None:
    """Connections belong to an address, which may be there under several names and tiers."""
    provider = net.providers[0]
    net.token_delay = 0.005
    mux.add_model(endpoint(provider), 1, BIG)
    mux.add_fallback_model(endpoint(provider), 1, SMALL)
    stream = mux.chat_sync(model=SMALL, messages=HELLO, stream=True)
    next(iter(stream))
    mux.remove_model(BIG)
    assert list(stream)[-1].usage is not None


def test_exchange(net: Devnet, mux: Multiplexer) -> None:
    first, second, third = (
        Endpoint("provider", p.base_url, Bearer(Secret(p.api_key or ""), p.url),
                 models=frozenset({BIG})) for p in net.providers
    )  # fmt: skip
    mux.exchange((), [first, second])
    ask(mux, BIG)
    mux.exchange([first], [third])
    assert {one.base_url for one in mux.endpoints()} == {second.base_url, third.base_url}
    mux.exchange([first], ())


def test_an_address_of_one_s_own(net: Devnet, mux: Multiplexer) -> None:
    provider = net.providers[0]
    with openai.OpenAI(base_url="https://elsewhere.test/v1", api_key=provider.api_key) as one:
        mux.add_model(one, 1, BIG, base_url=provider.base_url)
    assert ask(mux, BIG)
    assert met(provider) == 1


def test_an_asynchronous_client_is_a_client(net: Devnet, mux: Multiplexer) -> None:
    provider = net.providers[0]
    one = openai.AsyncOpenAI(base_url=provider.base_url, api_key=provider.api_key)
    mux.add_model(one, 1, BIG)
    assert ask(mux, BIG)


@pytest.mark.parametrize("weight", [0, -1, float("nan")])
def test_weights_that_are_none(net: Devnet, mux: Multiplexer, weight: float) -> None:
    with pytest.raises(GonkaRegistrationError, match="weight of 'm/big'"):
        mux.add_model(endpoint(net.providers[0]), weight, BIG)
    assert mux.endpoints() == ()


def test_statistics_are_by_endpoint_and_model(net: Devnet, mux: Multiplexer) -> None:
    mux.add_model(endpoint(net.providers[0]), 2, BIG)
    ask(mux, BIG)
    [state] = mux.get_stats()["endpoints"]
    assert (state["kind"], state["weight"], state["tier"]) == ("provider", 2.0, 0)
    assert state["models"][BIG]["served"] == 1
    assert mux.stats() == mux.get_stats()
    assert mux.epoch is None
