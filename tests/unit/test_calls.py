"""Whole calls without a socket: what is sent, to whom, what is repeated, what comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from made import FakeClock, account, gateway, node, provider
from scripted_wire import Part, Says, World, answers, refuses, says, text_of
from streamed import HEAD, chunk, completion, finish, role, spoken, sse, text, usage

from gonka_integrations import errors
from gonka_integrations.core.endpoints import Endpoint, Signed
from gonka_integrations.core.retries import RetryPolicy
from gonka_integrations.core.served import CallOptions
from gonka_integrations.core.signing import sign_request
from gonka_integrations.core.wire import WireFailure
from gonka_integrations.errors import GonkaClientError

CUT = WireFailure("cut", "the peer closed the connection")
HTML = b"<html><head><title>502 Bad Gateway</title></head></html>"


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def world(asynchronous: bool) -> World:
    """Host 0 fails in the way of the test, host 1 serves; host 0 is asked first."""
    return World(node(0, weight=1e9), node(1, weight=1e-9), asynchronous=asynchronous)


class TestServing:
    def test_a_plain_call_is_read_as_a_stream(self, world: World) -> None:
        world.script(host0=says("Hello world"))
        answer = world.complete()
        assert text_of(answer) == "Hello world"
        assert answer.data["object"] == "chat.completion"
        assert answer.data["usage"]["completion_tokens"] == 3
        assert world.sent()["stream"] is True
        assert world.headers()["Accept"] == "text/event-stream"
        world.nothing_is_left()

    def test_or_not(self, world: World) -> None:
        world.context.stream_internally = False
        world.script(host0=Says([completion("Hello")]))
        assert text_of(world.complete()) == "Hello"
        assert "stream" not in world.sent()
        assert world.headers()["Accept"] == "application/json"
        world.nothing_is_left()

    @pytest.mark.parametrize("spoken_words", [{"audio": {"voice": "x"}}, {"modalities": ["audio"]}])
    def test_speech_is_not_streamed(self, world: World, spoken_words: dict[str, Any]) -> None:
        world.script(host0=Says([completion("Hello")]))
        world.complete(spoken_words)
        assert "stream" not in world.sent()

    def test_a_server_that_does_not_stream(self, world: World) -> None:
        world.script(host0=Says([completion("Hello")]))
        assert text_of(world.complete()) == "Hello"
        assert world.asked() == ["host0"]

    def test_who_served_it(self, world: World) -> None:
        world.script(host0=[Says([0.5, spoken()], before=0.25)])
        served = world.complete().served
        assert (served.kind, served.endpoint, served.epoch, served.tier) == (
            "participant", "http://host0.test/v1", 7, 0,
        )  # fmt: skip
        assert served.address == node(0).address
        assert served.model == "llama"
        assert served.failovers == 0
        assert [one.outcome for one in served.attempts] == ["served"]
        assert served.first_token_seconds == pytest.approx(0.75)
        assert served.total_seconds == pytest.approx(0.75)
        stats = world.state("host0")["models"]["llama"]
        assert (stats["calls"], stats["served"]) == (1, 1)
        assert world.state("host0")["latency_seconds"] == pytest.approx(0.75)

    def test_what_hosts_add_unasked_is_taken_out(self, world: World) -> None:
        entry = {"content": [{"token": "9707", "logprob": 0.0}]}
        stream = sse(
            {**role(), "prompt_token_ids": [1, 2]},
            chunk({"content": "Hi"}, logprobs=entry, token_ids=[9707]), finish(), done=True,
        )  # fmt: skip
        world.script(host0=Says([stream]))
        plain = world.complete().data
        assert plain["choices"][0]["logprobs"] is None
        assert "prompt_token_ids" not in plain
        assert world.complete({"logprobs": True}).data["choices"][0]["logprobs"] == entry

    def test_several_choices(self, world: World) -> None:
        stream = sse(text("a", 0), finish(index=0), text("b", 1), finish(index=1), done=True)
        cut = sse(text("a", 0), finish(index=0))
        world.script(host0=Says([cut]), host1=Says([stream]))
        answer = world.complete({"n": 2})
        assert [one["message"]["content"] for one in answer.data["choices"]] == ["a", "b"]
        assert answer.served.failovers == 1

    def test_the_caller_s_payload_is_left_alone(self, world: World) -> None:
        payload = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}], "stop": ["x"]}
        before = json.loads(json.dumps(payload))
        world.script(host0=says())
        world.complete(payload)
        assert payload == before


class TestSigning:
    def test_over_the_exact_bytes_for_the_host_asked(self, world: World) -> None:
        world.script(host0=says())
        world.complete({"messages": [{"role": "user", "content": "Grüße 🌍"}]})
        sent, headers = world.connections.requests[0], world.headers()
        assert "Grüße 🌍".encode() in sent.body
        assert headers["X-Requester-Address"] == account().address
        moment = int(headers["X-Timestamp"])
        expected = sign_request(account(), sent.body, moment, node(0).address or "")
        assert headers["Authorization"] == expected
        assert len(base64.b64decode(expected)) == 64

    def test_anew_for_each_attempt(self, world: World) -> None:
        world.script(host0=answers(503), host1=[answers(503), says()])
        world.complete()
        signatures = [dict(one.headers)["Authorization"] for one in world.connections.requests]
        times = [int(dict(one.headers)["X-Timestamp"]) for one in world.connections.requests]
        assert len(set(signatures)) == len(signatures) == 4
        assert times == sorted(set(times))

    def test_the_body_is_made_once(self, world: World) -> None:
        world.script(host0=answers(503), host1=says())
        world.complete()
        first, second = (one.body for one in world.connections.requests)
        assert first is second

    def test_half_a_surrogate_pair(self, world: World) -> None:
        world.script(host0=says())
        world.complete({"messages": [{"role": "user", "content": "\ud83c"}]})
        assert b"\\ud83c" in world.connections.requests[0].body

    def test_by_a_device(self, asynchronous: bool) -> None:
        class Device:
            address = account().address
            digests: list[bytes] = []  # noqa: RUF012

            def sign(self, digest: bytes) -> bytes:
                self.digests.append(digest)
                return account().sign(digest)

        endpoint = node(1)
        signed = Endpoint(
            "participant", endpoint.base_url, Signed(Device(), Device.address),
            address=endpoint.address,
        )  # fmt: skip
        world = World(signed, asynchronous=asynchronous)
        world.script(host1=says())
        world.complete()
        assert len(Device.digests) == 1

    def test_by_a_device_that_does_not(self, asynchronous: bool) -> None:
        class Device:
            address = account().address

            def sign(self, digest: bytes) -> bytes:
                return b"DER"

        endpoint = node(1)
        signed = Endpoint(
            "participant", endpoint.base_url, Signed(Device(), Device.address),
            address=endpoint.address,
        )  # fmt: skip
        world = World(signed, asynchronous=asynchronous)
        with pytest.raises(GonkaClientError, match="64 bytes"):
            world.complete()
        world.nothing_is_left()
        assert world.state("host1")["models"]["llama"]["cancelled"] == 1


class TestKeys:
    def test_go_to_whom_they_are_given_for(self, asynchronous: bool) -> None:
        world = World(gateway(0, weight=1e9), gateway(1, weight=1e-9), provider(2),
                      asynchronous=asynchronous)  # fmt: skip
        world.script(gate0=refuses(), gate1=refuses(), prov2=says())
        world.complete(extra_headers={"X-Title": "mine"})
        sent = [dict(one.headers) for one in world.connections.requests]
        assert [one["Authorization"] for one in sent] == [
            "Bearer gk-0", "Bearer gk-1", "Bearer sk-2",
        ]  # fmt: skip
        assert {one["X-Title"] for one in sent} == {"mine"}
        assert not any("X-Requester-Address" in one for one in sent)

    def test_none_is_none(self, asynchronous: bool) -> None:
        from dataclasses import replace

        from gonka_integrations.core.endpoints import Bearer

        world = World(replace(provider(tier=0), credentials=Bearer(None, "prov0.test")),
                      asynchronous=asynchronous)  # fmt: skip
        world.script(prov0=says())
        world.complete(extra_headers={"X-Title": "mine"})
        assert "Authorization" not in world.headers()
        assert world.headers()["X-Title"] == "mine"

    def test_nodes_get_no_other_headers(self, world: World) -> None:
        world.script(host0=says())
        world.complete(extra_headers={"X-Inference-Id": "7"})
        assert "X-Inference-Id" not in world.headers()

    def test_are_shown_nowhere(self, asynchronous: bool) -> None:
        world = World(gateway(), asynchronous=asynchronous)
        world.script(gate0=answers(401, {"error": {"message": "model requires an API key"}}))
        call = world.call()
        with pytest.raises(errors.GonkaAuthenticationError) as caught:
            world.run(call.complete())
        shown = [
            repr(caught.value),
            str(caught.value),
            repr(call),
            repr(world.connections.requests),
        ]
        shown += [repr(caught.value.response.headers), repr(caught.value.request.headers)]
        assert "gk-0" not in "".join(shown)


# What host 0 does -> outcome in the record, whether it goes out of service at once.
FAILURES: dict[str, tuple[Says, str, bool]] = {
    "refused": (refuses(), "refused", True),
    "dns": (refuses("dns"), "dns", True),
    "tls": (refuses("tls"), "tls", True),
    "connect_timeout": (refuses("connect_timeout"), "connect_timeout", True),
    "forbidden": (refuses("forbidden_address"), "forbidden_address", True),
    "reset": (refuses("reset", ambiguous=True), "reset", False),
    "silent": (Says(before=1e9), "first_token_timeout", True),
    "silent after the head": (Says([1e9]), "first_token_timeout", True),
    "silent after the role": (Says([sse(role()), 1e9]), "first_token_timeout", True),
    "500": (answers(500, "odd"), "status", False),
    "502 page": (Says([HTML], 502), "status", False),
    "503": (answers(503, "no executors available for model"), "status", False),
    "429": (answers(429, "Transfer Agent capacity reached"), "status", True),
    "403": (answers(403, "Transfer Agent not allowed"), "status", True),
    "408": (answers(408, "request body read timeout"), "status", False),
    "302": (Says([], 302, {"location": "http://evil.test"}), "status", True),
    "empty": (Says([]), "truncated", False),
    "page": (Says([HTML]), "garbage", False),
    "garbage": (Says([b"\x8b\x1f<<< \xff"]), "garbage", False),
    "no choices": (Says([b"{}"]), "garbage", False),
    "misshapen": (Says([sse({**HEAD, "choices": [7]})]), "garbage", False),
    "role then cut": (Says([sse(role()), CUT]), "cut", False),
    "role then end": (Says([sse(role())]), "truncated", False),
    "error event": (Says([sse(role(), {"error": {"message": "boom"}})]), "error_event", False),
    "error as an answer": (Says([b'{"error":{"message":"boom"}}']), "error_event", False),
    "done at once": (Says([b"data: [DONE]\n\n"]), "truncated", False),
}
# Only a plain call, of which nothing has been shown, can be repeated after these.
AFTER_CONTENT: dict[str, tuple[Says, str, bool]] = {
    "cut": (Says([sse(role(), text("Hel")), CUT]), "cut", False),
    "end": (Says([sse(role(), text("Hel"))]), "truncated", False),
    "stall": (Says([sse(role(), text("Hel")), 1e9]), "idle_timeout", False),
    "text": (Says([sse(role(), text("Hel")) + b"unexpected EOF\n"]), "garbage", False),
    "error": (Says([sse(text("Hel"), {"error": "boom"}), b""]), "error_event", False),
    "torn answer": (Says([completion()[:40]]), "garbage", False),
    "torn answer, cut": (Says([completion()[:40], CUT]), "cut", False),
}


class TestFailover:
    @pytest.mark.parametrize("name", [*FAILURES, *AFTER_CONTENT])
    def test_another_host_serves(self, world: World, name: str) -> None:
        script, outcome, out = (FAILURES | AFTER_CONTENT)[name]
        world.script(host0=script, host1=says("Hello"))
        answer = world.complete()
        assert text_of(answer) == "Hello"
        assert [one.outcome for one in answer.served.attempts] == [outcome, "served"]
        assert answer.served.failovers == 1
        assert world.failovers == answer.served.attempts[:1]
        assert bool(world.state("host0")["out_because"]) is out
        assert world.state("host0")["models"]["llama"]["failures"] == {outcome: 1}
        assert world.state("host1")["out_because"] == ""
        world.nothing_is_left()

    @pytest.mark.parametrize("name", FAILURES)
    def test_of_a_stream_unseen(self, world: World, name: str) -> None:
        script, outcome, _ = FAILURES[name]
        world.script(host0=script, host1=says("Hello"))
        opened = world.open()
        assert opened.served.endpoint == "http://host1.test/v1"
        assert [one.outcome for one in opened.served.attempts] == [outcome, "served"]
        chunks = world.drain(opened)
        assert (
            "".join(c["delta"].get("content", "") for d in chunks for c in d["choices"]) == "Hello"
        )
        world.nothing_is_left()

    def test_of_plain_answers(self, world: World) -> None:
        world.context.stream_internally = False
        world.script(host0=Says([completion("Hel", None)]), host1=Says([completion("Hello")]))
        answer = world.complete()
        assert text_of(answer) == "Hello"
        assert answer.served.attempts[0].outcome == "truncated"

    def test_the_reason_is_recorded(self, world: World) -> None:
        world.script(host0=Says([HTML], 502), host1=says())
        record = world.complete().served.attempts[0]
        assert (record.status, record.error) == (502, "502 Bad Gateway")
        assert record.address == node(0).address
        assert "502 Bad Gateway" in str(record)

    def test_the_participant_list_may_be_stale(self, world: World) -> None:
        world.script(host0=refuses(), host1=says())
        world.complete()
        assert world.troubles == 1

    def test_a_hook_hears_only_of_what_is_followed_by_another(self, world: World) -> None:
        world.script(host0=answers(400, "messages is required"))
        with pytest.raises(errors.GonkaBadRequestError):
            world.complete()
        assert world.failovers == []

    def test_retry_after_is_obeyed_and_bounded(self, world: World) -> None:
        world.script(host0=answers(429, "full", retry_after="7"), host1=says())
        world.complete()
        assert world.state("host0")["out_for_seconds"] == 7
        world.clock.advance(7)
        world.script(host0=answers(503, "later", retry_after="86400"))
        world.complete()
        assert world.state("host0")["out_for_seconds"] == 120

    @pytest.mark.parametrize("seconds", [10, 29])
    def test_a_new_pool_waits_as_long_as_its_only_host_asks(
        self, asynchronous: bool, seconds: int
    ) -> None:
        world = World(node(1), asynchronous=asynchronous)
        world.script(host1=[answers(429, retry_after=str(seconds)), says("Hello")])
        assert text_of(world.complete()) == "Hello"
        assert world.clock() == pytest.approx(1000 + seconds, abs=1.0)

    def test_but_not_for_longer_than_an_outage(self, asynchronous: bool) -> None:
        world = World(node(1), asynchronous=asynchronous)
        world.script(host1=answers(429, retry_after="100"))
        with pytest.raises(errors.GonkaRateLimitError):
            world.complete()
        assert world.clock() < 1001

    def test_the_last_host_left_is_asked_again_after_a_pause(self, asynchronous: bool) -> None:
        world = World(node(1), asynchronous=asynchronous)
        world.script(host1=[answers(503), answers(503), says("Hello")])
        assert text_of(world.complete()) == "Hello"
        assert len(world.connections.parked) >= 1
        assert world.clock() < 1010

    def test_a_first_token_limit_of_one_call(self, world: World) -> None:
        world.script(host0=Says(before=5.0), host1=says())
        answer = world.complete(first_token_timeout=2.0)
        assert answer.served.attempts[0].seconds == pytest.approx(2.0)

    def test_a_hurried_call_does_not_put_hosts_out_for_others(self, world: World) -> None:
        world.script(host0=Says(before=5.0), host1=says())
        world.complete(first_token_timeout=2.0)
        state = world.state("host0")
        assert state["out_because"] == ""
        assert state["latency_seconds"] == pytest.approx(2.0)  # but it is known to be slow

    def test_a_call_that_waits_as_long_as_all_does(self, world: World) -> None:
        world.script(host0=Says(before=1e9), host1=says())
        world.complete(first_token_timeout=60.0)
        assert world.state("host0")["out_because"] == "hard"

    def test_one_silent_host_gets_a_share_of_the_time(self, world: World) -> None:
        world.script(host0=Says(before=1e9), host1=says())
        answer = world.complete(timeout=20.0)
        assert answer.served.attempts[0].seconds == pytest.approx(10.0)
        assert answer.served.total_seconds == pytest.approx(10.0)


class TestTheEndOfAnAnswer:
    """Once every choice has said why it ends, nothing can take the answer away."""

    @pytest.mark.parametrize(
        "tail",
        [
            [CUT],
            [1e9],
            [b"internal error\n"],
            [b": ping\n\n", CUT],
            [sse({"error": {"message": "late"}})],
            [sse(usage()), 1e9],
            [],
        ],
        ids=["cut", "silence", "text", "ping, cut", "error", "usage, silence", "end"],
    )
    @pytest.mark.parametrize("together", [True, False], ids=["one read", "two reads"])
    def test_is_not_repeated(self, world: World, tail: list[Part], together: bool) -> None:
        said = sse(role(), text("Hello"), finish())
        parts: list[Part] = [said, *tail]
        if together and tail and isinstance(tail[0], bytes):
            parts = [said + tail[0], *tail[1:]]
        world.script(host0=Says(parts))
        assert text_of(world.complete()) == "Hello"
        assert world.asked() == ["host0"]
        assert world.clock() <= 1002.1
        world.nothing_is_left()


def endless(clock: FakeClock, first: bytes, rest: bytes, seconds: float) -> Iterator[Part]:
    """A host that never stops: *rest* again and again, without ever being waited for."""
    yield first
    while True:
        clock.advance(seconds)
        yield rest


class TestEndlessAnswers:
    def test_of_comments(self, world: World) -> None:
        pings = endless(world.clock, b"", b": ping\n\n", 1.0)
        world.script(host0=Says(pings), host1=says())
        next(pings)  # an empty read would be the end
        answer = world.complete(first_token_timeout=10.0)
        assert answer.served.attempts[0].outcome == "first_token_timeout"
        assert world.clock() < 1012

    def test_of_roles(self, world: World) -> None:
        world.script(host0=Says(endless(world.clock, sse(role()), sse(role()), 1.0)), host1=says())
        assert world.complete(first_token_timeout=10.0).served.failovers == 1

    def test_of_content(self, world: World) -> None:
        world.script(host0=Says(endless(world.clock, sse(role()), sse(text("x")), 1.0)))
        with pytest.raises(errors.GonkaTimeoutError):
            world.complete(timeout=30.0)
        assert world.clock() < 1032
        world.nothing_is_left()

    def test_of_a_stream(self, world: World) -> None:
        world.script(host0=Says(endless(world.clock, sse(text("x")), sse(text("x")), 1.0)))
        opened = world.open(timeout=30.0)
        with pytest.raises(errors.StreamInterruptedError):
            world.drain(opened)
        assert world.clock() < 1032
        world.nothing_is_left()

    def test_after_the_end(self, world: World) -> None:
        said = sse(text("Hello"), finish())
        world.script(host0=[Says(endless(world.clock, said, b": ping\n\n", 0.5)) for _ in range(2)])
        assert text_of(world.complete()) == "Hello"
        world.drain(world.open())
        assert world.clock() < 1006
        world.nothing_is_left()

    def test_of_an_error(self, world: World) -> None:
        part = b" " * (16 << 20)
        world.script(host0=Says([part] * 8, 503), host1=says())
        answer = world.complete()
        assert answer.served.attempts[0].outcome == "too_large"

    def test_of_a_plain_answer(self, world: World) -> None:
        world.context.stream_internally = False
        world.script(host0=Says(endless(world.clock, b"{", b" ", 1.0)))
        with pytest.raises(errors.GonkaTimeoutError):
            world.complete(timeout=30.0)


class TestTheClock:
    OLD = "signature is too old"

    @staticmethod
    def block(text: str) -> Says:
        return Says([json.dumps({"result": {"sync_info": {"latest_block_time": text}}}).encode()])

    def test_the_chain_s_time_is_learnt_and_signed_by(self, world: World) -> None:
        world.script(
            host0=[answers(400, self.OLD), says("Hello")], host1=[says("Hello")],
            host0_status=self.block("1970-01-01T00:30:00.123456789Z"),
        )  # fmt: skip
        answer = world.complete()
        assert answer.served.attempts[0].status == 400
        asked = world.connections.requests
        assert asked[1].url == "http://host0.test/chain-rpc/status"
        assert asked[1].headers == []
        moment = int(dict(asked[2].headers)["X-Timestamp"])
        assert moment == pytest.approx(1_800_123_456_789, abs=1e6)
        assert world.state("host0")["out_because"] == ""
        world.script(host0=says(), host1=says())
        world.complete()
        assert int(world.headers()["X-Timestamp"]) == pytest.approx(1_800_123_456_789, abs=1e6)

    def test_or_taken_from_the_answer_s_date(self, world: World) -> None:
        status = Says([b"not json"], 404, {"date": "Thu, 01 Jan 1970 00:40:00 GMT"})
        world.script(host0=[answers(400, self.OLD), says()], host1=says(), host0_status=status)
        world.complete()
        assert int(world.headers()["X-Timestamp"]) == pytest.approx(2400e9, abs=1e6)

    @pytest.mark.parametrize(
        "status", [refuses(), Says([b"{}"]), Says([b" " * (2 << 20)]), Says([1e9])]
    )
    def test_or_left_as_it_is(self, world: World, status: Says) -> None:
        world.script(host0=answers(400, self.OLD), host1=says(), host0_status=status)
        answer = world.complete()
        assert answer.served.endpoint == "http://host1.test/v1"
        world.nothing_is_left()

    def test_once_per_host(self, asynchronous: bool) -> None:
        world = World(node(1), asynchronous=asynchronous)
        world.script(host1=answers(400, self.OLD),
                     host1_status=self.block("1970-01-01T00:30:00Z"))  # fmt: skip
        with pytest.raises(errors.GonkaBadRequestError, match="clock of this machine"):
            world.complete(max_retries=2)
        status_reads = [one for one in world.connections.requests if one.url.endswith("/status")]
        assert len(status_reads) == 1


class TestCaches:
    FAILED = Says([b'{"error":{"message":"inference: no non-empty response"}}'], 504)

    def test_a_repeated_request_to_a_gateway_differs(self, asynchronous: bool) -> None:
        world = World(gateway(), asynchronous=asynchronous)
        world.script(gate0=[self.FAILED, says()])
        world.complete()
        first, second = world.sent(0), world.sent(1)
        assert second.pop("user").startswith("retry-")
        assert first == second

    def test_from_call_to_call(self, asynchronous: bool) -> None:
        world, users = World(gateway(), asynchronous=asynchronous), set()
        for _ in range(20):
            world.script(gate0=[self.FAILED, says()])
            world.complete()
            users.add(world.sent()["user"])
        assert len(users) == 20

    def test_nodes_remember_nothing(self, world: World) -> None:
        world.script(host0=answers(503), host1=says())
        world.complete()
        assert world.sent(0) == world.sent(1)


class TestStreamOptions:
    UNKNOWN = answers(400, {"error": {"message": "Unknown parameter: stream_options"}})

    def test_are_left_out_where_they_are_unknown(self, asynchronous: bool) -> None:
        world = World(provider(tier=0), asynchronous=asynchronous)
        world.script(prov0=[self.UNKNOWN, says(), says()])
        world.complete()
        assert "stream_options" in world.sent(0)
        assert "stream_options" not in world.sent(1)
        world.complete()
        assert "stream_options" not in world.sent(2)
        assert world.sent(2)["stream"] is True


class TestErrors:
    def test_of_the_request_end_the_call(self, world: World) -> None:
        world.script(host0=answers(400, "messages is required"))
        with pytest.raises(errors.GonkaBadRequestError) as caught:
            world.complete()
        error = caught.value
        assert error.status_code == 400
        assert error.body == {"error": "messages is required"}
        assert "messages is required" in str(error)
        assert "http://host0.test/v1" in str(error)
        assert world.asked() == ["host0"]
        assert world.state("host0")["out_because"] == ""
        world.nothing_is_left()

    def test_of_the_account_end_it_when_two_hosts_agree(self, asynchronous: bool) -> None:
        wrong = answers(401, "Unable to validate request against PubKey:invalid signature")
        world = World(*(node(number) for number in range(5)), asynchronous=asynchronous)
        world.script(**{f"host{number}": wrong for number in range(5)})
        with pytest.raises(
            errors.GonkaAuthenticationError, match="check the private key"
        ) as caught:
            world.complete()
        assert len(caught.value.attempts) == 2
        assert not any(world.state(f"host{n}")["out_because"] for n in range(5))

    def test_no_money(self, world: World) -> None:
        world.script(host0=answers(402, "Insufficient balance"), host1=answers(402))
        with pytest.raises(errors.GonkaInsufficientBalanceError, match="add funds"):
            world.complete()
        assert sorted(world.asked()) == ["host0", "host1"]

    def test_one_host_alone_is_not_believed_about_the_account(self, world: World) -> None:
        world.script(host0=answers(402, "Insufficient balance"), host1=says())
        assert world.complete().served.failovers == 1
        assert world.complete().served.endpoint

    def test_no_money_but_a_fallback(self, asynchronous: bool) -> None:
        world = World(node(1), node(2), provider(), asynchronous=asynchronous)
        world.script(host1=answers(402), host2=answers(402), prov0=says())
        answer = world.complete()
        assert (answer.served.kind, answer.served.tier, len(answer.served.attempts)) == (
            "provider", 1, 3,
        )  # fmt: skip

    def test_everything_down_lists_each_and_why(self, asynchronous: bool) -> None:
        world = World(node(1), node(2), gateway(), asynchronous=asynchronous)
        world.script(host1=refuses(), host2=refuses("reset"), gate0=refuses("dns"))
        with pytest.raises(errors.GonkaCallError) as caught:
            world.complete(max_retries=2)
        assert type(caught.value).__name__ == "GonkaEndpointsExhaustedError"
        for words in ("host1.test", "host2.test", "gate0.test", "refused", "reset", "dns",
                      node(1).address or "?"):  # fmt: skip
            assert words in str(caught.value)
        assert {one.outcome for one in caught.value.attempts} == {"refused", "reset", "dns"}

    def test_the_last_answer_is_worth_more_than_a_refused_connection(self, world: World) -> None:
        world.script(host0=answers(503, "no executors"), host1=refuses("reset", ambiguous=True))
        with pytest.raises(errors.GonkaServerError) as caught:
            world.complete(max_retries=1)
        error = caught.value
        assert error.status_code == 503
        assert str(error).startswith("503 from http://host0.test/v1: no executors")
        assert [one.outcome for one in error.attempts] == ["status", "reset"]

    def test_too_slow(self, world: World) -> None:
        world.script(host0=Says(before=1e9), host1=Says(before=1e9))
        with pytest.raises(errors.GonkaTimeoutError, match=r"timeout=10 s") as caught:
            world.complete(timeout=10.0)
        assert world.clock() == pytest.approx(1010.0)
        assert len(caught.value.attempts) == 2

    def test_a_full_queue(self, asynchronous: bool) -> None:
        world = World(node(1, max_concurrent=1), asynchronous=asynchronous, queue_limit=0)
        world.script(host1=says())
        opened = world.open()
        with pytest.raises(errors.GonkaBackpressureError, match="max_concurrent"):
            world.complete()
        world.run(opened.close())
        world.nothing_is_left()

    def test_a_model_that_nobody_serves(self, asynchronous: bool) -> None:
        world = World(node(1, models=frozenset({"a", "b"})), asynchronous=asynchronous)
        with pytest.raises(
            errors.GonkaModelNotServedError, match="'llama'; served: a, b"
        ) as caught:
            world.complete()
        assert caught.value.served == ("a", "b")
        assert caught.value.model == "llama"
        assert world.asked() == []

    def test_a_model_that_hosts_say_they_lack(self, asynchronous: bool) -> None:
        world = World(node(1), asynchronous=asynchronous)
        world.script(host1=answers(404, "model not found"))
        with pytest.raises(errors.GonkaNotFoundError):
            world.complete()
        with pytest.raises(errors.GonkaModelNotServedError, match="none known"):
            world.complete()
        assert world.troubles == 1

    def test_an_empty_pool(self, asynchronous: bool) -> None:
        with pytest.raises(errors.GonkaCallError, match="no endpoints"):
            World(asynchronous=asynchronous).complete()

    def test_a_pool_that_is_out_for_long(self, asynchronous: bool) -> None:
        world = World(node(1), asynchronous=asynchronous)
        world.script(host1=answers(403, "This route is currently blocked."))
        with pytest.raises(errors.GonkaPermissionDeniedError):
            world.complete()
        with pytest.raises(errors.GonkaCallError, match="out of service for longer"):
            world.complete()

    def test_classic_inference_is_gone(self, world: World) -> None:
        gone = answers(410, {"error": "deprecated", "message": "use devshard"})
        world.script(host0=gone, host1=gone)
        for _ in range(2):  # remembered for the next call, which asks nobody
            with pytest.raises(errors.GonkaClassicInferenceGoneError, match="GONKA_BROKER_URL"):
                world.complete()
        assert world.asked() == ["host0", "host1"]

    def test_a_gateway_that_moved(self, asynchronous: bool) -> None:
        world = World(gateway(), asynchronous=asynchronous)
        body = {"message": "please move", "new_url": "https://new.test/v1", "status": 308}
        world.script(gate0=answers(308, body, location="https://evil.test"))
        with pytest.raises(errors.GonkaGatewayMovedError, match=r"new\.test/v1") as caught:
            world.complete()
        assert caught.value.new_url == "https://new.test/v1"
        assert world.asked() == ["gate0"]

    def test_no_money_in_the_middle_of_a_stream_is_no_money(self, asynchronous: bool) -> None:
        world = World(provider(tier=0), asynchronous=asynchronous)
        event = {"error": {"message": "quota", "code": 402}}
        world.script(prov0=Says([sse(role(), event)]))
        with pytest.raises(errors.GonkaInsufficientBalanceError):
            world.complete()

    def test_an_ambiguous_failure_is_not_repeated_where_it_must_not(self, world: World) -> None:
        world.context.policy = RetryPolicy(retry_ambiguous=False)
        world.script(host0=Says([sse(role()), CUT]))
        with pytest.raises(errors.GonkaCallError, match="retry_ambiguous is off"):
            world.complete()
        assert world.state("host0")["models"]["llama"]["ambiguous"] == 1

    def test_but_an_answer_is_not_ambiguous(self, world: World) -> None:
        world.context.policy = RetryPolicy(retry_ambiguous=False)
        world.script(host0=answers(503), host1=says())
        assert world.complete().served.failovers == 1

    def test_a_payload_that_is_no_json_leaves_nothing_behind(self, world: World) -> None:
        with pytest.raises(TypeError):
            world.complete({"stop": {1, 2}})
        world.nothing_is_left()

    def test_retries_of_one_call(self, world: World) -> None:
        world.script(host0=refuses(), host1=refuses())
        with pytest.raises(errors.GonkaCallError) as caught:
            world.complete(max_retries=0)
        assert len(caught.value.attempts) == 1


class TestLettingGo:
    def test_of_a_flow_that_is_dropped(self, world: World) -> None:
        world.script(host0=says())
        for steps in range(3):
            flow = world.call().complete()
            command = next(flow)
            for _ in range(steps):
                command = flow.send(command.perform(world.connections))  # type: ignore[arg-type]
            flow.close()
            assert world.pool.in_flight() == 0
        stats = world.state("host0")["models"]["llama"]
        assert (stats["calls"], stats["served"], stats["cancelled"]) == (3, 1, 2)

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
    def test_when_interrupted_the_answer_is_closed(
        self, world: World, interruption: type[BaseException]
    ) -> None:
        world.script(host0=Says([sse(role()), interruption()]))
        with pytest.raises(interruption):
            world.run(world.call().complete())
        world.nothing_is_left()
        assert world.state("host0")["models"]["llama"]["cancelled"] == 1
        assert world.state("host0")["out_because"] == ""

    def test_while_waiting_in_the_queue(self) -> None:
        world = World(node(1, max_concurrent=1))
        world.script(host1=says())
        opened = world.open()
        flow = world.call().complete()
        next(flow)
        assert world.pool.waiting() == 1
        flow.close()
        world.run(opened.close())
        world.nothing_is_left()


def test_times_of_a_call_come_before_the_session_s() -> None:
    world = World(node(1))
    call = world.call(timeout=5.0)
    assert (call.limit("timeout"), call.limit("idle_timeout")) == (5.0, 60.0)
    assert CallOptions().timeout is None
