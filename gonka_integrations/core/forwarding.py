"""Requests other than chat completions, passed on to some endpoint as they are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .calls import Call
from .effects import Finish, Open
from .failures import status_failure
from .verdicts import judge_other_route

if TYPE_CHECKING:
    from .attempt import Attempt
    from .effects import Flow
    from .endpoints import EndpointKind
    from .served import ServedBy
    from .verdicts import Verdict
    from .wire import Exchange, WireFailure

_OK = range(200, 300)


@dataclass(slots=True)
class Answer:
    """An answer passed back as it came.

    Attributes:
        content: The exact bytes.
        content_type: What the endpoint says they are.
        served: Who served it.
    """

    content: bytes
    content_type: str
    served: ServedBy


@dataclass(slots=True, eq=False)
class Forward(Call):
    """A call to another route, such as ``GET /models``; its answer is passed back untouched.

    Args:
        method: HTTP method.
        path: Below the API version, with its query.
        body: The exact bytes; only the model's name is changed where an endpoint knows another.
    """

    method: str = field(default="GET", kw_only=True)
    path: str = field(default="", kw_only=True)
    body: bytes = field(default=b"", kw_only=True)

    def answer(self) -> Flow[Answer]:
        """The answer as it came."""
        return self.run(self._forward_once)

    def verdict(self, kind: EndpointKind, failure: WireFailure) -> Verdict:
        """As of `Call`; that a route is missing says nothing of the endpoint."""
        if failure.status is None:
            return Call.verdict(self, kind, failure)
        return judge_other_route(kind, failure.status, failure.text)

    def _forward_once(self, attempt: Attempt) -> Flow[Answer]:
        self.requests.path = self.path
        request = yield from self.requests.other(
            attempt.endpoint, attempt.wait, self.method, self.body
        )
        attempt.wait.until = self.plan.first_token_limit(self.limit("first_token_timeout"))
        exchange: Exchange = yield Open(request)
        attempt.exchange = exchange
        answer = yield from self.read_body(exchange, attempt.wait)
        if exchange.status not in _OK:
            raise status_failure(exchange, answer)
        self.note_served(attempt)
        attempt.settle_served()
        yield Finish(exchange)
        kind = exchange.headers.get("content-type", "application/json")
        return Answer(answer, kind, self.served_by(attempt))
