"""One call, from its first attempt to its answer, over several endpoints (see `effects`)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from .attempt import Attempt
from .attempts import AttemptPlan, Pause
from .block_time import learn_block_time
from .effects import Close, Park, Race, Read
from .failures import call_error, failed_verdict, load_errors, retry_after
from .leases import Outcome
from .requests import RequestBuilder
from .served import AttemptRecord, CallOptions, ServedBy
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
OK = range(200, 300)


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

    def run(self, once: Callable[[Attempt], Flow[T]]) -> Flow[T]:
        """Try endpoint after endpoint, each with *once*, until one gives a result.

        Raises:
            GonkaCallError: None did; lists what was tried.
        """
        try:
            while True:
                step = self.plan.next()
                if isinstance(step, Pause):
                    yield Park(step.waiter, step.seconds)
                    continue
                if step is None:
                    yield from load_errors()
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

        contest = Race(self._guarded(once, attempt), after, second, lose, self.dispose)
        result: T | None = yield contest
        return result

    def dispose(self, result: Any) -> Flow[None]:  # noqa: ARG002 - for those that have more
        """Let go of a result that came second."""
        yield from ()

    def _let_go(self, attempt: Attempt) -> None:
        """Settle an attempt without an outcome: outrun by another, or the caller went away."""
        if attempt.outrun:
            attempt.settle_outrun()
        else:
            attempt.settle_cancelled()

    # Steps of an attempt.

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
            in_time(wait)
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


def in_time(wait: Wait) -> None:
    """Reading from an endpoint that never stops sending never waits, so it would not notice.

    Raises:
        WireFailure: The time is over.
    """
    if wait.clock() >= wait.until:
        raise WireFailure("timeout", "it goes on and on")
