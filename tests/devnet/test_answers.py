"""A call that is read as a stream inside answers what a plain one answers, from every endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pool_doors import HELLO, MODEL, gateways_of, providers_of, session_over

from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault, Reply, ToolCall

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA = {
    "name": "joke",
    "schema": {"type": "object", "properties": {"setup": {"type": "string"}}},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "unicode": {"messages": [{"role": "user", "content": "Grüße 🌍 日本"}]},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]},
    "limit": {"max_tokens": 2},
    "tools": {"tools": [TOOL]},
    "schema": {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
    "choices": {"n": 3, "temperature": 1},
    "logprobs": {"logprobs": True, "top_logprobs": 5},
    "reasoning": {"reasoning_effort": "low"},
}
# Made anew for every answer.
FLEETING = ("id", "created")


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with Devnet(hosts=1, gateways=1, providers=1) as net:
        net.gateway.cache.keeps = "nothing"
        yield net


def only(net: Devnet, kind: str, **options: Any) -> GonkaSession:
    """A session over one endpoint of that kind."""
    if kind == "participant":
        return session_over(net, **options)
    if kind == "gateway":
        return session_over(net, gateways=gateways_of(net), private_key=None, **options)
    return session_over(net, gateways=(), private_key=None, fallbacks=providers_of(net), **options)


def comparable(data: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in data.items() if name not in FLEETING}
    for choice in shown["choices"]:
        for call in choice["message"].get("tool_calls") or ():
            call["id"] = "any"
    return shown


@pytest.mark.parametrize("kind", ["participant", "gateway", "provider"])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_same(net: Devnet, kind: str, name: str) -> None:
    request = {"model": MODEL, "messages": HELLO, **REQUESTS[name]}
    with only(net, kind) as streamed, only(net, kind, stream_internally=False) as plain:
        one = comparable(streamed.chat.complete(request).data)
        other = comparable(plain.chat.complete(request).data)
        chunks = list(streamed.chat.stream(request))
    for choice in other["choices"]:
        choice.pop("stop_reason", None)  # the devnet says it in plain answers only
    assert one == other
    assert one["usage"]["completion_tokens"] > 0
    assert len(one["choices"]) == request.get("n", 1)
    assert chunks[-1]["usage"]["total_tokens"] == one["usage"]["total_tokens"]
    if kind == "participant":
        asked = name == "logprobs"
        assert all((choice["logprobs"] is not None) is asked for choice in one["choices"])
        assert "token_ids" not in str(one)


def test_what_hosts_call_answers_is_unique(net: Devnet) -> None:
    with only(net, "participant") as session:
        ids = {session.chat.complete({"model": MODEL, "messages": HELLO}).data["id"]
               for _ in range(3)}  # fmt: skip
    assert len(ids) == 3


def test_a_failure_that_a_gateway_remembers_is_not_asked_for_again(net: Devnet) -> None:
    gateway = net.gateway
    gateway.cache.keeps = "everything"
    try:
        gateway.fault = Fault("status", status=503, times=1)
        with only(net, "gateway") as session:
            answer = session.chat.complete({"model": MODEL, "messages": HELLO})
            assert [one.status for one in answer.served.attempts] == [503, None]
            again = session.chat.complete({"model": MODEL, "messages": HELLO})
            assert [one.status for one in again.served.attempts] == [503, None]
        sent = [one.json for one in gateway.requests[-4:]]
        users = [one.get("user") for one in sent if one]
        assert users[0] is users[2] is None
        assert users[1] != users[3]
    finally:
        gateway.cache.keeps = "nothing"
        gateway.fault = None


def test_calls_in_pieces_of_any_shape(net: Devnet) -> None:
    arguments = '{"city": "Paris", "days": [1, 2, 3]}'
    before = net.responder
    net.responder = lambda _: Reply(None, tool_calls=[ToolCall("weather", arguments, "call_1")])
    try:
        with only(net, "participant") as session:
            answer = session.chat.complete({"model": MODEL, "messages": HELLO, "tools": [TOOL]})
    finally:
        net.responder = before
    message = answer.data["choices"][0]["message"]
    assert message["tool_calls"] == [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": arguments},
        }
    ]
    assert message["content"] is None
