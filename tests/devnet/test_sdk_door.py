"""The openai SDK on the pool: everything it can do, and its own errors for what went wrong."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pool_doors import (
    HELLO,
    MODEL,
    SAID,
    async_sdk_over,
    gateways_of,
    met,
    providers_of,
    sdk_over,
    session_over,
    wait_until,
)
from pydantic import BaseModel

from gonka_integrations.core.client_factory import GonkaClientFactory
from gonka_integrations.core.discovery import EndpointDiscovery
from gonka_integrations.core.http_stack import httpx
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault
from gonka_integrations.errors import (
    GonkaClassicInferenceGoneError,
    GonkaEndpointsExhaustedError,
    GonkaTimeoutError,
    StreamInterruptedError,
)

LONG: list[Any] = [{"role": "user", "content": " ".join(f"word{n}" for n in range(60))}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


@pytest.fixture
def session(devnet: Devnet) -> Iterator[GonkaSession]:
    with session_over(devnet) as session:
        yield session


@pytest.fixture
def client(session: GonkaSession) -> Iterator[openai.OpenAI]:
    with sdk_over(session) as client:
        yield client


@pytest.fixture(params=["aiohttp", "httpcore"])
def async_stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of asynchronous connections: with aiohttp, and as if it were not installed."""
    if request.param == "httpcore":
        monkeypatch.setitem(sys.modules, "aiohttp", None)
    else:
        pytest.importorskip("aiohttp")
    return str(request.param)


class Weather(BaseModel):
    city: str
    degrees: int


# What it can do.


def test_plain(client: openai.OpenAI, devnet: Devnet) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].logprobs is None
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0
    assert met(*devnet.hosts) == 1


def test_stream(client: openai.OpenAI) -> None:
    heard, usage, ends = "", None, []
    with client.chat.completions.create(
        model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as chunks:
        for chunk in chunks:
            usage = chunk.usage or usage
            heard += "".join(choice.delta.content or "" for choice in chunk.choices)
            ends += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    assert (heard, ends) == (SAID, ["stop"])
    assert usage is not None


def test_tools(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, tools=TOOLS)
    call: Any = (answer.choices[0].message.tool_calls or [])[0]
    assert call.function.name == "weather"
    assert "city" in json.loads(call.function.arguments)
    assert answer.choices[0].finish_reason == "tool_calls"
    said: list[Any] = [
        *HELLO,
        answer.choices[0].message.to_dict(),
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
    ]
    again = client.chat.completions.create(model=MODEL, messages=said, tools=TOOLS)
    assert again.choices[0].message.content


def test_tools_in_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model=MODEL, messages=HELLO, tools=TOOLS) as stream:
        stream.until_done()
    call: Any = (stream.get_final_completion().choices[0].message.tool_calls or [])[0]
    assert call.function.name == "weather"


def test_structured_output(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Weather)
    assert isinstance(answer.choices[0].message.parsed, Weather)
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, response_format=Weather
    ) as stream:
        parsed = stream.get_final_completion().choices[0].message.parsed
    assert isinstance(parsed, Weather)


def test_raw_responses_say_who_served(client: openai.OpenAI, devnet: Devnet) -> None:
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    host = next(host for host in devnet.hosts if host.request_count)
    assert raw.headers["x-gonka-kind"] == "participant"
    assert raw.headers["x-gonka-address"] == host.address
    assert raw.headers["x-gonka-endpoint"] == f"{host.url}/v1"
    assert raw.headers["x-gonka-attempts"] == "1"
    assert raw.parse().choices[0].message.content == SAID
    served = raw.http_response.extensions["gonka"]
    assert (served.address, served.failovers) == (host.address, 0)


def test_streaming_responses(client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(
        model=MODEL, messages=HELLO, stream=True
    ) as raw:
        lines = [line for line in raw.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    assert all(line.startswith("data: ") for line in lines)


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]


def test_unknown_routes_are_the_endpoints_own_refusal(
    client: openai.OpenAI, session: GonkaSession
) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model=MODEL, input="x")
    assert "404" in str(caught.value)
    assert len(caught.value.response.extensions["gonka"]) == 3  # each was asked once
    with pytest.raises(openai.NotFoundError):
        client.get("/nowhere", cast_to=object)
    # Nothing of it was held against the hosts.
    assert all(one["out_because"] == "" for one in session.stats()["endpoints"])
    assert client.chat.completions.create(model=MODEL, messages=HELLO).choices


def test_a_route_is_looked_for_in_every_tier() -> None:
    with (
        Devnet(hosts=2, gateways=0, providers=1) as net,
        session_over(net, fallbacks=providers_of(net)) as session,
        sdk_over(session) as client,
        pytest.raises(openai.NotFoundError) as caught,
    ):
        client.embeddings.create(model=MODEL, input="x")
    tried = [attempt.kind for attempt in caught.value.response.extensions["gonka"]]
    assert tried == ["participant", "participant", "provider"]


def test_providers_routes_are_passed_on() -> None:
    with Devnet(hosts=0, gateways=0, providers=1) as net:
        fallbacks = providers_of(net)
        with (
            session_over(net, endpoints=None, private_key=None, fallbacks=fallbacks) as session,
            sdk_over(session) as client,
        ):
            assert [model.id for model in client.models.list()] == [MODEL]
            with pytest.raises(openai.NotFoundError):
                client.embeddings.create(model=MODEL, input="x")


async def test_asynchronous(devnet: Devnet, async_stack: str) -> None:
    async with session_over(devnet) as session, async_sdk_over(session) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
        assert answer.choices[0].message.content == SAID
        async with await client.chat.completions.create(
            model=MODEL, messages=HELLO, stream=True
        ) as chunks:
            heard = [chunk async for chunk in chunks]
        said = "".join(c.delta.content or "" for chunk in heard for c in chunk.choices)
        assert said == SAID
        parsed = await client.chat.completions.parse(
            model=MODEL, messages=HELLO, response_format=Weather
        )
        assert isinstance(parsed.choices[0].message.parsed, Weather)
        raw = await client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
        assert raw.headers["x-gonka-kind"] == "participant"
        assert [model.id async for model in client.models.list()] == [MODEL]
        with pytest.raises(openai.NotFoundError):
            await client.embeddings.create(model=MODEL, input="x")


# What goes wrong.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_errors_are_the_sdks_own(
    devnet: Devnet, status: int, kind: type[openai.APIStatusError]
) -> None:
    for host in devnet.hosts:
        host.fault = Fault("status", status=status, body={"error": f"host {host.index} says no"})
    with session_over(devnet, max_retries=1) as session, sdk_over(session) as client:
        with pytest.raises(kind) as caught:
            client.chat.completions.create(model=MODEL, messages=HELLO)
        tried = caught.value.response.extensions["gonka"]
        assert 1 <= len(tried) <= 2
        assert met(*devnet.hosts) == len(tried), "the SDK repeated what had been repeated"
        assert all(attempt.status == status for attempt in tried)
        for attempt in tried:
            assert attempt.endpoint in str(caught.value)
        assert "says no" in str(caught.value)
        assert caught.value.status_code == status


@pytest.mark.parametrize("stream", [False, True])
def test_nobody_there(devnet: Devnet, stream: bool) -> None:
    for host in devnet.hosts:
        host.kill()
    with (
        session_over(devnet, max_retries=2) as session,
        sdk_over(session) as client,
        pytest.raises(GonkaEndpointsExhaustedError) as caught,
    ):
        client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert len(caught.value.attempts) == 3
    assert all(host.url in str(caught.value) for host in devnet.hosts)


async def test_nobody_there_for_event_loops(devnet: Devnet, async_stack: str) -> None:
    for host in devnet.hosts:
        host.kill()
    async with session_over(devnet, max_retries=2) as session, async_sdk_over(session) as client:
        with pytest.raises(openai.APIConnectionError) as caught:
            await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert all(host.url in str(caught.value) for host in devnet.hosts)


def test_retired_hosts_name_the_other_way(client: openai.OpenAI, devnet: Devnet) -> None:
    devnet.classic_gone = True
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=MODEL, messages=HELLO)
    assert caught.value.status_code == 410
    assert "gateway" in str(caught.value)
    assert "base_url" in str(caught.value)


def test_a_retired_network_through_the_other_door(devnet: Devnet, session: GonkaSession) -> None:
    devnet.classic_gone = True
    with pytest.raises(GonkaClassicInferenceGoneError, match="base_url"):
        session.chat.complete({"model": MODEL, "messages": HELLO})


def test_the_sdks_timeout_bounds_the_whole_call(devnet: Devnet) -> None:
    for host in devnet.hosts:
        host.fault = Fault("hang")
    with session_over(devnet) as session, sdk_over(session) as client:
        with pytest.raises(openai.APITimeoutError) as caught:
            client.chat.completions.create(model=MODEL, messages=HELLO, timeout=0.2)
        assert isinstance(caught.value, GonkaTimeoutError)
        assert len(caught.value.attempts) >= 1
        for host in devnet.hosts:
            host.fault = None
        assert client.chat.completions.create(model=MODEL, messages=HELLO, timeout=5).choices


async def test_the_async_sdks_timeout(devnet: Devnet, async_stack: str) -> None:
    for host in devnet.hosts:
        host.fault = Fault("hang")
    async with session_over(devnet) as session, async_sdk_over(session) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model=MODEL, messages=HELLO, timeout=0.2)


def test_a_failing_host_is_replaced_unseen(client: openai.OpenAI, devnet: Devnet) -> None:
    devnet.hosts[0].fault = Fault("role_then_cut")
    devnet.hosts[1].fault = Fault("html", status=502)
    for _ in range(10):
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
        assert raw.parse().choices[0].message.content == SAID
        assert raw.headers["x-gonka-address"] == devnet.hosts[2].address


def test_a_broken_stream_is_an_error_of_the_sdks_family(devnet: Devnet) -> None:
    for host in devnet.hosts:
        host.fault = Fault("cut", after_tokens=5)
    with session_over(devnet) as session, sdk_over(session) as client:
        heard: list[str] = []
        stream = client.chat.completions.create(model=MODEL, messages=LONG, stream=True)
        with pytest.raises(StreamInterruptedError) as caught:
            heard.extend(chunk.choices[0].delta.content or "" for chunk in stream)
        assert isinstance(caught.value, openai.OpenAIError)
        assert caught.value.partial_text == "".join(heard) != ""


# What it leaves behind.


def test_a_stream_closed_early_frees_its_lease_and_connection(devnet: Devnet) -> None:
    devnet.token_delay = 0.02
    with session_over(devnet) as session, sdk_over(session) as client:
        stream = client.chat.completions.create(model=MODEL, messages=LONG, stream=True)
        next(iter(stream))
        assert session.pool.in_flight() == 1
        stream.close()
        assert session.pool.in_flight() == 0
        wait_until(lambda: not any(host.connections or host.in_flight for host in devnet.hosts))
        assert any(one.disconnected for host in devnet.hosts for one in host.requests)


async def test_an_async_stream_closed_early(devnet: Devnet, async_stack: str) -> None:
    devnet.token_delay = 0.02
    async with session_over(devnet) as session, async_sdk_over(session) as client:
        stream = await client.chat.completions.create(model=MODEL, messages=LONG, stream=True)
        await anext(aiter(stream))
        assert session.pool.in_flight() == 1
        await stream.close()
        assert session.pool.in_flight() == 0
        async with asyncio.timeout(10):
            while any(host.connections for host in devnet.hosts):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def test_a_stream_left_in_its_context(client: openai.OpenAI, session: GonkaSession) -> None:
    with client.chat.completions.create(model=MODEL, messages=LONG, stream=True) as stream:
        next(iter(stream))
    assert session.pool.in_flight() == 0


def test_a_forgotten_stream_frees_its_lease(client: openai.OpenAI, session: GonkaSession) -> None:
    stream = client.chat.completions.create(model=MODEL, messages=LONG, stream=True)
    next(iter(stream))
    del stream
    wait_until(lambda: session.pool.in_flight() == 0)


@pytest.mark.parametrize("stream", [False, True])
def test_connections_are_reused(devnet: Devnet, stream: bool) -> None:
    host = devnet.hosts[0]
    with session_over(devnet, endpoints=host.endpoint) as session, sdk_over(session) as client:
        for _ in range(12):
            answer = client.chat.completions.create(model=MODEL, messages=HELLO, stream=stream)
            if stream:
                assert list(answer)
        assert met(host) == 12
        assert host.accepted == 1
    assert session.pool.in_flight() == 0


async def test_async_connections_are_reused(devnet: Devnet, async_stack: str) -> None:
    host = devnet.hosts[0]
    async with (
        session_over(devnet, endpoints=host.endpoint) as session,
        async_sdk_over(session) as client,
    ):
        for _ in range(8):
            stream = await client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
            assert [chunk async for chunk in stream]
            await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert host.accepted == 1


def test_one_async_client_in_several_loops(devnet: Devnet, async_stack: str) -> None:
    with session_over(devnet) as session:
        client = async_sdk_over(session)
        said: list[str | None] = []

        async def talk() -> None:
            for _ in range(3):
                answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
                said.append(answer.choices[0].message.content)

        asyncio.run(talk())
        threads = [threading.Thread(target=asyncio.run, args=(talk(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        asyncio.run(client.close())
        assert said == [SAID] * 12
    assert session.pool.in_flight() == 0
    wait_until(lambda: not any(host.connections for host in devnet.hosts))


# Clients that are made for a participant.


def test_a_client_for_one_participant(devnet: Devnet) -> None:
    found = EndpointDiscovery(devnet.source_url).discover().participants
    factory = GonkaClientFactory(devnet.private_key)
    assert factory.requester_address == factory.address == devnet.requester_address
    for participant in found:
        host = devnet.host_of(participant.address)
        before = met(*devnet.hosts)
        with factory.create_client(participant) as client:
            assert client.max_retries == 0
            answer = client.chat.completions.create(model=MODEL, messages=HELLO)
            assert answer.choices[0].message.content == SAID
        assert met(*devnet.hosts) == before + 1
        assert met(host) == 1
        assert host.requests[0].headers["x-requester-address"] == devnet.requester_address


async def test_an_async_client_for_one_participant(devnet: Devnet, async_stack: str) -> None:
    found = await EndpointDiscovery(devnet.source_url).async_discover()
    factory = GonkaClientFactory(devnet.private_key)
    async with factory.create_async_client(found.participants[1], timeout=9) as client:
        assert client.timeout == 9
        answer = await client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == SAID
    assert met(devnet.host_of(found.participants[1].address)) == 1


def test_a_factorys_client_over_the_whole_pool(
    devnet: Devnet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONKA_ENDPOINTS", ",".join(devnet.endpoints))
    monkeypatch.setenv("GONKA_PRIVATE_KEY", devnet.private_key)
    devnet.hosts[0].kill()
    with GonkaClientFactory().create_client() as client:
        for _ in range(5):
            assert client.chat.completions.create(model=MODEL, messages=HELLO).choices


def test_each_attempt_is_signed_anew(devnet: Devnet) -> None:
    """A client for one participant that fails once asks again with another signature."""
    host = devnet.hosts[0]
    host.fault = Fault("status", status=503, times=1)
    found = EndpointDiscovery(devnet.source_url).discover().participants
    participant = next(one for one in found if one.address == host.address)
    with GonkaClientFactory(devnet.private_key).create_client(participant) as client:
        assert client.chat.completions.create(model=MODEL, messages=HELLO).choices
    first, second = host.requests
    assert first.headers["authorization"] != second.headers["authorization"]
    assert first.body == second.body


def test_libraries_that_take_an_http_client(devnet: Devnet) -> None:
    """As frameworks do it: their own key, base URL, headers and time-outs, our http_client."""
    gateways = gateways_of(devnet)
    with session_over(devnet, gateways=gateways, private_key=None, endpoints=None) as session:
        from gonka_integrations.core.transport import MultiplexTransport

        http_client = httpx.Client(transport=MultiplexTransport(session))
        with openai.OpenAI(
            base_url="https://api.openai.com/v1",
            api_key="sk-of-the-framework",
            http_client=http_client,
            organization="org",
            default_headers={"X-Trace": "7"},
        ) as client:
            client.chat.completions.create(model=MODEL, messages=HELLO, user="me")
    [request] = devnet.gateway.requests
    assert request.headers["authorization"] == f"Bearer {devnet.gateway.api_key}"
    assert request.headers["x-trace"] == "7"
    assert "sk-of-the-framework" not in str(request.headers)
    assert not any(name.startswith(("x-stainless", "openai-")) for name in request.headers)
