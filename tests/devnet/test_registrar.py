"""Participants in our multiplexer, over the devnet."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from gonka_integrations import (
    EndpointDiscovery,
    GonkaClientFactory,
    GonkaConfig,
    GonkaParticipant,
    ModelRegistrar,
    Multiplexer,
    RefreshManager,
    register_gonka_models,
)
from gonka_integrations.core.registrar import GonkaRegistrationResult
from gonka_integrations.devnet import Devnet
from gonka_integrations.errors import (
    GonkaConfigError,
    GonkaDiscoveryError,
    GonkaRegistrationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "gonka/test-model"
HELLO: Any = [{"role": "user", "content": "Hello"}]
PATIENCE = 20.0


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def register(mux: Multiplexer, net: Devnet, **options: Any) -> GonkaRegistrationResult:
    options = {"refresh_enabled": False, **options}
    return register_gonka_models(
        mux, source_url=net.source_url, private_key=net.private_key, **options
    )


def test_one_call_registers_everybody(devnet: Devnet) -> None:
    with Multiplexer() as mux:
        result = register(mux, devnet)
        assert (result.models_registered, result.epoch_id) == (3, 1)
        assert result.refresh_manager is None
        assert [one.address for one in result.participants] == [
            host.address for host in devnet.hosts
        ]
        for _ in range(12):
            answer = mux.chat_sync(messages=HELLO, model=MODEL)
            assert answer.choices[0].message.content
        assert all(host.requests for host in devnet.hosts)


async def test_a_participant_has_a_name_of_its_own(devnet: Devnet) -> None:
    async with Multiplexer() as mux:
        register(mux, devnet, model_name_prefix="mine:")
        host = devnet.hosts[1]
        for _ in range(5):
            await mux.chat(messages=HELLO, model=f"mine:{host.address}")
        assert [len(one.requests) for one in devnet.hosts] == [0, 5, 0]
        assert json.loads(host.requests[0].body)["model"] == MODEL


async def test_the_models_of_participants_route() -> None:
    with Devnet(hosts=3, models=("a", "b"), host_models=(("a",), ("a", "b"), ("b",))) as net:
        async with Multiplexer() as mux:
            register(mux, net)
            for _ in range(10):
                await mux.chat(messages=HELLO, model="a")
            assert not net.hosts[2].requests
            await mux.chat(messages=HELLO, model=f"gonka:{net.hosts[2].address}")
            assert json.loads(net.hosts[2].requests[0].body)["model"] == "b"


def test_epochs_are_followed(devnet: Devnet) -> None:
    with Multiplexer() as mux:
        result = register(mux, devnet, refresh_enabled=True, refresh_interval_seconds=0.02)
        manager = result.refresh_manager
        assert manager is not None
        changes: list[tuple[Any, int, int]] = []
        manager.on_epoch_change = lambda old, new, hosts: changes.append((old, new, len(hosts)))
        devnet.advance_epoch(leave=(0,), join=2)
        wait_for(lambda: bool(changes))
        assert changes == [(1, 2, 4)]
        assert {one.address for one in mux.endpoints()} == {
            host.address for host in devnet.hosts[1:]
        }
        mux.chat_sync(messages=HELLO, model=MODEL)
        manager.stop()


def test_fallbacks_serve_when_others_cannot(devnet: Devnet) -> None:
    with Devnet(hosts=0, providers=1) as elsewhere, Multiplexer() as mux:
        import openai

        provider = elsewhere.provider
        client = openai.OpenAI(base_url=provider.base_url, api_key=provider.api_key)
        mux.add_model(client, weight=1, model_name=MODEL)
        register(mux, devnet, register_as_fallback=True)
        mux.chat_sync(messages=HELLO, model=MODEL)
        assert not any(host.requests for host in devnet.hosts)
        provider.kill()
        mux.chat_sync(messages=HELLO, model=MODEL)
        assert any(host.requests for host in devnet.hosts)
        client.close()


def test_participants_that_are_known_already(devnet: Devnet) -> None:
    """They say what they serve; with a source as well, both are registered."""
    with Multiplexer() as mux:
        result = register_gonka_models(
            mux, endpoints=devnet.endpoints[:2], private_key=devnet.private_key
        )
        assert (result.models_registered, result.epoch_id) == (2, 0)
        assert result.refresh_manager is None
        assert mux.models()[-1].startswith("gonka:")
        mux.chat_sync(messages=HELLO, model=MODEL)
    devnet.exclude(2)
    with Multiplexer() as mux:
        result = register(mux, devnet, endpoints=devnet.endpoints[2])
        assert [one.epoch_id for one in result.participants] == [1, 1, 0]


def test_limits_are_passed_on(devnet: Devnet) -> None:
    with Multiplexer() as mux:
        register(mux, devnet, default_max_concurrent=2)
        assert {one.max_concurrent for one in mux.endpoints()} == {2}


def test_configuration_and_environment(devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_PRIVATE_KEY", devnet.private_key)
    monkeypatch.setenv("GONKA_SOURCE_URL", devnet.source_url)
    config = GonkaConfig(register_as_fallback=True, model_name_prefix="net:", refresh_enabled=False)
    with Multiplexer() as mux:
        register_gonka_models(mux, config=config)
        assert {one.tier for one in mux.endpoints()} == {1}
        assert f"net:{devnet.hosts[0].address}" in mux.models()


def test_what_is_missing_is_said(devnet: Devnet) -> None:
    with Multiplexer() as mux:
        with pytest.raises(GonkaConfigError, match="GONKA_SOURCE_URL"):
            register_gonka_models(mux, private_key=devnet.private_key)
        with pytest.raises(GonkaConfigError, match="private_key"):
            register_gonka_models(mux, source_url=devnet.source_url)
        with pytest.raises(GonkaRegistrationError, match="not object"):
            register(object(), devnet)  # type: ignore[arg-type]
        for host in devnet.hosts:
            host.kill()
        discovery = EndpointDiscovery(devnet.source_url, retry_count=1)
        with pytest.raises(GonkaDiscoveryError):
            discovery.discover()
        assert mux.endpoints() == ()


def test_the_registrar_by_hand(devnet: Devnet) -> None:
    factory = GonkaClientFactory(private_key=devnet.private_key)
    registrar = ModelRegistrar(factory, default_max_concurrent=3)
    first, second, third = EndpointDiscovery(devnet.source_url).discover()
    with Multiplexer() as mux:
        assert registrar.register_one(mux, first, weight_override=9, max_concurrent=1)
        assert not registrar.register_one(mux, first)
        assert registrar.register_all(mux, [first, second, third]) == 2
        weights = {one.address: (one.weight, one.max_concurrent) for one in mux.endpoints()}
        assert weights[first.address] == (9.0, 1)
        assert weights[second.address] == (float(second.weight), 3)
        own = {f"gonka:{one.address}" for one in (first, second, third)}
        assert registrar.get_registered_models() == own
        assert registrar.get_registered_models(epoch_id=1) == own
        assert registrar.get_registered_models(epoch_id=2) == set()
        assert registrar.unregister_all(mux, epoch_id=2) == 0
        assert registrar.unregister_all(mux, epoch_id=1) == 3
        assert mux.endpoints() == ()
        assert registrar.replace_all(mux, [third]) == 1
        mux.chat_sync(messages=HELLO, model=MODEL)
        assert len(devnet.hosts[2].requests) == 1


def test_staying_participants_keep_their_history(devnet: Devnet) -> None:
    registrar = ModelRegistrar(GonkaClientFactory(private_key=devnet.private_key))
    discovery = EndpointDiscovery(devnet.source_urls)
    with Multiplexer() as mux:
        registrar.replace_all(mux, discovery.discover())
        for _ in range(6):
            mux.chat_sync(messages=HELLO, model=MODEL)
        before = dict(mux.pool._members.states)
        devnet.advance_epoch(leave=(2,), join=1)
        registrar.replace_all(mux, discovery.discover())
        after = mux.pool._members.states
        assert [after.get(name) is state for name, state in before.items()] == [True, True, False]
        assert len(after) == 3


def test_a_thousand_epochs_leave_nothing_behind() -> None:
    key = "1".zfill(64)
    registrar = ModelRegistrar(GonkaClientFactory(private_key=key))

    def epoch(number: int) -> list[GonkaParticipant]:
        return [
            GonkaParticipant(f"gonka1{other}", f"http://h{other}.example", 1, ("m",), None, number)
            for other in (0, *range(20 * number, 20 * number + 20))
        ]

    counts = []
    with Multiplexer() as mux:
        for number in range(1, 1_001):
            assert registrar.replace_all(mux, epoch(number)) == 21
            if number in (10, 1_000):
                gc.collect()
                counts.append(len(gc.get_objects()))
        assert len(mux.endpoints()) == 21
        assert len(registrar.get_registered_models()) == 21
    assert counts[1] - counts[0] < 500


def test_a_registrar_needs_somebody_who_signs() -> None:
    with pytest.raises(GonkaConfigError, match="private_key"):
        ModelRegistrar(GonkaClientFactory(config=GonkaConfig()))


@pytest.mark.parametrize("kept", ["nothing", "result"])
def test_refreshing_lasts_as_long_as_the_multiplexer(devnet: Devnet, kept: str) -> None:
    others = set(threading.enumerate())
    mux = Multiplexer()
    result = register(mux, devnet, refresh_enabled=True, refresh_interval_seconds=0.02)
    gc.collect()
    started = set(threading.enumerate()) - others
    refreshers = [one for one in started if one.name == "gonka-refresh"]
    assert len(refreshers) == 1
    if kept == "nothing":
        del result
    mux.close()
    del mux
    gc.collect()
    refreshers[0].join(PATIENCE)
    assert not refreshers[0].is_alive()


def test_the_manual_form_of_the_documents(devnet: Devnet) -> None:
    factory = GonkaClientFactory(private_key=devnet.private_key)
    assert factory.requester_address
    discovery = EndpointDiscovery(source_url=devnet.source_url)
    registrar = ModelRegistrar(factory)
    with Multiplexer() as mux:
        manager = RefreshManager(multiplexer=mux, discovery=discovery, registrar=registrar)
        result = manager.refresh_now()
        assert (result.success, result.participants_added) == (True, 3)
        manager.start(interval_seconds=3_600)
        assert manager.is_running
        devnet.advance_epoch(leave=(0,), join=1)
        result = asyncio.run(manager.async_refresh_now())
        assert (result.old_epoch, result.new_epoch) == (1, 2)
        assert (result.participants_added, result.participants_removed) == (1, 1)
        assert len(mux.endpoints()) == 3
        manager.stop()
