"""Requests to other routes: passed on as they are, retried like any other."""

from __future__ import annotations

import json

import pytest
from made import account, gateway, node, provider
from scripted_wire import Says, World, answers, refuses

from gonka_integrations import errors
from gonka_integrations.core.forwarding import Answer, Forward
from gonka_integrations.core.served import CallOptions
from gonka_integrations.core.signing import sign_request


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def forward(world: World, method: str, path: str, body: bytes = b"", **options: object) -> Answer:
    payload = json.loads(body) if body else {}
    request = Forward(
        world.context, payload, CallOptions(**options),  # type: ignore[arg-type]
        method=method, path=path, body=body,
    )  # fmt: skip
    return world.run(request.answer())


def test_a_read_from_a_node_is_not_signed(asynchronous: bool) -> None:
    world = World(node(1), asynchronous=asynchronous)
    world.script(host1=Says([b'{"data"', b":[]}"], headers={"content-type": "text/json"}))
    answer = forward(world, "GET", "/models?x=1")
    assert (answer.content, answer.content_type) == (b'{"data":[]}', "text/json")
    assert answer.served.endpoint == "http://host1.test/v1"
    request = world.connections.requests[0]
    assert (request.method, request.url) == ("GET", "http://host1.test/v1/models?x=1")
    assert "Authorization" not in world.headers()
    assert "Content-Type" not in world.headers()
    world.nothing_is_left()


def test_a_gateway_is_shown_its_key(asynchronous: bool) -> None:
    world = World(gateway(), asynchronous=asynchronous)
    world.script(gate0=Says([b"{}"]))
    assert forward(world, "GET", "/models").content_type == "application/json"
    assert world.headers()["Authorization"] == "Bearer gk-0"


def test_a_post_is_signed_over_its_bytes(asynchronous: bool) -> None:
    world = World(node(1), asynchronous=asynchronous)
    world.script(host1=Says([b"{}"]))
    body = b'{ "model": "llama",  "prompt": "x" }'
    forward(world, "POST", "/completions", body)
    assert world.connections.requests[0].body == body
    headers = world.headers()
    moment = int(headers["X-Timestamp"])
    expected = sign_request(account(), body, moment, node(1).address or "")
    assert headers["Authorization"] == expected
    assert headers["Content-Type"] == "application/json"


def test_only_the_model_s_name_is_changed(asynchronous: bool) -> None:
    world = World(provider(tier=0, model_map={"llama": "gpt"}), asynchronous=asynchronous)
    world.script(prov0=Says([b"{}"]))
    forward(world, "POST", "/embeddings", b'{"model":"llama","input":"x"}')
    assert world.sent() == {"model": "gpt", "input": "x"}
    forward(world, "POST", "/embeddings", b'{"model":"other","input":"x"}')
    assert world.sent() == {"model": "other", "input": "x"}


def test_another_host_may_answer(asynchronous: bool) -> None:
    world = World(node(0, weight=1e9), node(1), node(2), asynchronous=asynchronous)
    world.script(host0=refuses(), host1=answers(503), host2=answers(503))
    with pytest.raises(errors.GonkaServerError) as caught:
        forward(world, "GET", "/models", max_retries=2)
    assert {one.outcome for one in caught.value.attempts} == {"refused", "status"}
    world.script(host1=Says([b"[]"]), host2=Says([b"[]"]))
    assert forward(world, "GET", "/models").content == b"[]"
    world.nothing_is_left()
