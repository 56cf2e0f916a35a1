"""Reading through several sources: order of health, rounds, budgets, and what errors say."""

from __future__ import annotations

from typing import Any

import pytest

from gonka_integrations.core.effects import Close, Open, Park, Read
from gonka_integrations.core.fetching import Fetcher, FetchError, parse_json
from gonka_integrations.core.sources import ReadBudget, Source, Sources
from gonka_integrations.core.wire import WireFailure
from gonka_integrations.errors import (
    GonkaDiscoveryError,
    GonkaNoParticipantsError,
    GonkaProofVerificationError,
)

A, B = "http://a:8000", "http://b:8000"
JSON = {"content-type": "application/json"}


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Exchange:
    """An answer in pieces."""

    def __init__(
        self, status: int = 200, *parts: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = headers or {}
        self.parts = list(parts)
        self.closed = False


class World:
    """Drives a flow against scripted answers and a clock that only waiting moves."""

    def __init__(self, answers: dict[str, Any], clock: Clock | None = None) -> None:
        self.answers = answers
        self.clock = clock or Clock()
        self.asked: list[str] = []
        self.waited: list[float] = []
        self.exchanges: list[Any] = []

    def run(self, flow: Any) -> Any:
        result, error = None, None
        try:
            while True:
                command = flow.throw(error) if error else flow.send(result)
                result, error = None, None
                try:
                    result = self.perform(command)
                except WireFailure as failure:
                    error = failure
        except StopIteration as stop:
            return stop.value

    def perform(self, command: Any) -> Any:
        match command:
            case Open(request=request):
                self.asked.append(request.url)
                assert ("Connection", "close") in request.headers
                answer = self.answers[request.url]
                answer = answer.pop(0) if isinstance(answer, list) else answer
                if isinstance(answer, WireFailure):
                    raise answer
                self.exchanges.append(answer)
                return answer
            case Read(exchange=exchange):
                part = exchange.parts.pop(0) if exchange.parts else b""
                if isinstance(part, float):
                    self.clock.now += part
                    return b" "
                return part
            case Close(exchange=exchange):
                exchange.closed = True
            case Park(seconds=seconds):
                self.waited.append(seconds)
                self.clock.now += seconds
            case _:
                raise AssertionError(command)
        return None


def fetch(world: World, *, max_bytes: int = 100, path: str = "/x") -> bytes:
    fetcher = Fetcher(10.0, max_bytes, world.clock)
    try:
        return world.run(fetcher.get(A, path))  # type: ignore[no-any-return]
    finally:
        assert all(exchange.closed for exchange in world.exchanges)


def test_one_read() -> None:
    assert fetch(World({f"{A}/x": Exchange(200, b"one ", b"two")})) == b"one two"


def test_a_long_answer_is_not_read_to_its_end() -> None:
    answer = Exchange(200, *[b"x" * 60] * 50)
    with pytest.raises(FetchError, match="more than 100 bytes") as caught:
        fetch(World({f"{A}/x": answer}))
    assert not caught.value.repeatable
    assert len(answer.parts) == 48


def test_a_dripping_answer_ends_with_the_deadline() -> None:
    dripping: Any = [4.0] * 50
    with pytest.raises(FetchError, match="more than 10 s"):
        fetch(World({f"{A}/x": Exchange(200, *dripping)}))


HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head></html>"


@pytest.mark.parametrize(
    ("answer", "message", "repeatable", "limited"),
    [
        (Exchange(503, HTML), "rate limited", True, True),
        (Exchange(429, b"{}"), "rate limited", True, True),
        (Exchange(503, b'{"error":"unable to fetch"}'), "status 503: unable to fetch", True, False),
        (Exchange(502, HTML), "status 502: an HTML page", True, False),
        (Exchange(404, b"Chain API Disabled"), "'Chain API Disabled'", False, False),
        (Exchange(400, b'{"error":"Invalid epoch id"}\n'), "Invalid epoch id", False, False),
        (Exchange(410, b'{"error":"deprecated","message":"use it"}'), "410: use it", False, False),
        (Exchange(500, b""), "status 500: nothing", True, False),
        (Exchange(418, b"[" * 100_000), "status 418", False, False),
        (
            Exchange(302, b"", headers={"location": "http://10.0.0.1/"}),
            "leads on to 'http://10.0.0.1/', which is not followed",
            False,
            False,
        ),
        (
            WireFailure("refused", "Connection refused"),
            "did not answer /x: Connection",
            True,
            False,
        ),
        (WireFailure("timeout"), "did not answer /x: timeout", True, False),
    ],
)
def test_other_answers(answer: Any, message: str, repeatable: bool, limited: bool) -> None:
    world = World({f"{A}/x": answer})
    world_limit = 200_000
    with pytest.raises(FetchError) as caught:
        fetch(world, max_bytes=world_limit)
    assert message in str(caught.value)
    assert A in str(caught.value)
    assert (caught.value.repeatable, caught.value.rate_limited) == (repeatable, limited)
    assert caught.value.source_url == A
    status = answer.status if isinstance(answer, Exchange) else None
    assert caught.value.status_code == status


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(FetchError, match="something else than JSON") as caught:
        parse_json(body, A)
    assert caught.value.__cause__ is None
    assert len(str(caught.value)) < 400


def sources(world: World, *urls: str, attempts: int = 3) -> Sources:
    return Sources(urls or (A, B), attempts=attempts, delay=1.0, clock=world.clock)


def ask(world: World, pool: Sources, name: str = "x") -> Any:
    fetcher = Fetcher(10.0, 1000, world.clock)

    def read(source: Source) -> Any:
        body = yield from fetcher.get(source.url, f"/{name}")
        if body == b"empty":
            raise GonkaNoParticipantsError("nobody", source_url=source.url)
        if body == b"forged":
            raise GonkaProofVerificationError("forged", source_url=source.url)
        return body

    return world.run(pool.ask(name, read))


def ok(*parts: bytes) -> Exchange:
    return Exchange(200, *(parts or (b"yes",)))


REFUSED = WireFailure("refused", "no")


def test_the_first_source_answers() -> None:
    world = World({f"{A}/x": ok()})
    assert ask(world, sources(world)) == b"yes"
    assert world.asked == [f"{A}/x"]


def test_the_next_source_answers_and_is_asked_first_from_then_on() -> None:
    world = World({f"{A}/x": [REFUSED, ok()], f"{B}/x": [ok(), ok()]})
    pool = sources(world)
    assert ask(world, pool) == b"yes"
    assert ask(world, pool) == b"yes"
    assert world.asked == [f"{A}/x", f"{B}/x", f"{B}/x"]
    world.clock.now += 10
    assert ask(world, pool) == b"yes"
    assert world.asked[-1] == f"{A}/x"


def test_rounds_with_growing_pauses() -> None:
    world = World({f"{A}/x": [REFUSED, REFUSED, ok()], f"{B}/x": REFUSED})
    assert ask(world, sources(world)) == b"yes"
    assert world.waited == [1.0, 2.0]


def test_all_sources_fail() -> None:
    world = World({f"{A}/x": REFUSED, f"{B}/x": Exchange(503, HTML)})
    with pytest.raises(GonkaDiscoveryError, match="none of 2 sources gave an answer") as caught:
        ask(world, sources(world))
    assert A in str(caught.value)
    assert B in str(caught.value)
    assert len(world.asked) == 4  # the second asks for fewer reads, and is not asked again


def test_what_cannot_change_is_not_asked_twice() -> None:
    gone = Exchange(404, b'{"error":"No active participants found"}')
    world = World({f"{A}/x": gone, f"{B}/x": [REFUSED, ok()]})
    assert ask(world, sources(world)) == b"yes"
    assert world.asked == [f"{A}/x", f"{B}/x", f"{B}/x"]
    alone = World({f"{A}/x": gone})
    with pytest.raises(FetchError) as caught:
        ask(alone, sources(alone, A))
    assert caught.value.status_code == 404
    assert alone.waited == []


def test_saying_no_is_no_failure_of_the_source() -> None:
    world = World({f"{A}/x": Exchange(404, b""), f"{B}/x": ok(), f"{A}/y": ok()})
    pool = sources(world)
    ask(world, pool)
    ask(world, pool, "y")
    assert world.asked[-1] == f"{A}/y"


def test_nobody_anywhere_keeps_its_type() -> None:
    world = World({f"{A}/x": ok(b"empty"), f"{B}/x": ok(b"empty")})
    with pytest.raises(GonkaNoParticipantsError, match="none of 2"):
        ask(world, sources(world))
    mixed = World({f"{A}/x": ok(b"empty"), f"{B}/x": REFUSED})
    with pytest.raises(GonkaDiscoveryError) as caught:
        ask(mixed, sources(mixed))
    assert not isinstance(caught.value, GonkaNoParticipantsError)


def test_a_forged_list_is_never_hidden_by_other_failures() -> None:
    world = World({f"{A}/x": REFUSED, f"{B}/x": ok(b"forged")})
    with pytest.raises(GonkaProofVerificationError, match="forged"):
        ask(world, sources(world))


def test_a_distrusted_source_is_asked_last() -> None:
    world = World({f"{A}/x": ok(), f"{B}/x": ok()})
    pool = sources(world)
    pool.distrust(A)
    ask(world, pool)
    assert world.asked == [f"{B}/x"]
    assert pool.urls == (A, B)


def test_rest_grows_with_failures_and_ends() -> None:
    world = World({})
    pool = sources(world)
    for _ in range(30):
        pool.distrust(A)
    first, second = pool.in_order()
    assert (first.url, second.url) == (B, A)
    assert second.rests_until - world.clock.now == 300.0
    world.clock.now += 301
    assert pool.in_order()[0].url == A


def test_the_budget_of_a_source() -> None:
    clock = Clock()
    budget = ReadBudget(clock, rate=0.1, burst=2)
    assert [budget.take() for _ in range(3)] == [True, True, False]
    clock.now += 10
    assert [budget.take() for _ in range(2)] == [True, False]
    clock.now += 1_000
    assert [budget.take() for _ in range(3)] == [True, True, False]


def test_an_exhausted_source_repeats_its_last_answer() -> None:
    """Ten reads a minute in the long run, whatever the callers do."""
    world = World({f"{A}/x": [ok() for _ in range(400)]})
    pool = sources(world, A)
    for _ in range(500):
        assert ask(world, pool) == b"yes"
    assert len(world.asked) == 300
    world.clock.now += 60
    for _ in range(50):
        ask(world, pool)
    assert len(world.asked) == 310


def test_an_exhausted_source_without_an_answer_says_so() -> None:
    world = World({f"{A}/x": Exchange(503, HTML)})
    pool = sources(world, A, attempts=1)
    with pytest.raises(FetchError, match="rate limited"):
        ask(world, pool)
    with pytest.raises(FetchError, match="too often") as caught:
        ask(world, pool)
    assert caught.value.rate_limited
    assert len(world.asked) == 1


def test_a_rate_limited_source_leaves_the_work_to_others() -> None:
    world = World({f"{A}/x": Exchange(503, HTML), f"{B}/x": [ok(), ok()]})
    pool = sources(world)
    assert ask(world, pool) == ask(world, pool) == b"yes"
    assert world.asked == [f"{A}/x", f"{B}/x", f"{B}/x"]


def test_answers_are_remembered_in_bounds() -> None:
    source = Source(A, ReadBudget(Clock()))
    for number in range(1_000):
        source.remember(str(number), number)
    assert len(source.answers) == 64
    assert source.answers["999"] == 999


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://10.1.2.3", True),
        ("http://api:9000", True),
        ("http://node.local", True),
        ("http://node1.gonka.ai:8000", False),
        ("http://69.48.159.157:8000", False),
        ("http://[2606:4700:4700::1111]", False),
        ("http://16843009", False),
    ],
)
def test_which_sources_are_on_private_networks(url: str, private: bool) -> None:
    assert Source(url, ReadBudget(Clock())).is_private is private
