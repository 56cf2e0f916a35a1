"""Every fault as a client meets it on a real socket."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from devnet_wire import ask, ask_gateway, body_of, chat, events, new_client, signed, text_of

from gonka_integrations.devnet import Devnet, Fault, RecordedRequest

TEXT = "one two three four five six"
"""Answered as `You said: one two …`: eight deltas."""


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with Devnet(hosts=2, gateways=1) as net:
        yield net


@pytest.fixture(autouse=True)
def _healthy(net: Devnet) -> Iterator[None]:
    yield
    for server in net.servers:
        server.fault = server.read_fault = None
        server.revive()
        server.requests.clear()
        server.reads.clear()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with new_client() as client:
        yield client


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def stream(client: httpx.Client, net: Devnet) -> httpx.Response:
    return ask(client, net, net.hosts[0], chat(text=TEXT, stream=True))


def torn_stream(net: Devnet) -> tuple[list[Any], Exception]:
    """Events that arrived of a stream that breaks, and how it broke."""
    host, body = net.hosts[0], body_of(chat(text=TEXT, stream=True))
    arrived = []
    with new_client() as client:
        url = f"{host.url}/v1/chat/completions"
        with client.stream("POST", url, content=body, headers=signed(net, host, body)) as answer:
            assert answer.status_code == 200
            try:
                arrived.extend(
                    json.loads(line.removeprefix("data: "))
                    for line in answer.iter_lines()
                    if line.startswith("data: {")
                )
            except httpx.HTTPError as error:
                return arrived, error
    raise AssertionError("the stream did not break")


def test_refuse_closes_the_listening_socket(net: Devnet, client: httpx.Client) -> None:
    host = net.hosts[0]
    client.get(f"{host.url}/v1/status")
    host.fault = Fault("refuse")
    assert not host.alive
    assert host.connections == 0, "open connections are dropped as well"
    with socket.socket() as peer:
        assert peer.connect_ex(("127.0.0.1", host.listener.port)) == errno.ECONNREFUSED
    with pytest.raises(httpx.ConnectError):
        client.get(f"{host.url}/v1/status")
    host.fault = None
    assert stream(client, net).status_code == 200


def test_a_counted_refusal_resets_connections_instead(net: Devnet) -> None:
    net.hosts[0].fault = Fault("refuse", times=2)
    outcomes = []
    for _ in range(3):
        with new_client() as client:
            try:
                outcomes.append(ask(client, net, net.hosts[0], chat()).status_code)
            except httpx.HTTPError as error:
                outcomes.append(type(error).__name__)
    assert outcomes[2] == 200, outcomes
    assert all(
        outcome in {"ConnectError", "ReadError", "WriteError", "RemoteProtocolError"}
        for outcome in outcomes[:2]
    ), outcomes


def test_kill_and_revive_on_the_same_port(net: Devnet, client: httpx.Client) -> None:
    host = net.hosts[0]
    url = host.url
    for _ in range(3):
        host.kill()
        with pytest.raises(httpx.TransportError):
            client.get(f"{url}/v1/status")
        host.revive()
        assert host.url == url
        assert client.get(f"{url}/v1/status").status_code == 200


def test_a_killed_host_stays_dead_when_its_fault_goes(net: Devnet, client: httpx.Client) -> None:
    host = net.hosts[0]
    host.kill()
    host.fault = Fault("refuse")
    host.fault = None
    with pytest.raises(httpx.ConnectError):
        client.get(f"{host.url}/v1/status")


def test_kill_in_the_middle_of_a_stream(net: Devnet) -> None:
    net.hosts[0].fault = Fault("hang_mid_stream", after_tokens=1)
    host, body = net.hosts[0], body_of(chat(text=TEXT, stream=True))
    with (
        new_client() as client,
        client.stream(
            "POST",
            f"{host.url}/v1/chat/completions",
            content=body,
            headers=signed(net, host, body),
        ) as answer,
    ):
        lines = answer.iter_lines()
        next(lines)
        host.kill()
        with pytest.raises(httpx.ReadError):
            list(lines)
    assert host.in_flight == 0


def test_reset(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("reset")
    with pytest.raises(httpx.ReadError) as caught:
        stream(client, net)
    assert "104" in str(caught.value) or "reset" in str(caught.value).lower()
    assert net.hosts[0].requests[-1].outcome == "fault:reset"


def test_hang_and_a_client_that_leaves(net: Devnet) -> None:
    host = net.hosts[0]
    host.fault = Fault("hang")
    with new_client(0.05) as client, pytest.raises(httpx.ReadTimeout):
        stream(client, net)
    wait_until(lambda: host.in_flight == 0)
    assert host.requests[-1].disconnected
    assert host.requests[-1].outcome == "fault:hang"


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        (Fault("status"), 503, '{"error":"no executors available for model"}\n'),
        (Fault("status", status=429, body={"error": "busy"}), 429, '{"error":"busy"}'),
        (Fault("status", body="c400-replay"), 400, None),
        (Fault("status", status=500, body="broken"), 500, "broken"),
        (Fault("html", status=502), 502, None),
        (Fault("html", status=200), 200, None),
    ],
)
def test_status(
    net: Devnet, client: httpx.Client, *, fault: Fault, status: int, text: str | None, streams: bool
) -> None:
    net.hosts[0].fault = fault
    response = ask(client, net, net.hosts[0], chat(stream=streams))
    assert response.status_code == status
    if text is not None:
        assert response.text == text
    elif fault.kind == "html":
        assert response.headers["content-type"] == "text/html"
        assert f"<h1>{status} " in response.text
    else:
        assert "AuthKey has already been used" in response.json()["error"]


def test_status_with_headers(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("status", status=429, headers={"Retry-After": "7"})
    response = stream(client, net)
    assert response.headers["retry-after"] == "7"
    net.hosts[0].fault = Fault("status", body="g503-retryafter")
    assert stream(client, net).headers["retry-after"] == "10"


def test_garbage_and_empty(net: Devnet, client: httpx.Client) -> None:
    for fault in (Fault("garbage"), Fault("garbage", body="oops"), Fault("empty")):
        net.hosts[0].fault = fault
        for streams in (False, True):
            response = ask(client, net, net.hosts[0], chat(stream=streams))
            assert response.status_code == 200
            with pytest.raises(ValueError, match=r"."):
                response.json()
            assert (response.content == b"") == (fault.kind == "empty")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("kind", "heard"), [("role_then_cut", ""), ("cut", "You said: one")])
def test_a_stream_is_cut(net: Devnet, kind: Any, heard: str, reset: bool) -> None:
    net.hosts[0].fault = Fault(kind, after_tokens=3, reset=reset)
    arrived, error = torn_stream(net)
    assert arrived[0]["choices"][0]["delta"]["role"] == "assistant"
    assert text_of(arrived) == heard
    assert isinstance(error, httpx.ReadError if reset else httpx.RemoteProtocolError)


def test_a_plain_answer_is_cut_in_the_middle(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("cut")
    with pytest.raises(httpx.RemoteProtocolError):
        ask(client, net, net.hosts[0], chat())


def test_no_finish(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("no_finish", after_tokens=2)
    arrived = events(stream(client, net))
    assert text_of(arrived) == "You said:"
    assert "[DONE]" not in arrived
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in arrived)
    plain = ask(client, net, net.hosts[0], chat(text=TEXT)).json()
    assert plain["choices"][0]["finish_reason"] is None
    assert plain["choices"][0]["message"]["content"] == "You said:"


def test_more_tokens_than_there_are_still_leaves_out_the_end(
    net: Devnet, client: httpx.Client
) -> None:
    net.hosts[0].fault = Fault("no_finish", after_tokens=100)
    arrived = events(stream(client, net))
    assert text_of(arrived) == f"You said: {TEXT}"
    assert arrived[-1]["choices"][0]["finish_reason"] is None


@pytest.mark.parametrize("done", [False, True])
def test_error_event(net: Devnet, client: httpx.Client, done: bool) -> None:
    net.hosts[0].fault = Fault("error_event", after_tokens=1, done=done)
    arrived = events(stream(client, net))
    expected: list[Any] = [{"error": {"message": "inference failed: upstream closed"}}]
    assert arrived[2:] == expected + (["[DONE]"] if done else [])


def test_plain_text_tail(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("plain_text_tail")
    assert stream(client, net).text.endswith("}\n\nunexpected end of JSON input\n")


def test_slow(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("slow", delay=0.05, token_delay=0.005)
    begun = time.monotonic()
    assert events(stream(client, net))[-1] == "[DONE]"
    assert time.monotonic() - begun >= 0.05 + 8 * 0.005


def test_times(net: Devnet, client: httpx.Client) -> None:
    net.hosts[0].fault = Fault("status", times=2)
    assert [stream(client, net).status_code for _ in range(4)] == [503, 503, 200, 200]
    net.hosts[0].fault = Fault("status", times=1)
    assert [stream(client, net).status_code for _ in range(2)] == [503, 200]


def test_probability_is_seeded(client: httpx.Client) -> None:
    def run(seed: int) -> list[int]:
        with Devnet(hosts=1, gateways=0, seed=seed) as net:
            net.hosts[0].fault = Fault("status", probability=0.5)
            return [ask(client, net, net.hosts[0], chat()).status_code for _ in range(20)]

    first = run(1)
    assert set(first) == {200, 503}
    assert run(1) == first
    assert run(2) != first


def test_a_function_may_decide(net: Devnet, client: httpx.Client) -> None:
    def only_streams(request: RecordedRequest) -> Fault | None:
        return Fault("status", status=500) if request.streams else None

    net.hosts[0].fault = only_streams
    assert stream(client, net).status_code == 500
    assert ask(client, net, net.hosts[0], chat()).status_code == 200


def test_reads_fail_apart_from_inference(net: Devnet, client: httpx.Client) -> None:
    host = net.hosts[0]
    host.read_fault = Fault("html", status=503)
    assert client.get(f"{host.url}/v1/epochs/current/participants").status_code == 503
    assert stream(client, net).status_code == 200
    assert host.reads == ["/v1/epochs/current/participants"]


def test_gateways_fail_too(net: Devnet, client: httpx.Client) -> None:
    net.gateway.fault = Fault("status", body="g429-conc", times=1)
    assert ask_gateway(client, net.gateway, chat()).status_code == 429
    assert ask_gateway(client, net.gateway, chat()).status_code == 200
    net.gateway.kill()
    with pytest.raises(httpx.TransportError):
        ask_gateway(client, net.gateway, chat())
    net.gateway.revive()
    assert ask_gateway(client, net.gateway, chat()).status_code == 200


def test_bad_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="kind: 'explode'"):
        Fault("explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="probability"):
        Fault("cut", probability=2)
