"""One inference call from its first attempt to its answer, as flows (see `effects`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .attempt import Attempt
from .attempts import AttemptPlan, Pause
from .block_time import learn_block_time
from .chunks import ChunkReader, read_completion
from .dialect import injected_by
from .effects import Close, Finish, Open, Park, Race, Read
from .failures import call_error, failed_verdict, retry_after, status_failure
from .leases import Outcome
from .requests import RequestBuilder
from .served import AttemptRecord, CallOptions, ServedBy
from .streams import OpenStream
from .verdicts import Health
from .wire import Wait, WireFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .context import CallContext
    from .effects import Flow
    from .endpoints import EndpointKind
    from .leases import Lease
    from .verdicts import Verdict
    from .wire import Exchange

T = TypeVar("T")
_logger = logging.getLogger("gonka_integrations.calls")
_LARGEST = 64 * 1024 * 1024
_OK = range(200, 300)


@dataclass(slots=True)
class Completion:
    """A whole answer.

    Attributes:
        data: OpenAI ``chat.completion`` object.
        served: Who served it.
    """

    data: dict[str, Any]
    served: ServedBy


@dataclass(slots=True, eq=False)
class Call:
    """One call: its payload, its plan, and what has been tried.

    Args:
        context: What the session's calls share.
        payload: OpenAI chat-completions request; not changed.
        options: What this call overrides.
    """

    context: CallContext
    payload: Mapping[str, Any]
    options: CallOptions = field(default_factory=CallOptions)
    records: list[AttemptRecord] = field(default_factory=list, init=False)
    started: float = field(init=False)
    plan: AttemptPlan = field(init=False)
    last: WireFailure | None = field(default=None, init=False)
    requests: RequestBuilder = field(init=False)

    def __post_init__(self) -> None:
        pool = self.context.pool
        self.started = pool.clock()
        policy = self.context.policy
        if self.options.max_retries is not None:
            policy = policy.with_retries(self.options.max_retries)
        self.requests = RequestBuilder(
            self.payload, self.context.timestamps, self.options.extra_headers
        )
        self.plan = AttemptPlan(
            pool,
            budget=self.context.budget,
            policy=policy,
            model=self.requests.model,
            deadline=self.started + self.limit("timeout"),
        )

    def limit(self, name: str) -> Any:
        """One of the call's times in seconds: its own, or the session's."""
        own = getattr(self.options, name)
        return getattr(self.context.limits, name) if own is None else own

    # Flows.

    def complete(self) -> Flow[Completion]:
        """The whole answer, whatever it takes."""
        return self._run(self._complete_once)

    def open(self) -> Flow[OpenStream]:
        """A stream that has begun to say something."""
        return self._run(self._open_once)

    def _run(self, once: Callable[[Attempt], Flow[T]]) -> Flow[T]:
        try:
            while True:
                step = self.plan.next()
                if isinstance(step, Pause):
                    yield Park(step.waiter, step.seconds)
                    continue
                if step is None:
                    raise call_error(self)
                attempt = self._attempt(step)
                hedge_after = self.limit("hedge_after")
                if hedge_after is None:
                    result = yield from self._guarded(once, attempt)
                else:
                    result = yield from self._hedged(once, attempt, hedge_after)
                if result is not None:
                    return result
        finally:
            self.plan.abandon()

    def _attempt(self, lease: Lease) -> Attempt:
        pool = self.context.pool
        return Attempt(lease, pool, Wait(0.0, self.context.connect_timeout, pool.clock))

    def _guarded(self, once: Callable[[Attempt], Flow[T]], attempt: Attempt) -> Flow[T | None]:
        """One attempt; None when it failed, and then its failure has been dealt with."""
        try:
            return (yield from once(attempt))
        except WireFailure as failure:
            if attempt.wait.called_off:
                if attempt.exchange is not None:
                    yield Close(attempt.exchange)
            else:
                yield from self._failed(attempt, failure)
            return None
        except GeneratorExit:
            raise
        except BaseException:
            # Cancelled, or interrupted: the endpoint must not go on answering nobody.
            if attempt.exchange is not None and not attempt.lease.handed_on:
                yield Close(attempt.exchange)
            raise
        finally:
            if not attempt.lease.settled and not attempt.lease.handed_on:
                self._let_go(attempt)

    def _hedged(
        self, once: Callable[[Attempt], Flow[T]], attempt: Attempt, after: float
    ) -> Flow[T | None]:
        """An attempt, and a second one beside it when it has no content after a while."""
        attempts = [attempt]
        attempt.wait.racing = True

        def second() -> Flow[T | None] | None:
            lease = self.plan.hedge(attempt.lease)
            if lease is None:
                return None
            other = self._attempt(lease)
            other.wait.racing = True
            attempts.append(other)
            return self._guarded(once, other)

        def lose(lane: int, outrun: bool) -> None:
            attempts[lane].wait.called_off = True
            if outrun:
                attempts[lane].outrun = True
                self.records.insert(0, attempts[lane].record("outrun"))

        contest = Race(self._guarded(once, attempt), after, second, lose, _dispose)
        result: T | None = yield contest
        return result

    def _let_go(self, attempt: Attempt) -> None:
        """Settle an attempt without an outcome: outrun by another, or the caller went away."""
        if attempt.outrun:
            attempt.settle_outrun()
        else:
            attempt.settle_cancelled()

    def _complete_once(self, attempt: Attempt) -> Flow[Completion]:
        stream = self._streams_inside()
        exchange = yield from self._send(attempt, stream=stream)
        if stream:
            reader = self._reader(attempt)
            yield from self._read_to_end(attempt, exchange, reader)
            data = reader.completion()
        else:
            body = yield from self.read_body(exchange, attempt.wait)
            data = read_completion(body, injected_by(attempt.endpoint, self.payload))
        self.note_served(attempt)
        attempt.settle_served()
        yield Finish(exchange)
        served = self.served_by(attempt)
        served.total_seconds = self.context.pool.clock() - self.started
        return Completion(data, served)

    def _read_to_end(self, attempt: Attempt, exchange: Exchange, reader: ChunkReader) -> Flow[None]:
        while not reader.over:
            try:
                self.set_wait(attempt, reader)
                data = yield Read(exchange)
                reader.take(data)
            except WireFailure:
                if not reader.assembler.finished:
                    raise
                return
            if reader.content_seen and attempt.first_token is None:
                attempt.content()
            if not data:
                return

    def _open_once(self, attempt: Attempt) -> Flow[OpenStream]:
        exchange = yield from self._send(attempt, stream=True)
        reader = self._reader(attempt)
        chunks: list[dict[str, Any]] = []
        while not reader.content_seen:
            self.set_wait(attempt, reader)
            data = yield Read(exchange)
            chunks += reader.take(data)
        attempt.content()
        self.note_served(attempt)
        attempt.lease.handed_on = True
        return OpenStream(self, attempt, exchange, reader, chunks, self.served_by(attempt))

    def _reader(self, attempt: Attempt) -> ChunkReader:
        wanted = self.payload.get("n")
        attempt.reader = ChunkReader(
            injected_by(attempt.endpoint, self.payload),
            choices=wanted if type(wanted) is int else 1,
        )
        return attempt.reader

    # Steps of an attempt.

    def _send(self, attempt: Attempt, *, stream: bool) -> Flow[Exchange]:
        request = yield from self.requests.chat(
            attempt.endpoint, attempt.wait, stream=stream, bare=attempt.lease.state.bare_streams
        )
        attempt.wait.until = self.plan.first_token_limit(self.limit("first_token_timeout"))
        exchange: Exchange = yield Open(request)
        attempt.exchange = exchange
        if exchange.status not in _OK:
            body = yield from self.read_body(exchange, attempt.wait)
            raise status_failure(exchange, body)
        return exchange

    def read_body(self, exchange: Exchange, wait: Wait) -> Flow[bytes]:
        """A whole body, within bounds of time and size."""
        parts: list[bytes] = []
        size = 0
        while data := (yield Read(exchange)):
            size += len(data)
            if size > _LARGEST:
                raise WireFailure("too_large", f"an answer of more than {_LARGEST} bytes")
            parts.append(data)
            wait.until = self.plan.first_token_limit(self.limit("idle_timeout"))
            _in_time(wait)
        return b"".join(parts)

    def _failed(self, attempt: Attempt, failure: WireFailure) -> Flow[None]:
        context, endpoint = self.context, attempt.endpoint
        if failure.kind == "timeout":
            failure.kind = "first_token_timeout" if attempt.first_token is None else "idle_timeout"
        verdict = self.verdict(endpoint.kind, failure)
        slow = self._hurried(attempt) if failure.kind == "first_token_timeout" else None
        if slow is not None:
            verdict = replace(verdict, health=Health.SHARE)
        record = attempt.record(failure.kind, failure.status, failure.text)
        self.records.append(record)
        self.last = failure if failure.status is not None or self.last is None else self.last
        if endpoint.kind == "gateway":
            self.requests.vary()
        context.pool.settle(
            attempt.lease,
            Outcome(
                verdict.health, failure.kind, retry_after(failure.headers),
                first_token=slow, ambiguous=failure.ambiguous,
            ),
        )  # fmt: skip
        learn = self.plan.failed(attempt.lease, verdict, failure.text, ambiguous=failure.ambiguous)
        _logger.info("Attempt failed: %s", record)
        if attempt.exchange is not None:
            yield Close(attempt.exchange)
        if verdict.refresh:
            context.on_trouble()
        if verdict.health is Health.GONE and endpoint.kind == "gateway":
            context.moved[endpoint.identity] = failure
        if learn:
            yield from learn_block_time(endpoint, attempt.wait, context.timestamps)
        if not self.plan.stopped:
            context.on_failover(record)

    def verdict(self, kind: EndpointKind, failure: WireFailure) -> Verdict:
        """What a failed attempt at an endpoint of *kind* means."""
        return failed_verdict(kind, failure)

    # Book-keeping.

    def _hurried(self, attempt: Attempt) -> float | None:
        """Seconds waited, when the call's own times were too short to call the endpoint silent."""
        limits: Any = self.context.limits
        share = self.context.policy.share
        if self.options.timeout is None and self.options.first_token_timeout is None:
            return None
        waited = attempt.seconds()
        return waited if waited < min(limits.first_token_timeout, share * limits.timeout) else None

    def set_wait(self, attempt: Attempt, reader: ChunkReader) -> None:
        """How long the next read may take: to the first content, to the next, to the very end.

        Raises:
            WireFailure: That time is over. Reading from an endpoint that never stops sending never
                waits, so it would not notice.
        """
        now, wait = self.context.pool.clock(), attempt.wait
        if reader.assembler.finished:
            if attempt.tail_until is None:
                attempt.tail_until = now + _TAIL
            wait.until = min(attempt.tail_until, self.plan.deadline)
        elif reader.content_seen:
            wait.until = min(now + self.limit("idle_timeout"), self.plan.deadline)
        _in_time(wait)

    def note_served(self, attempt: Attempt) -> None:
        """Record the attempt that serves the call."""
        self.records.append(attempt.record("served"))
        self.context.budget.deposit()

    def served_by(self, attempt: Attempt) -> ServedBy:
        """Who serves the call."""
        endpoint = attempt.endpoint
        served = ServedBy.by(
            endpoint, endpoint.wire_model(self.plan.want.model), self.context.epoch()
        )
        served.attempts = self.records
        first = attempt.seconds() if attempt.first_token is None else attempt.first_token
        served.first_token_seconds = attempt.lease.started + first - self.started
        return served

    def _streams_inside(self) -> bool:
        payload = self.payload
        spoken = payload.get("audio") or "audio" in (payload.get("modalities") or ())
        return self.context.stream_internally and not spoken


_TAIL = 2.0


def _in_time(wait: Wait) -> None:
    if wait.clock() >= wait.until:
        raise WireFailure("timeout", "it goes on and on")


def _dispose(result: Completion | OpenStream) -> Flow[None]:
    if isinstance(result, OpenStream):
        yield from result.close()
