"""Sessions: who shares them, when they read, how they end; and the multiplexer in front of one."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import openai
import pytest
from pool_doors import (
    HELLO,
    MODEL,
    PAYLOAD,
    SAID,
    answer_of,
    gateways_of,
    met,
    session_over,
    text_in,
    wait_until,
)

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.client_factory import GonkaClientFactory
from gonka_integrations.core.multiplexer import Multiplexer
from gonka_integrations.core.served import AttemptRecord
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault
from gonka_integrations.errors import (
    GonkaAuthenticationError,
    GonkaConfigError,
    GonkaDiscoveryError,
    GonkaModelNotServedError,
    GonkaRegistrationError,
)


def config_of(net: Devnet, **options: Any) -> GonkaConfig:
    return GonkaConfig(source_url=net.source_url, private_key=net.private_key, **options)


# Sharing and life.


def test_equal_configurations_share_one_session(devnet: Devnet) -> None:
    one = GonkaSession.shared(config_of(devnet))
    assert GonkaSession.shared(config_of(devnet)) is one
    assert GonkaSession.shared(config_of(devnet, timeout=9)) is not one
    assert GonkaSession(config_of(devnet)) is not one
    config = pickle.loads(pickle.dumps(config_of(devnet)))
    assert config == one.config
    assert GonkaSession.shared(config) is one


def test_a_session_lives_as_long_as_somebody_uses_it(devnet: Devnet) -> None:
    others = set(threading.enumerate())  # the devnet's, and of sessions that other tests made
    session = GonkaSession.shared(config_of(devnet))
    assert answer_of(session) == SAID
    threads = [one for one in set(threading.enumerate()) - others if one.name.startswith("gonka-")]
    assert threads
    gone = weakref.ref(session)
    del session
    wait_until(lambda: gone() is None)
    wait_until(lambda: not any(one.is_alive() for one in threads))
    wait_until(lambda: not any(host.connections for host in devnet.hosts))


def test_nothing_is_read_before_it_is_needed(devnet: Devnet) -> None:
    with GonkaSession(config_of(devnet)) as session:
        assert (session.epoch, session.participants(), session.endpoints()) == (None, (), ())
        assert not any(host.reads for host in devnet.hosts)
        assert answer_of(session) == SAID
        assert session.epoch == 1
        assert len(session.participants()) == len(session.endpoints()) == 3
        assert session.models() == (MODEL,)


async def test_asynchronously(devnet: Devnet) -> None:
    async with GonkaSession(config_of(devnet)) as session:
        answers = await asyncio.gather(*(session.chat.acomplete(PAYLOAD) for _ in range(8)))
        assert {one.served.epoch for one in answers} == {1}
        reads = [path for host in devnet.hosts for path in host.reads if "participants" in path]
        assert len(reads) == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_calls_on_connections_of_its_own(devnet: Devnet) -> None:
    with GonkaSession(config_of(devnet)) as session:
        assert answer_of(session) == SAID
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if answer_of(session) == SAID else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert answer_of(session) == SAID
    signatures = [one.headers["authorization"] for host in devnet.hosts for one in host.requests]
    assert len(set(signatures)) == len(signatures) == 3


def test_closing_twice_and_calling_again(devnet: Devnet) -> None:
    session = session_over(devnet)
    assert answer_of(session) == SAID
    session.close()
    session.close()
    assert answer_of(session) == SAID
    session.close()


# What it tells.


def test_hooks(devnet: Devnet) -> None:
    failovers: list[AttemptRecord] = []
    epochs: list[tuple[int | None, int, int]] = []

    def broken(*_: object) -> None:
        raise RuntimeError("the user's own fault")

    def changed(old: int | None, new: int, hosts: Sequence[Any]) -> None:
        epochs.append((old, new, len(hosts)))

    with GonkaSession(config_of(devnet, refresh_enabled=False)) as session:
        session.on_failover(broken)
        session.on_failover(failovers.append)
        session.on_epoch_change(broken)
        session.on_epoch_change(changed)
        for host in devnet.hosts:
            host.fault = Fault("status", status=503, times=1)
        assert answer_of(session) == SAID
        devnet.advance_epoch(leave=(1,), join=2)
        session.refresh()
        session.refresh()
    assert 1 <= len(failovers) <= 3
    assert {one.status for one in failovers} == {503}
    assert epochs == [(None, 1, 3), (1, 2, 4)]


def test_stats_are_plain_values(devnet: Devnet) -> None:
    devnet.hosts[0].fault = Fault("status", status=503)
    with GonkaSession(config_of(devnet)) as session:
        for _ in range(10):
            assert answer_of(session) == SAID
        stats = json.loads(json.dumps(session.stats()))
    assert (stats["epoch"], stats["in_flight"]) == (1, 0)
    by_address = {one["address"]: one for one in stats["endpoints"]}
    assert by_address.keys() == {host.address for host in devnet.hosts}
    bad = by_address[devnet.hosts[0].address]["models"].get(MODEL)
    assert bad is None or bad["failures"] == {"status": met(devnet.hosts[0])}
    good = [by_address[host.address]["models"][MODEL] for host in devnet.hosts[1:]]
    assert sum(one["served"] for one in good) == 10
    assert all(one["first_token_seconds"]["p50"] > 0 for one in good)


# When discovery fails.


def test_no_source_names_three_ways() -> None:
    with pytest.raises(GonkaConfigError) as caught:
        GonkaSession(GonkaConfig())
    for way in ("source_url", "base_url", "fallbacks"):
        assert way in str(caught.value)
    with pytest.raises(GonkaConfigError, match="GONKA_PRIVATE_KEY"):
        GonkaSession(GonkaConfig(source_url="http://127.0.0.1:9"))


def test_discovery_that_fails_is_an_error_when_nothing_else_is_there(devnet: Devnet) -> None:
    for host in devnet.hosts:
        host.kill()
    session = GonkaSession(config_of(devnet))
    with pytest.raises(GonkaDiscoveryError, match=devnet.source_url):
        answer_of(session)
    devnet.hosts[0].revive()
    devnet.hosts[1].revive()
    assert answer_of(session) == SAID
    session.close()


def test_discovery_that_fails_beside_a_gateway_is_survived(devnet: Devnet) -> None:
    devnet.hosts[0].kill()
    with session_over(
        devnet, source_url=devnet.source_url, gateways=gateways_of(devnet)
    ) as session:
        assert session.chat.complete(PAYLOAD).served.kind == "gateway"


def test_a_wrong_key_is_one_error_that_says_so(devnet: Devnet) -> None:
    options = {"private_key": "11" * 32, "address": devnet.requester_address}
    with (
        session_over(devnet, **options) as session,
        pytest.raises(GonkaAuthenticationError, match="check the private key") as caught,
    ):
        answer_of(session)
    assert caught.value.status_code == 401
    assert isinstance(caught.value, openai.AuthenticationError)
    assert met(*devnet.hosts) == 2
    assert "11" * 32 not in str(caught.value)


# The multiplexer.


def gateway_client(devnet: Devnet) -> openai.OpenAI:
    return openai.OpenAI(base_url=devnet.gateway.base_url, api_key=devnet.gateway.api_key)


def test_the_multiplexer_routes_by_model_and_falls_back() -> None:
    models = ("m/one", "m/two")
    with Devnet(hosts=1, gateways=1, providers=2, models=models) as net, Multiplexer() as mux:
        first, second = net.providers
        first.models, second.models = ("m/one",), ("theirs",)
        for provider in net.providers:
            with openai.OpenAI(base_url=provider.base_url, api_key=provider.api_key) as client:
                if provider is first:
                    mux.add_model(client, 1, "m/one")
                else:
                    mux.add_fallback_model(client, 1, "m/one", wire_name="theirs")
        with gateway_client(net) as client:
            mux.add_model(client, 3, "m/two", max_concurrent=2)
        assert mux.models() == models
        assert mux.chat_sync(model="m/one", messages=HELLO).model == "m/one"
        assert mux.chat_sync.completions.create(model="m/two", messages=HELLO).choices
        assert (met(first), met(second), met(net.gateway)) == (1, 0, 1)
        first.kill()
        assert mux.chat_sync(model="m/one", messages=HELLO).choices
        assert met(second) == 1
        stream = mux.chat_sync(model="m/one", messages=HELLO, stream=True)
        assert "".join(c.delta.content or "" for one in stream for c in one.choices) == SAID
        stats = json.loads(json.dumps(mux.get_stats()))
        assert {one["endpoint"] for one in stats["endpoints"]} == {
            first.base_url, second.base_url, net.gateway.base_url,
        }  # fmt: skip
        assert mux.remove_model("m/two") == 1
        assert mux.remove_model("m/two") == 0
        with pytest.raises(GonkaModelNotServedError, match="m/two"):
            mux.chat_sync(model="m/two", messages=HELLO)
        assert mux.remove_model("m/one", second.base_url) == 1


async def test_the_multiplexer_asynchronously(devnet: Devnet) -> None:
    async with Multiplexer() as mux:
        with gateway_client(devnet) as client:
            mux.add_model(client, 1, MODEL)
        assert (await mux.chat(model=MODEL, messages=HELLO)).choices[0].message.content == SAID
        stream = await mux.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
        heard = [one.model_dump() async for one in stream]
        assert text_in(heard) == SAID
        assert mux.pool.in_flight() == 0


def test_participants_in_a_multiplexer(devnet: Devnet) -> None:
    with GonkaSession(config_of(devnet)) as session:
        session.prepare()
        participants = session.participants()
    factory = GonkaClientFactory(devnet.private_key)
    with Multiplexer() as mux:
        for participant in participants:
            with factory.create_client(participant) as client:
                mux.add_model(client, participant.weight, MODEL)
        for _ in range(30):
            assert mux.chat_sync(model=MODEL, messages=HELLO).choices
    assert all(met(host) for host in devnet.hosts)


def test_the_multiplexer_refuses_what_is_no_client() -> None:
    with Multiplexer() as mux:
        with pytest.raises(GonkaRegistrationError, match="client"):
            mux.add_model(object(), 1, "m")  # type: ignore[arg-type]
        with pytest.raises(GonkaRegistrationError, match="weight"):
            mux.add_model(object(), 0, "m")  # type: ignore[arg-type]
    gc.collect()
