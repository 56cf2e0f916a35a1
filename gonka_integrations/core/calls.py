"""One inference call from its first attempt to its answer, as flows (see `effects`)."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from .._version import __version__
from .attempts import AttemptPlan, Pause
from .block_time import learn_block_time
from .chunks import ChunkReader, read_completion
from .dialect import adapt, injected_by
from .effects import Close, Compute, Finish, Open, Park, Read
from .endpoints import Signed
from .error_bodies import error_text
from .failures import call_error, failed_verdict, retry_after
from .keys import PrivateKey
from .pool import Outcome
from .racing import Race
from .served import AttemptRecord, CallOptions, ServedBy
from .signing import body_hash, sign_hash
from .streams import OpenStream
from .verdicts import Health
from .wire import Wait, WireFailure, WireRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .attempts import RetryBudget, RetryPolicy
    from .effects import Flow
    from .endpoints import Endpoint
    from .pool import EndpointPool, Lease
    from .signing import TimestampSource
    from .wire import Exchange

T = TypeVar("T")
_logger = logging.getLogger("gonka_integrations.calls")
_LARGEST = 64 * 1024 * 1024
_OK = range(200, 300)


@dataclass(slots=True)
class CallContext:
    """What the calls of a session share.

    Attributes:
        pool: The endpoints.
        budget: What retries are paid from.
        policy: How often and how long a call is tried.
        timestamps: Where the times in signatures come from.
        limits: The session's time-outs; each is set.
        connect_timeout: Seconds a connection may take.
        stream_internally: Whether plain calls are read as streams.
        epoch: The epoch that is in force now.
        on_failover: Called with each failed attempt that is followed by another.
        on_trouble: Called when the participant list may be stale.
    """

    pool: EndpointPool
    budget: RetryBudget
    policy: RetryPolicy
    timestamps: TimestampSource
    limits: CallOptions
    connect_timeout: float = 5.0
    stream_internally: bool = True
    epoch: Callable[[], int | None] = lambda: None
    on_failover: Callable[[AttemptRecord], None] = lambda _record: None
    on_trouble: Callable[[], None] = lambda: None


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
class Attempt:
    """One request to one endpoint; its lease is settled exactly once."""

    lease: Lease
    pool: EndpointPool
    wait: Wait
    exchange: Exchange | None = None
    reader: ChunkReader | None = None
    first_token: float | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where the request goes."""
        return self.lease.endpoint

    def seconds(self) -> float:
        """How long it has been under way."""
        return self.pool.clock() - self.lease.started

    def content(self) -> None:
        """The first content is here."""
        self.first_token = self.seconds()

    def settle_served(self) -> None:
        """It answered."""
        seconds = self.seconds()
        first = seconds if self.first_token is None else self.first_token
        self.pool.settle(self.lease, Outcome(first_token=first, total=seconds))

    def settle_outrun(self) -> None:
        """A second attempt was quicker: a weak sign against this endpoint."""
        seconds = self.seconds()
        outcome = Outcome(Health.SHARE, "outrun", first_token=seconds, ambiguous=True)
        self.pool.settle(self.lease, outcome)

    def settle_cancelled(self) -> None:
        """The caller went away."""
        self.pool.settle(self.lease, Outcome(failure="cancelled"))


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
    path: str = "/chat/completions"
    records: list[AttemptRecord] = field(default_factory=list, init=False)
    started: float = field(init=False)
    plan: AttemptPlan = field(init=False)
    last: WireFailure | None = field(default=None, init=False)
    _bodies: dict[tuple[Any, ...], tuple[bytes, str]] = field(default_factory=dict, init=False)
    _variations: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        pool = self.context.pool
        self.started = pool.clock()
        policy = self.context.policy
        if self.options.max_retries is not None:
            policy = policy.with_retries(self.options.max_retries)
        self.plan = AttemptPlan(
            pool,
            budget=self.context.budget,
            policy=policy,
            model=str(self.payload.get("model") or ""),
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

        def lose(lane: int) -> None:
            attempts[lane].wait.called_off = True

        contest = Race(self._guarded(once, attempt), after, second, lose, _dispose)
        result: T | None = yield contest
        return result

    def _let_go(self, attempt: Attempt) -> None:
        """Settle an attempt without an outcome: outrun by another, or the caller went away."""
        if attempt.wait.called_off:
            self.records.insert(0, self._record(attempt, "outrun"))
            attempt.settle_outrun()
        else:
            attempt.settle_cancelled()

    def _record(
        self, attempt: Attempt, outcome: str, status: int | None = None, text: str = ""
    ) -> AttemptRecord:
        endpoint = attempt.endpoint
        return AttemptRecord(
            endpoint.base_url, endpoint.kind, endpoint.address, outcome, status, text or None,
            attempt.seconds(),
        )  # fmt: skip

    def _complete_once(self, attempt: Attempt) -> Flow[Completion]:
        stream = self._streams_inside()
        exchange = yield from self._send(attempt, stream=stream)
        strip = injected_by(attempt.endpoint, self.payload)
        if stream:
            attempt.reader = ChunkReader(strip)
            yield from self._read_to_end(attempt, exchange, attempt.reader)
            data = attempt.reader.completion()
        else:
            data = read_completion((yield from self._read_body(exchange, attempt.wait)), strip)
        self.note_served(attempt)
        attempt.settle_served()
        yield Finish(exchange)
        served = self.served_by(attempt)
        served.total_seconds = self.context.pool.clock() - self.started
        return Completion(data, served)

    def _read_to_end(self, attempt: Attempt, exchange: Exchange, reader: ChunkReader) -> Flow[None]:
        while not reader.over:
            self.set_wait(attempt, reader)
            data = yield Read(exchange)
            try:
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
        reader = attempt.reader = ChunkReader(injected_by(attempt.endpoint, self.payload))
        chunks: list[dict[str, Any]] = []
        while not reader.content_seen:
            self.set_wait(attempt, reader)
            data = yield Read(exchange)
            chunks += reader.take(data)
        attempt.content()
        self.note_served(attempt)
        attempt.lease.handed_on = True
        return OpenStream(self, attempt, exchange, reader, chunks, self.served_by(attempt))

    # Steps of an attempt.

    def _send(self, attempt: Attempt, *, stream: bool) -> Flow[Exchange]:
        endpoint = attempt.endpoint
        body, digest = self._body(endpoint, stream=stream)
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream" if stream else "application/json"),
            ("User-Agent", f"gonka-integrations/{__version__}"),
        ]
        headers += yield from self._authorize(endpoint, digest)
        attempt.wait.until = self.plan.first_token_limit(self.limit("first_token_timeout"))
        url = endpoint.base_url + self.path
        exchange: Exchange = yield Open(
            WireRequest("POST", url, headers, body, attempt.wait, endpoint.trusted)
        )
        attempt.exchange = exchange
        if exchange.status not in _OK:
            body = yield from self._read_body(exchange, attempt.wait)
            raise WireFailure(
                "status", error_text(body), status=exchange.status, headers=exchange.headers,
                body=body, ambiguous=False,
            )  # fmt: skip
        return exchange

    def _body(self, endpoint: Endpoint, *, stream: bool) -> tuple[bytes, str]:
        variation = f"retry-{id(self) & 0xFFFFFF:x}{self._variations:x}" if self._variations else ""
        key = (endpoint.kind, endpoint.wire_model(self.plan.want.model), stream, variation)
        found = self._bodies.get(key)
        if found is None:
            payload = adapt(self.payload, endpoint, stream=stream, variation=variation)
            body = _encode(payload)
            digest = body_hash(body) if endpoint.kind == "participant" else ""
            found = self._bodies[key] = (body, digest)
        return found

    def _authorize(self, endpoint: Endpoint, digest: str) -> Flow[list[tuple[str, str]]]:
        credentials = endpoint.credentials
        if not isinstance(credentials, Signed):
            extra = list((self.options.extra_headers or {}).items())
            if credentials.key is None:
                return extra
            return [*extra, ("Authorization", f"Bearer {credentials.key.reveal()}")]
        address = endpoint.address or ""
        moment = self.context.timestamps.next_ns(address)
        signer = credentials.signer
        if isinstance(signer, PrivateKey):
            signature = sign_hash(signer, digest, moment, address)
        else:  # a device or a service may take its time
            signature = yield Compute(lambda: sign_hash(signer, digest, moment, address))
        return [
            ("Authorization", signature),
            ("X-Requester-Address", credentials.requester),
            ("X-Timestamp", str(moment)),
        ]

    def _read_body(self, exchange: Exchange, wait: Wait) -> Flow[bytes]:
        parts: list[bytes] = []
        size = 0
        while data := (yield Read(exchange)):
            size += len(data)
            if size > _LARGEST:
                raise WireFailure("too_large", f"an answer of more than {_LARGEST} bytes")
            parts.append(data)
            wait.until = self.plan.first_token_limit(self.limit("idle_timeout"))
        return b"".join(parts)

    def _failed(self, attempt: Attempt, failure: WireFailure) -> Flow[None]:
        context, endpoint = self.context, attempt.endpoint
        if failure.kind == "timeout":
            failure.kind = "idle_timeout" if attempt.first_token else "first_token_timeout"
        verdict = failed_verdict(endpoint.kind, failure)
        record = self._record(attempt, failure.kind, failure.status, failure.text)
        self.records.append(record)
        self.last = failure if failure.status is not None or self.last is None else self.last
        self._variations += endpoint.kind == "gateway"
        context.pool.settle(
            attempt.lease,
            Outcome(
                verdict.health, failure.kind, retry_after(failure.headers),
                ambiguous=failure.ambiguous,
            ),
        )  # fmt: skip
        learn = self.plan.failed(attempt.lease, verdict, failure.text, ambiguous=failure.ambiguous)
        _logger.info("Attempt failed: %s", record)
        if attempt.exchange is not None:
            yield Close(attempt.exchange)
        if verdict.refresh:
            context.on_trouble()
        if learn:
            yield from learn_block_time(endpoint, attempt.wait, context.timestamps)
        if not self.plan.stopped:
            context.on_failover(record)

    # Book-keeping.

    def set_wait(self, attempt: Attempt, reader: ChunkReader) -> None:
        """How long the next read may take: to the first content, to the next, to the very end."""
        now = self.context.pool.clock()
        if reader.assembler.finished:
            attempt.wait.until = now + min(_TAIL, max(0.0, self.plan.deadline - now))
        elif reader.content_seen:
            attempt.wait.until = min(now + self.limit("idle_timeout"), self.plan.deadline)

    def note_served(self, attempt: Attempt) -> None:
        """Record the attempt that serves the call."""
        self.records.append(self._record(attempt, "served"))
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


def _encode(payload: dict[str, Any]) -> bytes:
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only escapes can carry
        return json.dumps(payload, separators=(",", ":")).encode()


def _dispose(result: Completion | OpenStream) -> Flow[None]:
    if isinstance(result, OpenStream):
        yield from result.close()
