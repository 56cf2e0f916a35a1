"""Pools that mix participants, gateways and providers: who is asked, with what, and who after."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from pool_doors import (
    HELLO,
    MODEL,
    PAYLOAD,
    SAID,
    answer_of,
    gateways_of,
    met,
    providers_of,
    session_over,
    text_in,
    wait_until,
)

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.health import HealthPolicy
from gonka_integrations.core.served import CallOptions
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault, Reply
from gonka_integrations.errors import (
    GonkaBackpressureError,
    GonkaBadRequestError,
    GonkaClassicInferenceGoneError,
    GonkaEndpointsExhaustedError,
    GonkaGatewayMovedError,
    GonkaRateLimitError,
    GonkaServerError,
    GonkaStatusError,
    GonkaTimeoutError,
)


@pytest.fixture
def net() -> Iterator[Devnet]:
    """Three hosts, two gateways, two providers."""
    with Devnet(hosts=3, gateways=2, providers=2) as net:
        net.gateways[1].api_key = "key-of-the-second"
        yield net


def mixed(net: Devnet, **options: Any) -> GonkaSession:
    """All of them in one pool, the providers behind in two tiers with names of their own."""
    fallbacks = [
        {**one, "tier": tier, "models": {MODEL: f"theirs-{tier}"}}
        for tier, one in enumerate(providers_of(net), start=1)
    ]
    return session_over(
        net, endpoints=net.endpoints, gateways=gateways_of(net), fallbacks=fallbacks, **options
    )


def hasten(session: GonkaSession) -> None:
    """Cooldowns of a twentieth of their length, so that tests need not wait them out."""
    for state in session.pool._members.states.values():
        state.health._policy = HealthPolicy(base_cooldown=0.05, max_cooldown=0.1)


def served_by(session: GonkaSession) -> Any:
    return session.chat.complete(PAYLOAD).served


def kill(*servers: Any) -> None:
    for server in servers:
        server.kill()


def revive(*servers: Any) -> None:
    for server in servers:
        server.revive()


# Keys and parameters.


def test_every_kind_serves_and_keys_go_to_their_own_hosts_only(net: Devnet) -> None:
    with mixed(net) as session:
        served = Counter(served_by(session).kind for _ in range(60))
        assert served.keys() == {"participant", "gateway"}
        kill(*net.hosts, *net.gateways)
        assert served_by(session).kind == "provider"
        kill(net.providers[0])
        assert served_by(session).kind == "provider"
    keys = {one: one.api_key for one in (*net.gateways, *net.providers)}
    assert len(set(keys.values())) == 4
    for server in net.servers:
        assert server.requests
        for request in server.requests:
            seen = str(request.headers) + request.body.decode()
            wrong = [key for owner, key in keys.items() if owner is not server and key in seen]
            assert not wrong
            assert net.private_key not in seen
            if server in keys:
                assert request.headers["authorization"] == f"Bearer {keys[server]}"
                assert "x-requester-address" not in request.headers
            else:
                assert "bearer" not in request.headers["authorization"].lower()


def test_extra_headers_go_to_keyed_endpoints_only(net: Devnet) -> None:
    options = CallOptions(extra_headers={"X-Trace": "7"})
    with mixed(net) as session:
        for _ in range(40):
            session.chat.complete(PAYLOAD, options)
    assert all(one.headers["x-trace"] == "7" for g in net.gateways for one in g.requests)
    assert not any("x-trace" in one.headers for host in net.hosts for one in host.requests)


def test_gateways_get_what_they_know(net: Devnet, caplog: pytest.LogCaptureFixture) -> None:
    odd = {"top_k": 7, "mirostat_of_no_one": 2}
    with session_over(net, gateways=gateways_of(net), private_key=None) as session:
        assert answer_of(session, **odd) == SAID
    with session_over(net, private_key=None, fallbacks=providers_of(net), gateways=()) as session:
        assert answer_of(session, **odd) == SAID
    [sent] = [one.json for gateway in net.gateways for one in gateway.requests]
    assert sent is not None
    assert sent["top_k"] == 7
    assert "mirostat_of_no_one" not in sent
    assert "mirostat_of_no_one" in caplog.text
    [plain] = [one.json for provider in net.providers for one in provider.requests]
    assert plain is not None
    assert plain["mirostat_of_no_one"] == 2


def test_what_gateways_refuse_is_said(net: Devnet) -> None:
    with (
        session_over(net, gateways=gateways_of(net), private_key=None) as session,
        pytest.raises(GonkaBadRequestError, match="guided_json"),
    ):
        answer_of(session, guided_json={})
    assert met(*net.gateways) == 1


# Tiers.


def test_tiers_take_over_and_are_left_again(net: Devnet) -> None:
    upper = (*net.hosts, *net.gateways)
    with mixed(net) as session:
        hasten(session)
        kill(*upper)
        served = served_by(session)
        assert (served.tier, served.model, served.failovers > 0) == (1, "theirs-1", True)
        kill(net.providers[0])
        served = served_by(session)
        assert (served.tier, served.model) == (2, "theirs-2")
        assert served.as_dict()["endpoint"] == net.providers[1].base_url
        revive(net.providers[0])
        wait_until(lambda: served_by(session).tier == 1)
        revive(*upper)
        wait_until(lambda: served_by(session).tier == 0)
        before = met(*net.providers)
        for _ in range(20):
            assert served_by(session).tier == 0
        assert met(*net.providers) == before
    assert {one.json["model"] for one in net.providers[0].requests if one.json} == {"theirs-1"}


def test_the_one_host_that_works_is_found_by_the_first_call() -> None:
    with Devnet(hosts=10, gateways=0) as net:
        kill(*net.hosts[1:6])
        for host in net.hosts[6:]:
            host.fault = Fault("status", status=410)
        for _ in range(3):
            with session_over(net) as session:
                assert served_by(session).endpoint == f"{net.hosts[0].url}/v1"
        with session_over(net, max_retries=0) as session:
            [endpoint] = [
                one for one in session.endpoints() if one.base_url.startswith(net.hosts[1].url)
            ]
            session.pool.replace([endpoint])
            with pytest.raises(GonkaEndpointsExhaustedError) as caught:
                answer_of(session)
            assert len(caught.value.attempts) == 1


def test_a_stream_goes_to_the_tier_below_too(net: Devnet) -> None:
    kill(*net.hosts, *net.gateways)
    with mixed(net) as session, session.chat.stream(PAYLOAD) as stream:
        assert text_in(stream) == SAID
        assert stream.served.tier == 1


def test_a_model_that_only_a_provider_has(net: Devnet) -> None:
    fallbacks = providers_of(net, default_model="their-best")
    with session_over(net, source_url=net.source_url, fallbacks=fallbacks) as session:
        served = session.chat.complete({**PAYLOAD, "model": "unknown-here"}).served
    assert (served.kind, served.model, served.failovers) == ("provider", "their-best", 0)
    assert met(*net.hosts) == 0


def test_an_account_without_money_leaves_the_hosts_for_the_gateway(net: Devnet) -> None:
    options = {"endpoints": net.endpoints, "gateways": gateways_of(net)}
    with session_over(net, private_key=net.poor_private_key, **options) as session:
        for _ in range(5):
            assert served_by(session).kind == "gateway"
        # Two hosts were asked at most by each call, and none is the worse for it.
        assert met(*net.hosts) <= 10
        assert all(not one["out_because"] for one in session.stats()["endpoints"])


# Answers with consequences.


def test_busy_hosts_are_left_alone(net: Devnet) -> None:
    busy = net.hosts[0]
    busy.fault = Fault("status", status=429, headers={"Retry-After": "90"})
    with session_over(net) as session:
        for _ in range(30):
            assert answer_of(session) == SAID
        [state] = [one for one in session.stats()["endpoints"] if one["address"] == busy.address]
    assert met(busy) == 1
    assert state["out_because"] == "full"
    assert 60 < state["out_for_seconds"] <= 90


def test_the_only_host_is_waited_for(net: Devnet) -> None:
    busy = net.hosts[0]
    busy.fault = Fault("status", status=429, headers={"Retry-After": "0.2"}, times=1)
    with session_over(net, endpoints=busy.endpoint) as session:
        assert answer_of(session) == SAID
    first, second = busy.requests
    assert second.time - first.time >= 0.19


def test_busy_without_a_time_is_tried_elsewhere(net: Devnet) -> None:
    for host in net.hosts:
        host.fault = Fault("status", status=429, times=1)
    with session_over(net) as session:
        assert answer_of(session) == SAID
    with session_over(net, max_retries=0) as session:
        net.hosts[0].fault = net.hosts[1].fault = net.hosts[2].fault = Fault("status", status=429)
        with pytest.raises(GonkaRateLimitError, match="busy"):
            answer_of(session)


def test_a_moved_gateway_is_named_and_not_followed(net: Devnet) -> None:
    moved, other = net.gateways
    moved.disabled = ("we have moved", f"{other.base_url}/chat/completions")
    alone = gateways_of(net)[:1]
    with session_over(net, gateways=alone, private_key=None) as session:
        for _ in range(2):  # the second time nothing is asked, and the error still says where
            with pytest.raises(GonkaGatewayMovedError) as caught:
                answer_of(session)
            assert caught.value.status_code == 308
            assert caught.value.new_url == f"{other.base_url}/chat/completions"
            assert other.base_url in str(caught.value)
    assert met(moved) == 1
    assert met(other) == 0
    with session_over(net, gateways=gateways_of(net), private_key=None) as session:
        for _ in range(10):
            assert answer_of(session) == SAID
    assert met(moved) <= 2


def test_a_retired_host_is_remembered(net: Devnet) -> None:
    old = net.hosts[0]
    old.fault = Fault("status", status=410, body={"error": "deprecated", "message": "gone"})
    with session_over(net) as session:
        for _ in range(30):
            assert answer_of(session) == SAID
        [state] = [one for one in session.stats()["endpoints"] if one["address"] == old.address]
    assert met(old) == 1
    assert state["gone"]


def test_a_retired_network_says_so_and_is_not_asked_again(net: Devnet) -> None:
    net.classic_gone = True
    with session_over(net) as session:
        for _ in range(3):
            with pytest.raises(GonkaClassicInferenceGoneError) as caught:
                answer_of(session)
            assert caught.value.status_code == 410
            assert "gateways" in str(caught.value)
            assert "GONKA_BROKER_URL" in str(caught.value)
    assert met(*net.hosts) == 3


def test_a_retired_network_beside_gateways_does_no_harm(net: Devnet) -> None:
    net.classic_gone = True
    with mixed(net) as session:
        for _ in range(20):
            assert served_by(session).kind == "gateway"
    assert met(*net.hosts) <= 3


def test_gateways_of_the_environment(net: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [f"{one.base_url};{one.api_key}" for one in net.gateways]
    monkeypatch.setenv("GONKA_BROKER_URL", ",".join(entries))
    with GonkaSession(GonkaConfig.from_env()) as session:
        for _ in range(30):
            assert answer_of(session, user=str(random.random())) == SAID
    assert all(
        one.headers["authorization"] == f"Bearer {gateway.api_key}"
        for gateway in net.gateways
        for one in gateway.requests
    )
    assert all(met(gateway) > 0 for gateway in net.gateways)
    monkeypatch.setenv("GONKA_BROKER_URL", ",".join(one.base_url for one in net.gateways))
    monkeypatch.setenv("GONKA_BROKER_API_KEY", net.gateways[0].api_key or "")
    net.gateways[1].api_key = net.gateways[0].api_key
    with GonkaSession(GonkaConfig.from_env()) as session:
        assert answer_of(session) == SAID


# What gateways say of themselves.


def test_a_gateway_in_proof_of_compute_is_passed_over(net: Devnet) -> None:
    net.confirmation_poc = "generation"
    gateways = gateways_of(net)
    with session_over(
        net, endpoints=net.endpoints, gateways=gateways, refresh_enabled=False
    ) as session:
        session._watch.work()
        for _ in range(20):
            assert served_by(session).kind == "participant"
        assert met(*net.gateways) == 0
        net.confirmation_poc = None
        kill(*net.hosts)
        session._watch.work()
        assert served_by(session).kind == "gateway"


def test_a_gateway_that_cannot_route_is_passed_over(net: Devnet) -> None:
    poor, rich = net.gateways
    poor.devshards = dict.fromkeys(poor.devshards, False)
    with session_over(net, gateways=gateways_of(net), private_key=None) as session:
        assert answer_of(session) == SAID
        session._watch.work()
        before = met(poor)
        for _ in range(20):
            assert answer_of(session, user=str(random.random())) == SAID
        assert met(poor) == before
        assert met(rich) >= 20


def test_proof_of_compute_at_the_only_gateway_is_said(net: Devnet) -> None:
    net.confirmation_poc = "generation"
    alone = gateways_of(net)[:1]
    quick = CallOptions(timeout=0.2)
    with (
        session_over(net, gateways=alone, private_key=None, refresh_enabled=False) as session,
        pytest.raises(GonkaServerError, match="proof of compute is running"),
    ):
        session.chat.complete(PAYLOAD, quick)
    with session_over(net, gateways=alone, private_key=None, refresh_enabled=False) as session:
        session._watch.work()
        with pytest.raises(GonkaEndpointsExhaustedError, match="proof of compute is running"):
            session.chat.complete(PAYLOAD, quick)
        assert met(net.gateways[0]) == 1
        net.confirmation_poc = None
        session._watch.work()
        assert answer_of(session) == SAID


# Clocks and signatures.


@pytest.mark.parametrize("seconds", [61, -61, 300, -300])
def test_a_clock_that_is_wrong_costs_one_try(net: Devnet, seconds: float) -> None:
    net.clock_offset = seconds
    with session_over(net) as session:
        for _ in range(20):
            assert answer_of(session) == SAID
    outcomes = Counter(one.outcome for host in net.hosts for one in host.requests)
    assert outcomes == {"served": 20, "refused": 1}


def test_no_signature_is_ever_sent_twice(net: Devnet) -> None:
    kinds = ("reset", "status", "role_then_cut", "garbage", "html", "no_finish", "error_event")
    for host, seed in zip(net.hosts, range(3), strict=True):
        rng = random.Random(seed)
        host.fault = lambda _, rng=rng: (
            Fault(rng.choice(kinds), after_tokens=1) if rng.random() < 0.4 else None
        )
    with session_over(net, max_retries=8) as session:
        hasten(session)

        def talk() -> None:
            for _ in range(25):
                assert answer_of(session) == SAID

        threads = [threading.Thread(target=talk) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    requests = [one for host in net.hosts for one in host.requests]
    assert len(requests) > 120
    assert len({one.headers["authorization"] for one in requests}) == len(requests)
    assert len({one.headers["x-timestamp"] for one in requests}) == len(requests)
    assert not any("already been used" in one.detail for one in requests)


def test_what_may_have_been_charged_is_not_repeated_when_told_so(net: Devnet) -> None:
    for host in net.hosts:
        host.fault = Fault("reset")
    with session_over(net, retry_ambiguous=False) as session:
        with pytest.raises(GonkaEndpointsExhaustedError, match="retry_ambiguous") as caught:
            answer_of(session)
        assert len(caught.value.attempts) == met(*net.hosts) == 1
        # What was not begun is repeated all the same.
        net.hosts[0].fault = net.hosts[1].fault = Fault("status", status=503)
        net.hosts[2].fault = None
        assert answer_of(session) == SAID


def test_gateways_are_repeated_at_their_own_risk(net: Devnet) -> None:
    net.gateways[0].fault = Fault("reset", times=1)
    alone = gateways_of(net)[:1]
    with session_over(net, gateways=alone, private_key=None, retry_ambiguous=False) as session:
        assert answer_of(session) == SAID
    first, second = net.gateways[0].requests
    assert first.body != second.body, "a cache might answer the failure again"


# Limits.


def test_a_full_host_is_skipped(net: Devnet) -> None:
    net.responder = lambda _: Reply(text="Slow.", delay=0.1)
    with session_over(net, max_concurrent=1) as session:
        threads = [threading.Thread(target=answer_of, args=(session,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert [met(host) for host in net.hosts] == [1, 1, 1]


def test_waiting_calls_are_served_in_turn(net: Devnet) -> None:
    net.responder = lambda _: Reply(text="Slow.", delay=0.05)
    host = net.hosts[0]
    with session_over(net, endpoints=host.endpoint, max_concurrent=1) as session:
        threads = []
        for number in range(6):
            thread = threading.Thread(target=answer_of, args=(session,), kwargs={"seed": number})
            thread.start()
            threads.append(thread)
            waiting = max(0, number - met(host) + 1)
            wait_until(lambda n=number: session.pool.waiting() + met(host) == n + 1)
            assert waiting <= 6
        for thread in threads:
            thread.join(10)
        assert session.pool.in_flight() == session.pool.waiting() == 0
    assert [one.json["seed"] for one in host.requests if one.json] == list(range(6))
    assert host.peak_in_flight == 1


def test_waiting_ends_with_the_deadline(net: Devnet) -> None:
    net.responder = lambda _: Reply(text="Slow.", delay=0.3)
    with session_over(net, endpoints=net.hosts[0].endpoint, max_concurrent=1) as session:
        thread = threading.Thread(target=answer_of, args=(session,))
        thread.start()
        wait_until(lambda: met(net.hosts[0]))
        with pytest.raises(GonkaTimeoutError, match="timeout"):
            session.chat.complete(PAYLOAD, CallOptions(timeout=0.05))
        thread.join(10)
        assert session.pool.waiting() == 0
    assert met(net.hosts[0]) == 1


def test_too_many_waiting_calls_are_told_so(net: Devnet) -> None:
    net.responder = lambda _: Reply(text="Slow.", delay=0.2)
    with session_over(net, endpoints=net.hosts[0].endpoint, max_concurrent=1) as session:
        session.pool._waiting.limit = 1
        threads = []
        for number in range(2):
            threads.append(threading.Thread(target=answer_of, args=(session,)))
            threads[-1].start()
            wait_until(lambda n=number: session.pool.waiting() + met(net.hosts[0]) == n + 1)
        with pytest.raises(GonkaBackpressureError, match="max_concurrent"):
            answer_of(session)
        for thread in threads:
            thread.join(10)


async def test_event_loops_wait_in_turn_too(net: Devnet) -> None:
    import asyncio

    net.responder = lambda _: Reply(text="Slow.", delay=0.01)
    host = net.hosts[0]
    async with session_over(net, endpoints=host.endpoint, max_concurrent=2) as session:
        calls = [session.chat.acomplete({**PAYLOAD, "seed": n}) for n in range(12)]
        await asyncio.gather(*calls)
        assert session.pool.in_flight() == 0
    assert host.peak_in_flight == 2
    assert len(host.requests) == 12


# Faults of the request.


def test_the_same_failure_at_two_hosts_ends_the_call(net: Devnet) -> None:
    for host in net.hosts:
        host.fault = Fault("status", status=500, body={"error": "panic at 0x1f: bad request"})
    with session_over(net) as session, pytest.raises(GonkaServerError) as caught:
        answer_of(session)
    assert len(caught.value.attempts) == met(*net.hosts) == 2


def test_different_failures_do_not(net: Devnet) -> None:
    for host, words in zip(net.hosts, ("alpha", "beta", "gamma"), strict=True):
        host.fault = Fault("status", status=500, body={"error": words}, times=1)
    with session_over(net) as session:
        assert answer_of(session) == SAID


_TOO_LONG = {
    "error": "Inference node response with an error. code = 400. error = "
    "This model's maximum context length is 4096 tokens."
}


def test_a_prompt_too_long_for_two_hosts_ends_the_call(net: Devnet) -> None:
    for host in net.hosts:
        host.fault = Fault("status", status=400, body=_TOO_LONG)
    with session_over(net) as session, pytest.raises(GonkaBadRequestError, match="shorten"):
        answer_of(session)
    assert met(*net.hosts) == 2


def test_a_prompt_too_long_for_one_host_is_taken_by_another(net: Devnet) -> None:
    net.hosts[0].fault = Fault("status", status=400, body=_TOO_LONG)
    with session_over(net) as session:
        for _ in range(10):
            assert answer_of(session) == SAID
        assert all(not one["out_because"] for one in session.stats()["endpoints"])


def test_a_bad_request_is_asked_once(net: Devnet) -> None:
    with session_over(net) as session, pytest.raises(GonkaStatusError) as caught:
        session.chat.complete({"model": MODEL, "messages": [{"role": "nobody", "content": "x"}]})
    assert caught.value.status_code == 400
    assert met(*net.hosts) == 1


def test_a_provider_without_stream_options_is_remembered(net: Devnet) -> None:
    provider = net.providers[0]
    provider.fault = lambda one: (
        Fault("status", status=400, body={"error": {"message": "Unknown field: stream_options"}})
        if one.json and "stream_options" in one.json
        else None
    )
    alone = providers_of(net)[:1]
    with session_over(net, gateways=(), private_key=None, fallbacks=alone) as session:
        for _ in range(5):
            assert answer_of(session) == SAID
            with session.chat.stream(PAYLOAD) as stream:
                assert text_in(stream) == SAID
    sent = ["stream_options" in one.json for one in provider.requests if one.json]
    assert sent == [True] + [False] * 10


def test_everything_down_lists_everybody_and_why(net: Devnet) -> None:
    kill(*net.servers)
    with (
        mixed(net, max_retries=6) as session,
        pytest.raises(GonkaEndpointsExhaustedError) as caught,
    ):
        session.chat.complete({"model": MODEL, "messages": HELLO})
    for server in net.servers:
        assert server.url in str(caught.value)
    assert str(caught.value).count("refused") >= len(net.servers)
