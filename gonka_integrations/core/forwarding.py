"""Requests other than chat completions, passed on to some endpoint as they are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .._version import __version__
from .calls import Call
from .effects import Finish, Open
from .error_bodies import error_text
from .signing import body_hash
from .wire import WireFailure, WireRequest

if TYPE_CHECKING:
    from .calls import Attempt
    from .effects import Flow
    from .served import ServedBy
    from .wire import Exchange

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
    body: bytes = field(default=b"", kw_only=True)

    def answer(self) -> Flow[Answer]:
        """The answer as it came."""
        return self._run(self._forward_once)

    def _forward_once(self, attempt: Attempt) -> Flow[Answer]:
        endpoint = attempt.endpoint
        model = self.plan.want.model
        body = self.body
        if model and endpoint.wire_model(model) != model:
            body = json.dumps({**self.payload, "model": endpoint.wire_model(model)}).encode()
        headers = [
            ("Accept", "application/json"),
            ("User-Agent", f"gonka-integrations/{__version__}"),
        ]
        if self.method != "GET":
            headers.append(("Content-Type", "application/json"))
        if self.method != "GET" or endpoint.kind != "participant":
            headers += yield from self._authorize(endpoint, body_hash(body))
        attempt.wait.until = self.plan.first_token_limit(self.limit("first_token_timeout"))
        exchange: Exchange = yield Open(
            WireRequest(
                self.method, endpoint.base_url + self.path, headers, body, attempt.wait,
                endpoint.trusted,
            )
        )  # fmt: skip
        attempt.exchange = exchange
        answer = yield from self._read_body(exchange, attempt.wait)
        if exchange.status not in _OK:
            raise WireFailure(
                "status", error_text(answer), status=exchange.status, headers=exchange.headers,
                body=answer, ambiguous=False,
            )  # fmt: skip
        self.note_served(attempt)
        attempt.settle_served()
        yield Finish(exchange)
        kind = exchange.headers.get("content-type", "application/json")
        return Answer(answer, kind, self.served_by(attempt))
