"""The checks of a node before it serves, in its order and with its words.

Source: gonka-ai/gonka `decentralized-api/internal/server/public/post_chat_handler.go`.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import texts
from .exchange import Refusal
from .ledger import Account, ReplayGuard, required_balance
from .shapes import ShapeError, check_envelope, text_of
from .signatures import is_valid, signed_digest

if TYPE_CHECKING:
    from .hosts import Host
    from .network import Devnet
    from .recording import RecordedRequest

_NODE_HEADERS = ("x-inference-id", "x-seed")
_INT64 = range(-(2**63), 2**63)
_NANO = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that passed.

    Attributes:
        request: The parsed body.
        signature: Its signature, which becomes the id of the inference.
    """

    request: dict[str, Any]
    signature: str


@dataclass(frozen=True, slots=True)
class Admission:
    """Checks the requests of one host.

    Attributes:
        net: The network: accounts, allow-list, parameters, block time.
        host: The host asked.
        replays: The signatures it remembers.
    """

    net: Devnet
    host: Host
    replays: ReplayGuard

    def admit(self, record: RecordedRequest) -> Admitted:
        """Check one request.

        Raises:
            Refusal: With the node's answer, at the first check that fails.
        """
        if self.net.classic_gone:
            raise Refusal(texts.CLASSIC_GONE)
        request = _parsed(record)
        self._check_transfer_agent(record)
        signature = record.headers.get("authorization", "")
        if not signature:
            raise Refusal(texts.NO_AUTHORIZATION)
        if not request.get("model"):
            raise Refusal(texts.NO_MODEL)
        self._check_developer_gate()
        _check_shape(request)
        if all(record.headers.get(name) for name in _NODE_HEADERS):
            raise Refusal(texts.BY_ID["c400-promptmissing"])
        account = self._account(record)
        timestamp = _int64(record.headers.get("x-timestamp", ""))
        self._check_signature(record, account, signature, timestamp)
        self._check_model(request)
        _check_balance(account, request)
        self._check_time(timestamp)
        if not self.replays.is_new(signature, time.monotonic()):
            raise Refusal(texts.REPLAYED)
        self._check_capacity()
        return Admitted(request, signature)

    def _transfer_address(self, record: RecordedRequest) -> str:
        return record.headers.get("x-transfer-address") or self.host.address

    def _check_transfer_agent(self, record: RecordedRequest) -> None:
        allowed = self.net.allowed_transfer_addresses
        if allowed and self._transfer_address(record) not in allowed:
            raise Refusal(texts.NOT_ALLOWED)

    def _check_developer_gate(self) -> None:
        height = self.net.restricted_until_height
        if height is not None and self.net.block_height < height:
            raise Refusal(texts.restricted_until(height))

    def _account(self, record: RecordedRequest) -> Account:
        account = self.net.ledger.accounts.get(record.headers.get("x-requester-address", ""))
        if account is None:
            raise Refusal(texts.NO_ACCOUNT)
        return account

    def _check_signature(
        self, record: RecordedRequest, account: Account, signature: str, timestamp: int
    ) -> None:
        digest = signed_digest(
            record.body,
            str(timestamp) if timestamp > 0 else "",
            self._transfer_address(record),
            self.net.scheme,
        )
        if account.public_key is None or not is_valid(account.public_key, signature, digest):
            raise Refusal(texts.BAD_SIGNATURE)

    def _check_model(self, request: dict[str, Any]) -> None:
        model = request["model"]
        if model in self.host.models:
            return
        known = model in self.net.epochs.current.models
        raise Refusal(texts.NO_EXECUTORS if known else texts.MODEL_NOT_FOUND)

    def _check_time(self, timestamp: int) -> None:
        behind = self.net.block_time_ns() - timestamp
        if behind > self.net.timestamp_expiration * _NANO:
            raise Refusal(texts.TOO_OLD)
        if -behind > self.net.timestamp_advance * _NANO:
            raise Refusal(texts.IN_FUTURE)

    def _check_capacity(self) -> None:
        limit = self.host.max_concurrent
        if limit is not None and self.host.in_flight > limit:
            raise Refusal(texts.capacity_reached(self.host.url))


def _parsed(record: RecordedRequest) -> dict[str, Any]:
    if record.json is None:
        raise Refusal(
            texts.node_error(400, f"invalid chat completion request: {_why(record.body)}")
        )
    if record.json.get("messages") is None:
        raise Refusal(texts.NO_MESSAGES)
    return record.json


def _why(body: bytes) -> str:
    """Go's words for JSON that does not parse, as near as matters."""
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        if error.pos >= len(error.doc.rstrip()):
            return "unexpected end of JSON input"
        bad = error.doc[error.pos]
        return f"invalid character {bad!r} looking for beginning of value"
    except ValueError as error:
        return str(error)
    return "json: cannot unmarshal into Go value of type OpenAiRequest"


def _check_shape(request: dict[str, Any]) -> None:
    try:
        check_envelope(request)
    except ShapeError as problem:
        answer = texts.node_error(400, f"invalid chat completion request: {problem}")
        raise Refusal(answer) from None


def _check_balance(account: Account, request: dict[str, Any]) -> None:
    messages = request["messages"]
    size = len(text_of(messages).encode("utf-8", "surrogatepass"))
    if account.balance < required_balance(size, len(messages), request.get("max_tokens")):
        raise Refusal(texts.NO_BALANCE)


def _int64(text: str) -> int:
    """As the node parses it: anything that is not an int64 counts as 0."""
    digits = text.removeprefix("-").removeprefix("+")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 20:
        return 0
    value = int(text)
    return value if value in _INT64 else 0
