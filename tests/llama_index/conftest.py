"""What the tests of GonkaLLM share: a local network, and a model on it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from gonka_integrations.devnet import Devnet, RecordedRequest
from gonka_integrations.llama_index import GonkaLLM

MODEL = "gonka/test-model"
gc.freeze()  # what is imported by now stays; collecting after each test need not look at it


@pytest.fixture(scope="module")
def network() -> Iterator[Devnet]:
    """One network for a whole file, for tests that leave it as they find it."""
    with Devnet(hosts=3, gateways=1, providers=1) as net:
        yield net


@pytest.fixture
def net(network: Devnet) -> Iterator[Devnet]:
    """The network of the file, with the scripted model, nothing recorded and nothing broken."""
    network.responder = None
    for server in network.servers:
        server.requests.clear()
    yield network
    network.responder = None
    for server in network.servers:
        server.fault = None


@pytest.fixture
def make(net: Devnet) -> Callable[..., GonkaLLM]:
    """Makes models that reach the network by its signed path."""

    def build(model: str | None = MODEL, **fields: Any) -> GonkaLLM:
        place = {"source_url": net.source_url, "private_key": net.private_key}
        return GonkaLLM(model, **{**place, **fields})

    return build


@pytest.fixture
def llm(make: Callable[..., GonkaLLM]) -> GonkaLLM:
    """A model on the network."""
    return make()


@pytest.fixture
def at_gateway(net: Devnet) -> GonkaLLM:
    """A model behind the gateway alone."""
    return GonkaLLM(MODEL, base_url=net.gateway.base_url, api_key=net.gateway.api_key)


@pytest.fixture
def sent(net: Devnet) -> Callable[[], list[dict[str, Any]]]:
    """The requests that arrived so far, oldest first, as they were parsed."""

    def read() -> list[dict[str, Any]]:
        return [request.json for request in arrivals(net) if request.json is not None]

    return read


def arrivals(net: Devnet) -> list[RecordedRequest]:
    """Every request that any server of the network met, oldest first."""
    met = [request for server in net.servers for request in server.requests]
    return sorted(met, key=lambda request: request.time)


@pytest.fixture(autouse=True)
def _no_forgotten_streams() -> Iterator[None]:
    """What a test leaves to the garbage collector is complained of in that test, not in another."""
    yield
    gc.collect()
