"""The network starts, stops, and leaves nothing behind; and it works as a program."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from devnet_wire import ask, ask_gateway, chat, events, new_client, text_of

from gonka_integrations.devnet import Devnet, Fault, Reply
from gonka_integrations.devnet.servers import Listener
from gonka_integrations.devnet.upstream import UpstreamEngine


def test_leaves_no_thread_no_socket_no_task() -> None:
    before = set(threading.enumerate())
    with new_client() as client:
        with Devnet(hosts=3, gateways=2, providers=1) as net:
            net.hosts[1].fault = Fault("hang")
            net.hosts[2].fault = Fault("hang_mid_stream")
            waiting = []
            for host in net.hosts:
                peer = threading.Thread(target=_ask_in_vain, args=(net, host))
                peer.start()
                waiting.append(peer)
            _wait_until(lambda: sum(host.in_flight for host in net.hosts) == 2)
            net.hosts[0].kill()
            ports = [server.listener.port for server in net.servers]
        for peer in waiting:
            peer.join()
        assert set(threading.enumerate()) <= before
        for port in ports:
            with pytest.raises(httpx.ConnectError):
                client.get(f"http://127.0.0.1:{port}/")
    gc.collect()


@pytest.mark.parametrize("turns", range(4))
async def test_connections_accepted_while_closing_are_closed(turns: int) -> None:
    async def nothing(*_: Any) -> None: ...

    listener = Listener(nothing)
    await listener.open()
    with socket.create_connection(("127.0.0.1", listener.port)) as peer:
        for _ in range(turns):
            await asyncio.sleep(0)
        await listener.close()
        peer.settimeout(10)
        with pytest.raises(ConnectionResetError):
            peer.recv(1)
        assert listener.connections == 0


def _ask_in_vain(net: Devnet, host: Any) -> None:
    with new_client() as client:
        try:
            ask(client, net, host, chat(text="a b c d", stream=True))
        except httpx.HTTPError:
            return


def _wait_until(true: Any) -> None:
    import time

    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.002)


def test_closing_twice_and_starting_again() -> None:
    net = Devnet(hosts=1, gateways=0)
    net.close()
    with net, new_client() as client:
        assert ask(client, net, net.hosts[0], chat()).status_code == 200
    net.close()
    with pytest.raises(RuntimeError, match="not running"):
        net.advance_epoch()


async def test_is_an_async_context_manager_too() -> None:
    async with Devnet(hosts=1, gateways=0) as net, httpx.AsyncClient(verify=False) as client:
        answer = await client.get(f"{net.source_url}/v1/status")
        assert answer.json() == {"status": "ok"}


def test_a_responder_may_not_control_the_network() -> None:
    with Devnet(hosts=1, gateways=0) as net, new_client() as client:
        caught: list[Exception] = []

        def responder(request: dict[str, Any]) -> Reply:
            try:
                net.advance_epoch()
            except RuntimeError as error:
                caught.append(error)
            return Reply("ok")

        net.responder = responder
        assert ask(client, net, net.hosts[0], chat()).status_code == 200
        assert "must not control" in str(caught[0])


def test_keys_come_from_the_seed() -> None:
    first, again, other = (Devnet(hosts=2, gateways=0, seed=seed) for seed in (5, 5, 6))
    with first, again, other:
        addresses = [host.address for host in first.hosts]
        assert [host.address for host in again.hosts] == addresses
        assert {host.address for host in other.hosts}.isdisjoint(addresses)
    assert again.private_key == first.private_key != other.private_key


def test_ports_follow_the_first_one() -> None:
    # Below the range that the system gives away by itself; another test run may be there, though.
    for port in range(20_000, 30_000, 100):
        try:
            net = Devnet(hosts=2, gateways=1, port=port).start()
        except OSError:
            continue
        with net:
            taken = [server.listener.port for server in net.servers]
        assert taken == [port, port + 1, port + 2]
        return
    pytest.fail("no free ports")


def test_a_taken_port_is_an_error_that_leaves_nothing() -> None:
    with Devnet(hosts=1, gateways=0) as net, pytest.raises(OSError, match="in use"):
        Devnet(hosts=1, gateways=0, port=net.hosts[0].listener.port).start()


def test_many_hosts() -> None:
    with Devnet(hosts=200, gateways=0) as net, new_client() as client:
        shown = client.get(f"{net.source_url}/v1/epochs/current/participants").json()
        assert len(shown["active_participants"]["participants"]) == 200
        assert ask(client, net, net.hosts[199], chat()).status_code == 200


class TestUpstream:
    """A network whose hosts forward to a server, here the provider of another network."""

    def test_forwards_plain_and_streamed(self) -> None:
        with Devnet(hosts=0, gateways=0, providers=1) as behind:
            behind.provider.models = ("small",)
            provider = behind.provider
            engine = UpstreamEngine(provider.base_url, api_key=provider.api_key)
            with Devnet(hosts=1, engine=engine) as net, new_client() as client:
                host = net.hosts[0]
                plain = ask(client, net, host, chat()).json()
                assert plain["choices"][0]["message"]["content"] == "You said: Hello"
                assert plain["model"] == "gonka/test-model"
                assert plain["id"] == host.requests[0].headers["authorization"]
                heard = events(ask(client, net, host, chat(stream=True)))
                assert text_of(heard) == "You said: Hello"
                assert heard[-2]["usage"]["completion_tokens"] == 3
                assert net.ledger.accounts[net.requester_address].inferences == 2
                streamed = events(ask_gateway(client, net.gateway, chat(stream=True)))
                assert text_of(streamed) == "You said: Hello"
                assert all(chunk["choices"] for chunk in streamed[:-1])
            assert {record.json["model"] for record in provider.requests} == {"small"}

    def test_failures(self) -> None:
        with Devnet(hosts=0, gateways=0, providers=1) as behind:
            provider = behind.provider
            engine = UpstreamEngine(provider.base_url, model="m", api_key=provider.api_key)
            with Devnet(hosts=1, engine=engine) as net, new_client() as client:
                host = net.hosts[0]
                provider.fault = Fault("cut", after_tokens=1)
                answer = ask(client, net, host, chat(stream=True))
                assert answer.text.endswith("}]}\n\nupstream: RemoteProtocolError\n")
                assert host.requests[-1].outcome == "failed"
                answer = ask_gateway(client, net.gateway, chat(stream=True))
                assert "inference failed: upstream" in answer.text
                provider.kill()
                answer = ask(client, net, host, chat())
                assert answer.status_code == 500
                assert "code = 502. error = upstream: ConnectError" in answer.json()["error"]

    def test_a_client_that_leaves_ends_the_call_behind(self) -> None:
        with Devnet(hosts=0, gateways=0, providers=1) as behind:
            provider = behind.provider
            provider.fault = Fault("hang")
            engine = UpstreamEngine(provider.base_url, model="m", api_key=provider.api_key)
            with Devnet(hosts=1, engine=engine) as net:
                with new_client(0.1) as client, pytest.raises(httpx.ReadTimeout):
                    ask(client, net, net.hosts[0], chat())
                _wait_until(lambda: provider.in_flight == net.hosts[0].in_flight == 0)
                assert provider.requests[0].disconnected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_as_a_program(number: int) -> None:
    command = [sys.executable, "-m", "gonka_integrations.devnet", "--hosts", "2", "--port", "0"]
    command += ["--providers", "1", "--epoch-seconds", "0.2"]
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        try:
            heard = ""
            while "epoch 2: 1 participants" not in heard:
                line = program.stdout.readline()
                assert line, program.stderr.read()
                heard += line
            [source] = re.findall(r"export GONKA_SOURCE_URL=(\S+)", heard)
            with new_client() as client:
                assert client.get(f"{source}/v1/status").status_code == 200
                assert client.get(f"{source}/v1/epochs/latest").json()["phase"] == "Inference"
        finally:
            program.send_signal(number)
        assert program.wait(10) == 0
        assert program.stderr.read() == ""


def test_a_hundred_streams_at_once() -> None:
    async def run(net: Devnet) -> list[str]:
        async with httpx.AsyncClient(verify=False, timeout=20) as client:

            async def one(number: int) -> str:
                headers = {"Authorization": f"Bearer {net.gateway.api_key}"}
                url = f"{net.gateway.base_url}/chat/completions"
                body = chat(text=f"number {number}", stream=True)
                return text_of(events(await client.post(url, json=body, headers=headers)))

            return await asyncio.gather(*(one(number) for number in range(100)))

    with Devnet(hosts=0, token_delay=0.01) as net:
        texts = asyncio.run(run(net))
        assert texts == [f"You said: number {number}" for number in range(100)]
        assert net.gateway.peak_in_flight > 50
        assert net.gateway.in_flight == 0
