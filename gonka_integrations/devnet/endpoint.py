"""What hosts, gateways and providers have in common: a port, a life, faults, a memory."""

from __future__ import annotations

import logging
import random
from functools import cached_property
from typing import TYPE_CHECKING

from starlette.routing import Route, Router

from .delivery import Manner, deliver
from .early_faults import deliver_early, fault_answer
from .exchange import Exchange, Refusal, once
from .faults import Fault, FaultRule, FaultSwitch
from .recording import Observed, RecordedRequest
from .servers import Listener
from .texts import TOO_LARGE, ErrorAnswer, node_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from .engines import Answer
    from .network import Devnet

_logger = logging.getLogger("gonka_integrations.devnet.endpoint")
_CHAT = "/v1/chat/completions"


class ServedEndpoint(Observed):
    """One server of the network.

    Args:
        net: The network it belongs to.
        label: What it is called in logs.
        port: Port to bind; 0 takes a free one.

    Attributes:
        url: Base URL without a path.
        separator: Bytes after each event of a stream; some builds of the node send two blank lines.
        reads: Paths of the GET requests it met, newest last.
    """

    too_large: ErrorAnswer = TOO_LARGE
    error_events = False
    """Whether a failure in the middle of a stream is told by an event; else by bare text."""

    def __init__(self, net: Devnet, label: str, *, port: int = 0) -> None:
        super().__init__(net.record_limit)
        self.net = net
        self.label = label
        rng = random.Random(f"{net.seed} {label}")
        self._switch = FaultSwitch(rng)
        self._read_switch = FaultSwitch(rng)
        self._killed = False
        self.listener = Listener(self._app, port=port, resets_next=self._resets_next)
        self.url = f"http://127.0.0.1:{self.listener.port}"
        self.separator = b"\n\n"
        self.reads: list[str] = []

    # -- what tests look at ---------------------------------------------------------------------

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self.listener.connections

    @property
    def accepted(self) -> int:
        """Connections ever accepted."""
        return self.listener.accepted

    @property
    def alive(self) -> bool:
        """Whether it takes connections."""
        return self.listener.listening

    # -- what tests do --------------------------------------------------------------------------

    @property
    def fault(self) -> FaultRule:
        """The fault of inference requests; setting it starts its count anew."""
        return self._switch.rule

    @fault.setter
    def fault(self, rule: FaultRule) -> None:
        self._switch.set(rule)
        self.forget()
        self._settle_listener()

    @property
    def read_fault(self) -> FaultRule:
        """The fault of GET requests (discovery, models, status, chain)."""
        return self._read_switch.rule

    @read_fault.setter
    def read_fault(self, rule: FaultRule) -> None:
        self._read_switch.set(rule)
        self._settle_listener()

    def kill(self) -> None:
        """Die: connections are reset, new ones refused."""
        self._killed = True
        self._settle_listener()

    def revive(self) -> None:
        """Come back on the same port."""
        self._killed = False
        self._settle_listener()

    def drop_connections(self) -> None:
        """Reset the open connections and go on listening."""
        self.net.call(self._drop())

    async def _drop(self) -> None:
        self.listener.drop_connections()

    def _settle_listener(self) -> None:
        rules = (self._switch.rule, self._read_switch.rule)
        refuses = any(isinstance(rule, Fault) and rule.closes_listener for rule in rules)
        dead = self._killed or refuses
        if dead == self.listener.listening:
            self.net.call(self.listener.refuse() if dead else self.listener.open())

    def _resets_next(self) -> bool:
        return self._switch.resets_connection() or self._read_switch.resets_connection()

    # -- serving --------------------------------------------------------------------------------

    @property
    def _manner(self) -> Manner:
        return Manner(self.separator, self.net.token_delay, self.error_events)

    @cached_property
    def _router(self) -> Router:
        return Router(routes=list(self.routes()))

    def routes(self) -> Iterable[Route]:
        """The GET routes of this kind of endpoint."""
        raise NotImplementedError

    async def answer(self, record: RecordedRequest) -> Answer:
        """Check one inference request and answer it.

        Raises:
            Refusal: A check failed.
        """
        raise NotImplementedError

    def served(self, record: RecordedRequest, answer: Answer) -> None:
        """Called after an answer was delivered whole."""

    def is_inference(self, path: str) -> bool:
        """Whether POSTs to *path* are inference requests."""
        return path == _CHAT

    def forget(self) -> None:
        """Called when a fault is set: forget answers given under another one."""

    def recall(self, record: RecordedRequest) -> Answer | ErrorAnswer | None:  # noqa: ARG002
        """A remembered answer, which no fault touches."""
        return None

    def failed(self, record: RecordedRequest, error: ErrorAnswer) -> None:
        """Called when a fault answered *error* in this endpoint's place."""

    def error(self, status: int, words: str) -> ErrorAnswer:
        """An error in the envelope of this kind of server."""
        return node_error(status, words)

    def extra_headers(self, record: RecordedRequest) -> dict[str, str]:  # noqa: ARG002
        """Headers of every answer, also of refusals."""
        return {}

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path.startswith("/api/"):
            # The stock reverse proxy serves everything under /api as well.
            path = scope["path"] = path.removeprefix("/api")
            scope["raw_path"] = path.encode()
        if self.is_inference(path) and scope["method"] == "POST":
            await self._infer(Exchange(scope, receive, send))
            return
        await self._serve_read(scope, receive, send)

    async def _serve_read(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self.reads) >= self.net.record_limit:
            del self.reads[: self.net.record_limit // 2]
        self.reads.append(scope["path"])
        if self._read_switch.rule is not None:
            exchange = Exchange(scope, receive, send)
            await exchange.read(self.too_large)
            fault = self._read_switch.draw(exchange.record)
            if fault is not None and await deliver_early(exchange, fault, self.error):
                return
        await self._router(scope, receive, send)

    async def _infer(self, exchange: Exchange) -> None:
        record = exchange.record
        self._recorder.begin(record)
        exchange.before_end = once(lambda: self._recorder.end(record))
        try:
            await self._respond(exchange)
        except Refusal as refusal:
            record.outcome, record.detail = "refused", str(refusal)
            await exchange.answer(refusal.answer, self.extra_headers(record))
        finally:
            exchange.before_end()
            _logger.info("%s: %s %s %s", self.label, record.outcome, record.status, record.detail)

    async def _respond(self, exchange: Exchange) -> None:
        record = exchange.record
        await exchange.read(self.too_large)
        if await self._recalled(exchange):
            return
        fault = self._switch.draw(record)
        if fault is not None and fault.kind in {"status", "html"}:
            self.failed(record, fault_answer(fault, self.error))
        if fault is not None and await deliver_early(exchange, fault, self.error):
            return
        work = self.answer(record)
        answer = await (exchange.unless_left(work) if self.net.engine.waits else work)
        if answer is None:
            return

        def settle() -> None:
            self._recorder.end(record)
            if record.outcome == "served":
                self.served(record, answer)

        exchange.before_end = once(settle)
        await deliver(exchange, answer, fault, self._manner)

    async def _recalled(self, exchange: Exchange) -> bool:
        record = exchange.record
        known = self.recall(record)
        if known is None:
            return False
        record.outcome = "cached"
        if isinstance(known, ErrorAnswer):
            await exchange.answer(known, self.extra_headers(record))
        else:
            await deliver(exchange, known, None, self._manner)
        return True
