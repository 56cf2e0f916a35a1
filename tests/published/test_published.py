"""The published multiplexer_llm.Multiplexer over the devnet.

It pins one openai release, so this runs in an environment of its own: ``make multiplexer-llm``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gonka_integrations import (
    EndpointDiscovery,
    GonkaClientFactory,
    GonkaConfig,
    GonkaParticipant,
    ModelRegistrar,
    RefreshManager,
    register_gonka_models,
)
from gonka_integrations.devnet import Devnet, Fault
from gonka_integrations.errors import GonkaRegistrationError

if TYPE_CHECKING:
    from collections.abc import Callable

published = pytest.importorskip("multiplexer_llm")

MODEL = "gonka/test-model"
HELLO: Any = [{"role": "user", "content": "Hello"}]
PATIENCE = 20.0


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.005)


def names(mux: Any) -> list[str]:
    return [model.model_name for model in mux._weighted_models]


def sent_models(net: Devnet) -> set[str]:
    return {json.loads(one.body)["model"] for host in net.hosts for one in host.requests}


async def test_the_quick_start_of_its_documents(devnet: Devnet) -> None:
    async with published.Multiplexer() as mux:
        result = register_gonka_models(
            mux,
            source_url=devnet.source_url,
            private_key=devnet.private_key,
            refresh_enabled=True,
            refresh_interval_seconds=60.0,
        )
        assert (result.models_registered, result.epoch_id) == (3, 1)
        assert len(result.participants) == 3
        assert result.refresh_manager is not None
        assert result.refresh_manager.is_running
        response = await mux.chat.completions.create(messages=HELLO, model=MODEL)
        assert response.choices[0].message.content
        result.refresh_manager.stop()
    assert sent_models(devnet) == {MODEL}


async def test_participants_are_told_apart_and_weighed() -> None:
    with Devnet(hosts=3, weights=(1, 1, 200)) as net:
        mux = published.Multiplexer()
        register_gonka_models(
            mux, source_url=net.source_url, private_key=net.private_key, refresh_enabled=False
        )
        assert names(mux) == [f"gonka:{host.address}" for host in net.hosts]
        assert [model.weight for model in mux._weighted_models] == [1, 1, 200]
        for _ in range(30):
            await mux.chat.completions.create(messages=HELLO)
        assert len(net.hosts[2].requests) > 20
        stats = mux.get_stats()
        assert stats[f"gonka:{net.hosts[2].address}"]["success"] == len(net.hosts[2].requests)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("refuse"),
        Fault("reset"),
        Fault("status", status=503),
        Fault("status", status=429),
        Fault("html", status=502),
        Fault("garbage"),
        Fault("role_then_cut"),
        Fault("cut"),
        Fault("hang"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_others_serve_when_a_participant_fails(devnet: Devnet, fault: Fault) -> None:
    """Also after the failures that it does not take for one when an openai client makes them."""
    devnet.hosts[0].fault = fault
    config = GonkaConfig(first_token_timeout=0.3, idle_timeout=0.3)
    mux = published.Multiplexer()
    register_gonka_models(
        mux,
        source_url=devnet.source_urls[1:],
        private_key=devnet.private_key,
        refresh_enabled=False,
        config=config,
    )
    for _ in range(12):
        response = await mux.chat.completions.create(messages=HELLO)
        assert response.choices[0].message.content
    await mux.async_reset()


async def test_an_epoch_changes_under_it(devnet: Devnet) -> None:
    async with published.Multiplexer() as mux:
        mux.add_fallback_model(object(), 1, "mine")
        result = register_gonka_models(
            mux,
            source_url=devnet.source_urls,
            private_key=devnet.private_key,
            refresh_interval_seconds=0.02,
        )
        manager = result.refresh_manager
        assert manager is not None
        changes: list[tuple[Any, int, int]] = []
        manager.on_epoch_change = lambda old, new, hosts: changes.append((old, new, len(hosts)))
        staying = mux._weighted_models[1]
        devnet.advance_epoch(leave=(0,), join=1)
        await wait_for(lambda: bool(changes))
        assert changes == [(1, 2, 3)]
        assert mux._weighted_models[0] is staying
        assert names(mux) == [f"gonka:{host.address}" for host in devnet.hosts[1:]]
        assert [model.model_name for model in mux._fallback_models] == ["mine"]
        before = len(devnet.hosts[0].requests)
        for _ in range(30):
            await mux.chat.completions.create(messages=HELLO)
        assert len(devnet.hosts[0].requests) == before
        assert all(host.requests for host in devnet.hosts[1:])
        manager.stop()


async def test_a_disabled_participant_stays_disabled_over_an_epoch(devnet: Devnet) -> None:
    mux = published.Multiplexer()
    registrar, discovery = _by_hand(devnet)
    registrar.replace_all(mux, discovery.discover())
    mux._weighted_models[1].disabled_until = 10.0**12
    devnet.advance_epoch(join=1)
    registrar.replace_all(mux, discovery.discover())
    assert [model.disabled_until for model in mux._weighted_models] == [None, 10.0**12, None, None]


def _by_hand(net: Devnet, **options: Any) -> tuple[ModelRegistrar, EndpointDiscovery]:
    config = GonkaConfig(private_key=net.private_key, **options)
    return ModelRegistrar(GonkaClientFactory(config=config)), EndpointDiscovery(net.source_urls)


async def test_nothing_leaks_over_a_thousand_epochs() -> None:
    with Devnet(hosts=1) as net:
        registrar, _ = _by_hand(net)
        mux = published.Multiplexer()
        own = net.hosts[0]

        def epoch(number: int) -> list[GonkaParticipant]:
            others = (10 * number + index for index in range(10))
            return [
                GonkaParticipant(own.address, own.url, 1, (MODEL,), epoch_id=number),
                *(
                    GonkaParticipant(f"gonka1{other}", f"http://127.0.0.1:{1 + other % 60_000}", 1,
                                     (MODEL,), epoch_id=number)
                    for other in others
                ),
            ]  # fmt: skip

        counts = []
        for number in range(1, 1_001):
            assert registrar.replace_all(mux, epoch(number)) == 11
            if number in (10, 1_000):
                for model in mux._weighted_models[1:]:
                    model.disabled_until = 10.0**12
                await mux.chat.completions.create(messages=HELLO)
                gc.collect()
                counts.append(len(gc.get_objects()))
        assert len(names(mux)) == 11
        assert registrar.get_registered_models() == set(names(mux))
        assert counts[1] - counts[0] < 1_000
        assert len(own.requests) == 2


async def test_one_model_is_served_and_can_be_chosen() -> None:
    """Callers cannot choose there, so a host with another model must not get their requests."""
    with Devnet(hosts=3, models=("a", "b"), host_models=(("a",), ("a", "b"), ("b",)),
                weights=(10, 10, 15)) as net:  # fmt: skip
        for config, model, expected in [
            (GonkaConfig(), "b", [1, 2]),
            (GonkaConfig(model="a"), "a", [0, 1]),
        ]:
            for host in net.hosts:
                host.requests.clear()
            mux = published.Multiplexer()
            result = register_gonka_models(
                mux,
                source_url=net.source_url,
                private_key=net.private_key,
                refresh_enabled=False,
                config=config,
            )
            assert result.models_registered == 2
            assert names(mux) == [f"gonka:{net.hosts[index].address}" for index in expected]
            for _ in range(10):
                await mux.chat.completions.create(messages=HELLO, model="whatever")
            assert sent_models(net) == {model}
        with pytest.raises(GonkaRegistrationError, match="'c'"):
            register_gonka_models(
                published.Multiplexer(),
                source_url=net.source_url,
                private_key=net.private_key,
                config=GonkaConfig(model="c"),
            )


async def test_fallbacks_limits_and_single_participants(devnet: Devnet) -> None:
    registrar, discovery = _by_hand(devnet)
    mux = published.Multiplexer()
    first, second, third = discovery.discover()
    assert registrar.register_one(mux, first, weight_override=7, max_concurrent=2)
    assert not registrar.register_one(mux, first)
    assert registrar.register_all(mux, [first, second], as_fallback=True) == 1
    model = mux._weighted_models[0]
    assert (model.weight, model.max_concurrent, model.base_url) == (7, 2, first.base_url)
    assert [one.model_name for one in mux._fallback_models] == [f"gonka:{second.address}"]
    assert registrar.unregister_all(mux, epoch_id=1) == 2
    assert mux._weighted_models == mux._fallback_models == []
    assert registrar.register_one(mux, third)
    await mux.chat.completions.create(messages=HELLO)


async def test_what_that_class_cannot_do_is_said(devnet: Devnet) -> None:
    registrar, discovery = _by_hand(devnet)
    mux = published.Multiplexer()
    registrar.register_all(mux, discovery.discover())
    with pytest.raises(published.MultiplexerError, match=r"gonka_integrations\.Multiplexer to str"):
        await mux.chat.completions.create(messages=HELLO, stream=True)
    with pytest.raises(published.MultiplexerError, match="chat completions only"):
        await mux.systemone.create(state="x", questions={})
    assert all(model.disabled_until is None for model in mux._weighted_models)
    assert not any(host.requests for host in devnet.hosts)


async def test_a_forgotten_multiplexer_takes_everything_with_it(devnet: Devnet) -> None:
    mux = published.Multiplexer()
    register_gonka_models(
        mux,
        source_url=devnet.source_url,
        private_key=devnet.private_key,
        refresh_interval_seconds=3_600,
    )
    await mux.chat.completions.create(messages=HELLO)
    assert any(thread.name == "gonka-refresh" for thread in threading.enumerate())
    del mux
    gc.collect()
    await wait_for(
        lambda: not any(thread.name == "gonka-refresh" for thread in threading.enumerate())
    )


async def test_the_manual_form_of_its_documents(devnet: Devnet) -> None:
    factory = GonkaClientFactory(private_key=devnet.private_key)
    discovery = EndpointDiscovery(source_url=devnet.source_url)
    registrar = ModelRegistrar(factory, model_name_prefix="decentralized:")
    mux = published.Multiplexer()
    assert registrar.register_all(mux, await discovery.async_discover()) == 3
    assert names(mux)[0] == f"decentralized:{devnet.hosts[0].address}"
    manager = RefreshManager(multiplexer=mux, discovery=discovery, registrar=registrar)
    manager.start(interval_seconds=3_600)
    devnet.advance_epoch(leave=(0,))
    result = await manager.async_refresh_now()
    assert result.success
    assert len(names(mux)) == 2
    await manager.async_stop()
