"""Sessions over a local network and clients on them, as the tests of the pool need them."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any

import openai

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.http_stack import httpx
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.core.transport import BASE_URL, AsyncMultiplexTransport, MultiplexTransport
from gonka_integrations.devnet import Devnet

MODEL = "gonka/test-model"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": HELLO}
SAID = "You said: Hello"


def session_over(net: Devnet, **options: Any) -> GonkaSession:
    """A session over the hosts of *net*, named one by one unless *options* say where to go."""
    if not options.keys() & {"source_url", "gateways", "base_url", "endpoints"}:
        options["endpoints"] = net.endpoints
    options.setdefault("private_key", net.private_key)
    return GonkaSession(GonkaConfig(**options))


def gateways_of(net: Devnet) -> list[dict[str, Any]]:
    return [{"base_url": one.base_url, "api_key": one.api_key} for one in net.gateways]


def providers_of(net: Devnet, **more: Any) -> list[dict[str, Any]]:
    return [{"base_url": one.base_url, "api_key": one.api_key, **more} for one in net.providers]


def sdk_over(engine: Any, **options: Any) -> openai.OpenAI:
    http = httpx.Client(transport=MultiplexTransport(engine))
    return openai.OpenAI(base_url=BASE_URL, api_key="unused", http_client=http, **options)


def async_sdk_over(engine: Any, **options: Any) -> openai.AsyncOpenAI:
    http = httpx.AsyncClient(transport=AsyncMultiplexTransport(engine))
    return openai.AsyncOpenAI(base_url=BASE_URL, api_key="unused", http_client=http, **options)


def text_in(chunks: Iterable[dict[str, Any]]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]
    )


def answer_of(session: GonkaSession, **more: Any) -> str:
    text: str = session.chat.complete({**PAYLOAD, **more}).data["choices"][0]["message"]["content"]
    return text


def met(*servers: Any) -> int:
    """Requests that *servers* have met."""
    return sum(server.request_count for server in servers)


def wait_until(condition: Callable[[], object], patience: float = 10.0) -> None:
    ends = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        gc.collect()
        time.sleep(0.005)
