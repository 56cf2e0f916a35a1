"""Fixtures of the LangChain tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gonka_integrations import ChatGonka
from gonka_integrations._langchain import connection
from gonka_integrations.devnet import Devnet

MODEL = "gonka/test-model"


@pytest.fixture(params=["participants", "gateway"])
def route(request: pytest.FixtureRequest) -> str:
    """How the network is reached."""
    return str(request.param)


@pytest.fixture
def model(devnet: Devnet) -> Callable[..., ChatGonka]:
    """Makes models that reach the devnet by signed requests."""
    return lambda **more: ChatGonka(**(signed(devnet) | more))


@pytest.fixture
def routed(devnet: Devnet, route: str) -> Callable[..., ChatGonka]:
    """Makes models that reach the devnet by either route."""
    given = signed(devnet) if route == "participants" else opened(devnet)
    return lambda **more: ChatGonka(**(given | more))


def signed(net: Devnet) -> dict[str, Any]:
    """Constructor arguments for the participants of *net*."""
    return {"model": MODEL, "private_key": net.private_key, "source_url": net.source_url}


def opened(net: Devnet) -> dict[str, Any]:
    """Constructor arguments for the gateway of *net*."""
    gateway = net.gateway
    return {"model": MODEL, "base_url": gateway.base_url, "api_key": gateway.api_key}


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine."""
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LC_OUTPUT_VERSION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _no_lingering_sessions() -> Iterator[None]:
    """A session of one test does not look for its closed network in the next."""
    yield
    connection._lingering.clear()


@pytest.fixture
def benchmark(benchmark: Any) -> Any:
    """Runs what the standard suite would measure, once: figures belong to the benchmarks."""
    benchmark.disabled = True
    return benchmark
