"""Every way in which a host can fail, in both worlds, through both doors: nobody notices.

Host 0 fails, and is always asked first. Where nothing has been shown to the caller another host
serves; where something has, there is one typed error with it. Nothing is left behind either way.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import openai
import pytest
from pool_doors import MODEL, async_sdk_over, sdk_over, session_over, text_in, wait_until

from gonka_integrations.core.served import AttemptRecord, ServedBy
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault
from gonka_integrations.errors import StreamInterruptedError

WORDS = "one two three four five six"
SAID = f"You said: {WORDS}"
PAYLOAD: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": WORDS}]}
LIMIT = 0.2
"""First-token and idle time-out in seconds, where a host is silent."""


class Case(NamedTuple):
    fault: Fault
    outcome: str
    out: str = ""
    """Why host 0 is out of service after one of these; "" when it is not."""


# Before any content.
EARLY = {
    "refuse": Case(Fault("refuse"), "refused", "hard"),
    "accept and reset": Case(Fault("refuse", times=1), "reset", "?"),
    "reset": Case(Fault("reset"), "reset"),
    "hang": Case(Fault("hang"), "first_token_timeout", "hard"),
    "500": Case(Fault("status", status=500), "status"),
    "503": Case(Fault("status", status=503), "status"),
    "503, come back": Case(
        Fault("status", status=503, headers={"Retry-After": "9"}), "status", "full"
    ),
    "429": Case(Fault("status", status=429), "status", "full"),
    "403": Case(Fault("status", body="c403-ta"), "status", "denied"),
    "404": Case(Fault("status", body="c404-model"), "status"),
    "410": Case(Fault("status", body="c410-chat"), "status", "gone"),
    "proxy's page": Case(Fault("html", status=502), "status"),
    "page with 200": Case(Fault("html", status=200), "garbage"),
    "garbage": Case(Fault("garbage"), "garbage"),
    "empty": Case(Fault("empty"), "truncated"),
}  # fmt: skip
# In a stream, after the role and before anything is said.
UNSAID = {
    "role, then cut": Case(Fault("role_then_cut"), "cut"),
    "role, then reset": Case(Fault("role_then_cut", reset=True), "cut"),
    "role, then silence": Case(
        Fault("hang_mid_stream", after_tokens=0), "first_token_timeout", "hard"
    ),
    "role, then end": Case(Fault("no_finish", after_tokens=0), "truncated"),
    "role, then error": Case(Fault("error_event", after_tokens=0), "error_event"),
    "role, then text": Case(Fault("plain_text_tail", after_tokens=0), "garbage"),
}
# In the middle.
LATE = {
    "cut": Case(Fault("cut"), "cut"),
    "cut by reset": Case(Fault("cut", reset=True), "cut"),
    "end": Case(Fault("no_finish"), "truncated"),
    "silence": Case(Fault("hang_mid_stream"), "idle_timeout"),
    "error": Case(Fault("error_event"), "error_event"),
    "error, then done": Case(Fault("error_event", done=True), "error_event"),
    "text": Case(Fault("plain_text_tail"), "garbage"),
}
# The same faults where the answer is not read as a stream.
PLAIN = {
    "cut": Case(Fault("cut"), "cut"),
    "end": Case(Fault("no_finish"), "truncated"),
    "silence": Case(Fault("hang_mid_stream"), "first_token_timeout", "hard"),
    "error": Case(Fault("error_event"), "error_event"),
    "text": Case(Fault("plain_text_tail"), "garbage"),
}


class Way:
    """A world and a door: how a call is made.

    Args:
        door: "chat" or "sdk".
        world: "sync", or what event loops use.
    """

    def __init__(self, door: str, world: str, standing: Standing) -> None:
        self.door = door
        self.sync = world == "sync"
        self.client, self.aclient = standing.client, standing.aclient

    def plain(self, session: GonkaSession) -> tuple[str, ServedBy]:
        """Text of a plain call, and who served it."""
        if self.sync:
            return self._plain(session)
        return asyncio.run(self._in_loop(session, self._aplain))

    def stream(self, session: GonkaSession, heard: list[str]) -> ServedBy:
        """Who serves a stream; its text is added to *heard* as it comes."""
        if self.sync:
            return self._stream(session, heard)
        return asyncio.run(self._in_loop(session, self._astream, heard))

    async def _in_loop(self, session: GonkaSession, call: Any, *arguments: Any) -> Any:
        try:
            return await call(session, *arguments)
        finally:
            await session.aclose()

    def _plain(self, session: GonkaSession) -> tuple[str, ServedBy]:
        if self.door == "chat":
            answer = session.chat.complete(PAYLOAD)
            return answer.data["choices"][0]["message"]["content"], answer.served
        raw = self.client.chat.completions.with_raw_response.create(**PAYLOAD)
        return raw.parse().choices[0].message.content or "", raw.http_response.extensions["gonka"]

    async def _aplain(self, session: GonkaSession) -> tuple[str, ServedBy]:
        if self.door == "chat":
            answer = await session.chat.acomplete(PAYLOAD)
            return answer.data["choices"][0]["message"]["content"], answer.served
        raw = await self.aclient.chat.completions.with_raw_response.create(**PAYLOAD)
        return raw.parse().choices[0].message.content or "", raw.http_response.extensions["gonka"]

    def _stream(self, session: GonkaSession, heard: list[str]) -> ServedBy:
        if self.door == "chat":
            with session.chat.stream(PAYLOAD) as stream:
                heard.extend(text_in([chunk]) for chunk in stream)
                return stream.served
        chunks = self.client.chat.completions.create(**PAYLOAD, stream=True)
        for chunk in chunks:
            heard.extend(choice.delta.content or "" for choice in chunk.choices)
        return chunks.response.extensions["gonka"]  # type: ignore[no-any-return]

    async def _astream(self, session: GonkaSession, heard: list[str]) -> ServedBy:
        if self.door == "chat":
            async with await session.chat.astream(PAYLOAD) as stream:
                async for chunk in stream:
                    heard.extend([text_in([chunk])])
                return stream.served
        chunks = await self.aclient.chat.completions.create(**PAYLOAD, stream=True)
        async for chunk in chunks:
            heard.extend(choice.delta.content or "" for choice in chunk.choices)
        return chunks.response.extensions["gonka"]  # type: ignore[no-any-return]


class Standing(NamedTuple):
    """A network and a session over it that stay for all tests: making them is what takes time."""

    net: Devnet
    session: GonkaSession
    client: openai.OpenAI
    aclient: openai.AsyncOpenAI


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    with Devnet(hosts=3, gateways=0) as net:
        with session_over(net) as session:
            yield Standing(net, session, sdk_over(session), async_sdk_over(session))
        gc.collect()  # what was not closed would warn, and warnings are errors


@pytest.fixture
def net(standing: Standing) -> Devnet:
    net = standing.net
    net.token_delay = 0.0
    for host in net.hosts:
        host.fault = None
        host.revive()
        host.requests.clear()
    return net


@pytest.fixture
def session(standing: Standing, net: Devnet) -> Iterator[GonkaSession]:
    """The session with endpoints nothing is known of, which are asked in their order."""
    session = standing.session
    endpoints = session.endpoints()
    session.pool.replace(())
    session.pool.replace(endpoints)
    session.pool._rng.random = lambda: 0.0  # type: ignore[method-assign]
    session.context.stream_internally = True
    be_patient(session, 10.0)
    yield session
    assert session.pool.in_flight() == 0
    assert session.pool.waiting() == 0
    wait_until(lambda: not any(host.in_flight for host in net.hosts))


def be_patient(session: GonkaSession, seconds: float) -> None:
    session.context.limits = replace(
        session.context.limits, first_token_timeout=seconds, idle_timeout=seconds
    )


def begin(net: Devnet, session: GonkaSession, case: Case) -> None:
    """Put a fault in force, and as little patience as it needs."""
    net.hosts[0].fault = case.fault
    be_patient(session, LIMIT if "timeout" in case.outcome else 10.0)


@pytest.fixture(params=["sync", "aiohttp", "httpcore"])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "httpcore":
        monkeypatch.setitem(sys.modules, "aiohttp", None)
    elif request.param == "aiohttp":
        pytest.importorskip("aiohttp")
    return str(request.param)


@pytest.fixture(params=["chat", "sdk"])
def way(request: pytest.FixtureRequest, world: str, standing: Standing) -> Way:
    return Way(request.param, world, standing)


def state_of(net: Devnet, session: GonkaSession, index: int) -> dict[str, Any]:
    address = net.hosts[index].address
    return next(one for one in session.stats()["endpoints"] if one["address"] == address)


def check_record(net: Devnet, attempts: list[AttemptRecord], outcome: str) -> None:
    first, *others = attempts
    assert [one.outcome for one in others] == ["served"]
    # Whether a reset comes before or after the connection is made is chance.
    assert first.outcome == outcome or {first.outcome, outcome} == {"refused", "reset"}
    assert first.address == net.hosts[0].address
    assert first.endpoint == f"{net.hosts[0].url}/v1"
    assert (first.status is not None) is (outcome == "status")
    assert first.error
    assert first.seconds >= 0.0


def check_health(net: Devnet, session: GonkaSession, case: Case) -> None:
    failed, served = state_of(net, session, 0), state_of(net, session, 1)
    if case.out != "?":
        assert failed["out_because"] == case.out
        assert failed["models"][MODEL]["failures"] == {case.outcome: 1}
    assert served["out_because"] == ""
    assert served["models"][MODEL]["served"] == 1


@pytest.mark.parametrize("name", [*EARLY, *UNSAID, *LATE])
def test_a_plain_call(net: Devnet, session: GonkaSession, way: Way, name: str) -> None:
    case = (EARLY | UNSAID | LATE)[name]
    begin(net, session, case)
    text, served = way.plain(session)
    assert text == SAID
    assert served.address == net.hosts[1].address
    check_record(net, served.attempts, case.outcome)
    check_health(net, session, case)
    signatures = [one.headers["authorization"] for host in net.hosts for one in host.requests]
    assert len(set(signatures)) == len(signatures)


@pytest.mark.parametrize("name", [*EARLY, *UNSAID])
def test_a_stream_of_which_nothing_was_shown(
    net: Devnet, session: GonkaSession, way: Way, name: str
) -> None:
    case = (EARLY | UNSAID)[name]
    begin(net, session, case)
    heard: list[str] = []
    served = way.stream(session, heard)
    assert "".join(heard) == SAID
    assert served.address == net.hosts[1].address
    check_record(net, served.attempts, case.outcome)
    check_health(net, session, case)


@pytest.mark.parametrize("name", LATE)
def test_a_stream_of_which_something_was_shown(
    net: Devnet, session: GonkaSession, way: Way, name: str
) -> None:
    case = LATE[name]
    begin(net, session, case)
    net.token_delay = 0.01  # what comes in one read with the failure is not shown
    heard: list[str] = []
    with pytest.raises(StreamInterruptedError) as caught:
        way.stream(session, heard)
    error = caught.value
    assert error.partial_text == "You said: one"
    assert error.partial_text.startswith("".join(heard))
    assert [one.outcome for one in error.attempts] == [case.outcome]
    assert net.hosts[0].url in str(error)
    assert not net.hosts[1].requests, "nothing is repeated"
    assert state_of(net, session, 0)["models"][MODEL]["failures"] == {case.outcome: 1}


@pytest.mark.parametrize("name", [*EARLY, *PLAIN])
def test_a_plain_call_that_is_not_read_as_a_stream(
    net: Devnet, session: GonkaSession, standing: Standing, world: str, name: str
) -> None:
    case = (EARLY | PLAIN)[name]
    if name == "empty":
        case = case._replace(outcome="garbage")
    begin(net, session, case)
    session.context.stream_internally = False
    text, served = Way("chat", world, standing).plain(session)
    assert text == SAID
    check_record(net, served.attempts, case.outcome)
    check_health(net, session, case)
    assert not any(one.streams for host in net.hosts for one in host.requests)


def test_slow_is_not_failing(net: Devnet, session: GonkaSession, way: Way) -> None:
    net.hosts[0].fault = Fault("slow", delay=0.05, token_delay=0.01)
    heard: list[str] = []
    assert way.plain(session)[0] == SAID
    assert way.stream(session, heard).failovers == 0
    assert "".join(heard) == SAID
    assert not net.hosts[1].requests
    assert state_of(net, session, 0)["latency_seconds"] >= 0.05


def test_too_slow_is(net: Devnet, session: GonkaSession, way: Way) -> None:
    begin(net, session, Case(Fault("slow", delay=2 * LIMIT), "first_token_timeout"))
    assert way.plain(session)[1].attempts[0].outcome == "first_token_timeout"


def test_two_of_three(net: Devnet, session: GonkaSession, way: Way) -> None:
    net.hosts[0].fault = Fault("role_then_cut")
    net.hosts[1].kill()
    text, served = way.plain(session)
    assert text == SAID
    assert [one.outcome for one in served.attempts] == ["cut", "refused", "served"]
    assert served.failovers == 2


def test_a_host_that_dies_and_comes_back(net: Devnet, session: GonkaSession, way: Way) -> None:
    net.hosts[0].kill()
    assert way.plain(session)[1].address == net.hosts[1].address
    net.hosts[0].revive()
    state = session.pool._members.states[next(iter(session.pool._members.states))]
    state.health.out_until = 0.0  # as if its second were over
    assert way.plain(session)[1].address == net.hosts[0].address
    assert not state_of(net, session, 0)["on_trial"]
