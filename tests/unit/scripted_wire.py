"""Connections without a network: whole calls run against scripted hosts, in no time at all.

A host answers each request with the next of its `Says`, and with its last one for ever. Seconds in
a body pass on the fake clock, as far as the reader waits for them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from made import FakeClock
from streamed import spoken

from gonka_integrations.core.chat_calls import ChatCall, Completion
from gonka_integrations.core.context import CallContext
from gonka_integrations.core.effects import Flow, adrive, drive
from gonka_integrations.core.endpoints import Endpoint
from gonka_integrations.core.pool import EndpointPool
from gonka_integrations.core.retries import RetryBudget, RetryPolicy
from gonka_integrations.core.served import AttemptRecord, CallOptions
from gonka_integrations.core.signing import TimestampSource
from gonka_integrations.core.streams import OpenStream
from gonka_integrations.core.wire import WireFailure, WireRequest

T = TypeVar("T")
Part = bytes | float | BaseException


@dataclass
class Says:
    """One answer.

    Attributes:
        parts: What reads give: bytes, seconds of silence before the next, or a failure.
        status: HTTP status.
        headers: Names in lower case.
        before: Seconds until the head is here, or what happens instead of it.
    """

    parts: Iterable[Part] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    before: float | BaseException = 0.0


def says(words: str = "Hello world") -> Says:
    return Says([spoken(words)])


def refuses(kind: str = "refused", *, ambiguous: bool = False) -> Says:
    return Says(before=WireFailure(kind, f"{kind} for the test", ambiguous=ambiguous))


def answers(status: int, body: Any = "", **headers: str) -> Says:
    """An error, as a node writes it unless *body* says how."""
    text = body if isinstance(body, bytes) else json.dumps(
        {"error": body} if isinstance(body, str) else body
    ).encode()  # fmt: skip
    return Says([text], status, {name.replace("_", "-"): value for name, value in headers.items()})


class Exchange:
    """An answer being read."""

    def __init__(self, script: Says, request: WireRequest, clock: FakeClock) -> None:
        self.status, self.headers = script.status, dict(script.headers)
        self.request = request
        self.finished = self.closed = False
        self._parts = iter(script.parts)
        self._clock = clock

    def read(self) -> bytes:
        assert not self.finished
        assert not self.closed
        for part in self._parts:
            if isinstance(part, float):
                pass_time(self._clock, self.request, part)
            elif isinstance(part, BaseException):
                raise part
            else:
                return part
        return b""

    def finish(self) -> None:
        assert not self.closed
        self.finished = True

    def close(self) -> None:
        self.closed = True


def pass_time(clock: FakeClock, request: WireRequest, seconds: float) -> None:
    left = request.wait.until - clock()
    if seconds > left:
        clock.advance(max(left, 0.0))
        raise WireFailure("timeout", "silence")
    clock.advance(seconds)


class ScriptedConnections:
    """Blocking connections to scripted hosts."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.hosts: dict[str, list[Says]] = defaultdict(list)
        self.requests: list[WireRequest] = []
        self.exchanges: list[Exchange] = []
        self.parked: list[float] = []

    def open(self, request: WireRequest) -> Exchange:
        self.requests.append(request)
        script = self._next(urlsplit(request.url))
        if isinstance(script.before, BaseException):
            raise script.before
        pass_time(self.clock, request, script.before)
        self.exchanges.append(Exchange(script, request, self.clock))
        return self.exchanges[-1]

    def _next(self, url: Any) -> Says:
        host = url.netloc.split(".")[0]
        if url.path.endswith("/status"):
            host += "/status"
        queue = self.hosts[host]
        assert queue, f"{host} has nothing to say"
        return queue.pop(0) if len(queue) > 1 else queue[0]

    def park(self, waiter: Any, seconds: float) -> None:
        self.parked.append(seconds)
        if waiter is None or not waiter.woken:
            self.clock.advance(seconds)

    def compute(self, function: Callable[[], Any]) -> Any:
        return function()

    def race(self, contest: Any) -> Any:
        """Without a second attempt: racing is tested where it happens."""
        return drive(contest.first, self)


class _Awaited:
    """Something whose methods must be awaited."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        async def method(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return _awaited(found(*arguments))

        return method


def _awaited(value: Any) -> Any:
    return _Awaited(value) if isinstance(value, Exchange) else value


class World:
    """A pool, hosts that follow a script, and calls over them.

    Args:
        endpoints: The pool.
        asynchronous: Whether flows run in an event loop.
    """

    def __init__(self, *endpoints: Endpoint, asynchronous: bool = False, **pool: Any) -> None:
        self.asynchronous = asynchronous
        self.clock = FakeClock()
        self.connections = ScriptedConnections(self.clock)
        self.failovers: list[AttemptRecord] = []
        self.troubles = 0
        self.context = CallContext(
            pool=EndpointPool(clock=self.clock, rng=random.Random(1), **pool),
            budget=RetryBudget(clock=self.clock),
            policy=RetryPolicy(),
            timestamps=TimestampSource(clock=lambda: int(self.clock() * 1e9)),
            limits=CallOptions(
                timeout=600.0, first_token_timeout=60.0, idle_timeout=60.0, max_retries=4
            ),
            epoch=lambda: 7,
            on_failover=self.failovers.append,
            on_trouble=self._trouble,
        )
        self.pool.replace(endpoints)

    def _trouble(self) -> None:
        self.troubles += 1

    @property
    def pool(self) -> EndpointPool:
        return self.context.pool

    def script(self, **hosts: Says | list[Says]) -> None:
        """What hosts say; ``host1_status`` is the status route of host1."""
        for host, lines in hosts.items():
            name = host.replace("_", "/")
            self.connections.hosts[name] = list(lines) if isinstance(lines, list) else [lines]

    def run(self, flow: Flow[T]) -> T:
        if not self.asynchronous:
            return drive(flow, self.connections)  # type: ignore[arg-type]
        return asyncio.run(adrive(flow, _Awaited(self.connections)))  # type: ignore[arg-type]

    def call(self, payload: Mapping[str, Any] | None = None, **options: Any) -> ChatCall:
        request = {"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}
        return ChatCall(self.context, request | dict(payload or {}), CallOptions(**options))

    def complete(self, payload: Mapping[str, Any] | None = None, **options: Any) -> Completion:
        return self.run(self.call(payload, **options).complete())

    def open(self, payload: Mapping[str, Any] | None = None, **options: Any) -> OpenStream:
        return self.run(self.call(payload, **options).open())

    def drain(
        self, opened: OpenStream, into: list[dict[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        chunks = [] if into is None else into
        while more := self.run(opened.pull()):
            chunks += more
        return chunks

    def asked(self) -> list[str]:
        """Hosts in the order in which they were asked."""
        return [urlsplit(request.url).netloc.split(".")[0] for request in self.connections.requests]

    def sent(self, number: int = -1) -> dict[str, Any]:
        """Body of a request."""
        found: dict[str, Any] = json.loads(self.connections.requests[number].body)
        return found

    def headers(self, number: int = -1) -> dict[str, str]:
        return dict(self.connections.requests[number].headers)

    def state(self, host: str) -> dict[str, Any]:
        return next(s for s in self.pool.snapshot() if f"//{host}." in s["endpoint"])

    def nothing_is_left(self) -> None:
        """No lease, no queue, no open answer."""
        assert self.pool.in_flight() == 0
        assert self.pool.waiting() == 0
        assert all(one.finished or one.closed for one in self.connections.exchanges)


def text_of(answer: Completion) -> Any:
    return answer.data["choices"][0]["message"]["content"]
