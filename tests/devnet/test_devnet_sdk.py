"""The official SDK as a client: what it makes of each kind of server and of their failures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from devnet_wire import signed

from gonka_integrations.devnet import Devnet, Fault

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=1, providers=1) as net:
        yield net


@pytest.fixture(params=["gateway", "provider"])
def client(net: Devnet, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    server: Any = getattr(net, request.param)
    with openai.OpenAI(
        api_key=server.api_key, base_url=server.base_url, max_retries=0, timeout=5
    ) as client:
        yield client


def test_plain(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="gonka/test-model", messages=HELLO)
    assert answer.choices[0].message.content == "You said: Hello"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


def test_stream(client: openai.OpenAI) -> None:
    heard, usage = "", None
    with client.chat.completions.create(
        model="gonka/test-model",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            heard += "".join(choice.delta.content or "" for choice in chunk.choices)
    assert heard == "You said: Hello"
    assert usage is not None
    assert usage.total_tokens == 7


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["gonka/test-model"]


def test_errors(net: Devnet, client: openai.OpenAI) -> None:
    def ask() -> None:
        client.chat.completions.create(model="gonka/test-model", messages=HELLO)

    def fail(fault: Fault) -> None:
        net.gateway.fault = net.provider.fault = fault

    for status, kind in (
        (401, openai.AuthenticationError),
        (429, openai.RateLimitError),
        (503, openai.InternalServerError),
    ):
        fail(Fault("status", status=status))
        with pytest.raises(kind):
            ask()
    for fault in (Fault("reset"), Fault("refuse")):
        fail(fault)
        with pytest.raises(openai.APIConnectionError):
            ask()


def test_a_signed_request_through_the_sdk(net: Devnet) -> None:
    host = net.hosts[0]

    def sign(request: Any) -> None:
        request.headers.update(signed(net, host, request.content))

    http_client = openai.DefaultHttpxClient(event_hooks={"request": [sign]})
    with openai.OpenAI(
        api_key="-", base_url=f"{host.url}/v1", max_retries=0, timeout=5, http_client=http_client
    ) as client:
        answer = client.chat.completions.create(model="gonka/test-model", messages=HELLO)
    assert answer.choices[0].message.content == "You said: Hello"
    assert answer.id == host.requests[0].headers["authorization"]
