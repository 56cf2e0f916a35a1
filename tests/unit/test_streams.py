"""Open streams without a socket: what is given on, how they end, what a break leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
from made import gateway, node
from scripted_wire import Part, Says, World, answers, says
from streamed import chunk, completion, finish, role, spoken, sse, text, usage

from gonka_integrations import errors
from gonka_integrations.core.streams import OpenStream
from gonka_integrations.core.wire import WireFailure

CUT = WireFailure("cut", "the peer closed the connection")


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def world(request: pytest.FixtureRequest) -> World:
    return World(node(0, weight=1e9), node(1, weight=1e-9), asynchronous=bool(request.param))


def words(chunks: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content") or "" for one in chunks for c in one["choices"])


def opened(world: World, *parts: Part, **options: Any) -> OpenStream:
    world.script(host0=Says(parts), host1=says("from the other host"))
    return world.open(**options)


class TestGoingOn:
    def test_everything_comes_in_order(self, world: World) -> None:
        stream = opened(world, sse(role()), sse(text("Hel"), text("lo")), sse(finish(), usage()))
        chunks = world.drain(stream)
        assert chunks == [role(), text("Hel"), text("lo"), finish(), usage()]
        assert stream.ended
        assert world.run(stream.pull()) == []
        world.nothing_is_left()

    def test_it_opens_with_the_first_content(self, world: World) -> None:
        stream = opened(world, 1.0, sse(role()), 2.0, sse(text("Hel")), 3.0, sse(finish()))
        assert world.clock() == 1003.0
        assert stream.chunks == [role(), text("Hel")]
        assert stream.served.first_token_seconds == pytest.approx(3.0)
        assert stream.served.total_seconds is None
        assert world.pool.in_flight() == 1
        world.drain(stream)
        assert stream.served.total_seconds == pytest.approx(6.0)
        assert world.state("host0")["latency_seconds"] == pytest.approx(3.0)
        stats = world.state("host0")["models"]["llama"]
        assert stats["total_seconds"]["mean"] == pytest.approx(6.0)

    def test_usage_is_asked_for(self, world: World) -> None:
        opened(world, spoken())
        assert world.sent()["stream_options"] == {"include_usage": True}
        world.open({"stream_options": {"include_usage": False}})
        assert world.sent()["stream_options"] == {"include_usage": False}

    def test_a_server_that_does_not_stream(self, world: World) -> None:
        stream = opened(world, completion("Hello"))
        chunks = world.drain(stream)
        assert words(chunks) == "Hello"
        assert chunks[0]["object"] == "chat.completion.chunk"
        world.nothing_is_left()

    def test_a_done_ends_it_without_waiting_for_the_body(self, world: World) -> None:
        stream = opened(world, spoken("Hello"), 1e9)
        assert words(world.drain(stream)) == "Hello"
        assert world.clock() == 1000.0
        assert world.connections.exchanges[0].finished

    def test_the_connection_is_kept_after_the_end(self, world: World) -> None:
        world.drain(opened(world, spoken()))
        exchange = world.connections.exchanges[0]
        assert (exchange.finished, exchange.closed) == (True, False)


class TestBreaking:
    BREAKS: dict[str, tuple[list[Part], str]] = {  # noqa: RUF012
        "cut": ([CUT], "cut"),
        "end": ([], "truncated"),
        "silence": ([1e9], "idle_timeout"),
        "text": ([b"unexpected end of JSON input\n"], "garbage"),
        "error": ([sse({"error": {"message": "upstream closed"}})], "error_event"),
        "misshapen": ([sse({"choices": [7]})], "garbage"),
    }

    @pytest.mark.parametrize("name", BREAKS)
    def test_after_content(self, world: World, name: str) -> None:
        parts, kind = self.BREAKS[name]
        stream = opened(world, sse(role(), text("Hel"), text("lo")), *parts)
        got: list[dict[str, Any]] = []
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(stream, got)
        error = caught.value
        assert words(got) == error.partial_text == "Hello"
        assert error.partial == {"role": "assistant", "content": "Hello"}
        assert [one.outcome for one in error.attempts] == [kind]
        assert "broke after 5 characters" in str(error)
        assert "http://host0.test/v1" in str(error)
        assert world.asked() == ["host0"], "nothing is repeated"
        assert world.state("host0")["models"]["llama"]["failures"] == {kind: 1}
        assert stream.ended
        assert world.run(stream.pull()) == []
        world.nothing_is_left()

    def test_with_what_was_known_of_the_cost(self, world: World) -> None:
        stream = opened(world, sse({**text("x"), "usage": {"total_tokens": 9}}), CUT)
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(stream)
        assert caught.value.usage == {"total_tokens": 9}

    def test_in_the_middle_of_a_tool_call(self, world: World) -> None:
        call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a'}}
        stream = opened(world, sse(chunk({"tool_calls": [call]})), CUT)
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(stream)
        assert caught.value.partial_text == ""
        assert caught.value.partial["tool_calls"][0]["function"]["arguments"] == '{"a'

    def test_with_content_that_is_no_text(self, world: World) -> None:
        stream = opened(world, sse(chunk({"content": 5})), CUT)
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(stream)
        assert caught.value.partial_text == ""

    def test_after_earlier_failures(self, world: World) -> None:
        world.script(host0=answers(503), host1=Says([sse(text("x")), CUT]))
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(world.open())
        assert [one.outcome for one in caught.value.attempts] == ["status", "cut"]

    def test_one_of_several_choices(self, world: World) -> None:
        said = sse(text("a", 0), text("b", 1), finish(index=0))
        world.script(host0=Says([said, CUT]))
        with pytest.raises(errors.StreamInterruptedError):
            world.drain(world.open({"n": 2}))

    def test_the_idle_time_out_of_one_call(self, world: World) -> None:
        stream = opened(world, sse(text("x")), 3.0, sse(text("y"), finish()), idle_timeout=2.0)
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(stream)
        assert world.clock() == pytest.approx(1002.0)
        assert caught.value.attempts[0].outcome == "idle_timeout"

    def test_the_whole_call_s_time_out(self, world: World) -> None:
        stream = opened(
            world, sse(text("x")), 6.0, sse(text("y")), 6.0, sse(finish()), timeout=10.0
        )
        with pytest.raises(errors.StreamInterruptedError) as caught:
            world.drain(stream)
        assert caught.value.partial_text == "xy"
        assert world.clock() == pytest.approx(1010.0)


class TestTails:
    """What comes after a finish reason takes nothing back."""

    @pytest.mark.parametrize(
        "tail",
        [[CUT], [1e9], [b"internal error\n"], [sse({"error": "late"})], [sse(usage()), CUT]],
        ids=["cut", "silence", "text", "error", "usage, cut"],
    )
    @pytest.mark.parametrize("together", [True, False], ids=["one read", "two reads"])
    def test_it_ends_well(self, world: World, tail: list[Part], together: bool) -> None:
        said = sse(text("Hello"), finish())
        parts: list[Part] = [sse(role(), text("O ")), said, *tail]
        if together and isinstance(tail[0], bytes):
            parts = [sse(role(), text("O ")), said + tail[0], *tail[1:]]
        stream = opened(world, *parts)
        chunks = world.drain(stream)
        assert words(chunks) == "O Hello"
        assert any(c["finish_reason"] for one in chunks for c in one["choices"])
        assert world.clock() <= 1002.1
        assert world.state("host0")["models"]["llama"]["served"] == 1
        world.nothing_is_left()


class TestLettingGo:
    def test_early(self, world: World) -> None:
        stream = opened(world, sse(role(), text("x")), 1e9)
        world.run(stream.close())
        world.run(stream.close())
        assert world.clock() == 1000.0
        assert world.connections.exchanges[0].closed
        stats = world.state("host0")["models"]["llama"]
        assert (stats["cancelled"], stats["served"], stats["failures"]) == (1, 0, {})
        assert world.run(stream.pull()) == [role(), text("x")], "what was read is there"
        assert world.run(stream.pull()) == []
        world.nothing_is_left()

    def test_after_the_last_content(self, world: World) -> None:
        stream = opened(world, sse(text("x"), finish()), 1e9)
        world.run(stream.close())
        assert world.connections.exchanges[0].finished
        assert world.state("host0")["models"]["llama"]["served"] == 1
        world.nothing_is_left()

    def test_without_a_word(self, world: World) -> None:
        stream = opened(world, sse(text("x")), 1e9)
        stream.abandon()
        stream.abandon()
        assert world.pool.in_flight() == 0
        assert world.state("host0")["models"]["llama"]["cancelled"] == 1

    def test_after_the_end_there_is_nothing_to_do(self, world: World) -> None:
        stream = opened(world, spoken())
        world.drain(stream)
        stream.abandon()
        world.run(stream.close())
        assert world.state("host0")["models"]["llama"]["served"] == 1
        assert not world.connections.exchanges[0].closed

    def test_a_gateway_s_stream_too(self) -> None:
        world = World(gateway())
        world.script(gate0=Says([sse(text("x")), 1e9]))
        world.run(world.open().close())
        world.nothing_is_left()
