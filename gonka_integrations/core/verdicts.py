"""The error table: what each answer of an endpoint means and what is done about it.

First matching row wins. Texts are those of the nodes' and gateways' own sources (decentralized-api
``post_chat_handler.go`` and its error middleware; devshard ``cmd/devshardctl``; the stock proxy).
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .endpoints import EndpointKind


class Action(enum.Enum):
    """What the call does next."""

    STOP = "stop"
    """The request itself is refused: no other endpoint would take it."""
    OTHER_HOST = "other host"
    """Try an endpoint that this call has not tried."""
    SAME_TWICE = "other host, stop when it says the same"
    """Try one other; the same text from there is the request's fault."""
    RESIGN = "re-sign with block time"
    """The clock is off: learn the chain's time, sign again, once; then another host."""
    SIMPLER = "ask again without stream_options"
    """Does not know that parameter: the same endpoint is asked again without it, and remembered."""
    CONFIRM = "confirm on another host"
    """Looks like the account's fault: believe it when a second host agrees."""
    NOT_HERE = "another that has the route"
    """Lacks the route that was asked for: of no use to this call, and none the worse for it."""
    OTHER_CREDENTIALS = "other credentials"
    """The account's or the key's fault: skip everything that uses the same."""


class Health(enum.Enum):
    """What the answer says of the endpoint's health."""

    OK = "ok"
    """Nothing: the endpoint did its work."""
    HARD = "hard"
    """Out at once, cooldown doubling."""
    SOFT = "soft"
    """Out after two in a row."""
    SHARE = "share"
    """Out when most of the recent calls failed so."""
    FULL = "full"
    """Busy: out for Retry-After, else a short doubling time; not a fault."""
    BLOCKED = "blocked"
    """Proof of compute is running: out for half a minute; not a fault."""
    MODEL = "model"
    """Does not serve this model."""
    DENIED = "denied"
    """Out for ten minutes: will not take our requests."""
    GONE = "gone"
    """Does not do inference this way any more."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row of the table, without its condition.

    Attributes:
        action: What the call does next.
        health: What it means for the endpoint.
        refresh: Whether the participant list may be stale.
        advice: What the user can do, for the error message; empty when nothing.
    """

    action: Action
    health: Health
    refresh: bool = False
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition and its verdict. Empty kinds, statuses or text match everything."""

    kinds: tuple[EndpointKind, ...]
    statuses: tuple[int, ...]
    text: re.Pattern[str] | None
    verdict: Verdict

    def matches(self, kind: EndpointKind, status: int, text: str) -> bool:
        """Whether this row speaks of that answer."""
        return (
            (not self.kinds or kind in self.kinds)
            and (not self.statuses or status in self.statuses)
            and (self.text is None or self.text.search(text) is not None)
        )


def _rule(  # noqa: PLR0917 - rows of a table read best without names
    kinds: str,
    statuses: tuple[int, ...],
    text: str,
    action: Action,
    health: Health,
    advice: str = "",
    *,
    refresh: bool = False,
) -> Rule:
    names: dict[str, tuple[EndpointKind, ...]] = {
        "any": (),
        "node": ("participant",),
        "gate": ("gateway",),
        "prov": ("provider",),
        "keyed": ("gateway", "provider"),
    }
    pattern = re.compile(text, re.IGNORECASE) if text else None
    return Rule(names[kinds], statuses, pattern, Verdict(action, health, refresh, advice))


_CONTEXT = (
    r"context.{0,12}length|context.{0,8}size|context window|maximum.{0,20}tokens"
    r"|max_model_len|prompt is too long|too many (input )?tokens in the prompt"
)
# The executor behind a node failed. Two hosts may say so in the same words, and a third serves.
_EXECUTOR = (
    r"code = 5\d\d|\bdial (tcp|udp)|connection (refused|reset)|EOF|time-?out|deadline exceeded"
)
_GATEWAY_WAY = (
    "this network serves inference through gateways: give one with base_url and api_key "
    "(GONKA_BROKER_URL and GONKA_BROKER_API_KEY)"
)
_NO_ACCOUNT = (
    "the account must exist on chain with its public key: fund it and make one transaction"
)
_WRONG_KEY = "check the private key, and that GONKA_ADDRESS belongs to it"
_A = Action
_H = Health

# kind | status | text | what to do | what it says of the host | advice
TABLE: tuple[Rule, ...] = (
    # The request's length: hosts differ, so another may take it.
    _rule("any", (400, 413, 422, 500), _CONTEXT, _A.SAME_TWICE, _H.OK, "shorten the prompt"),
    # Clock and replay on the classic path.
    _rule(
        "node", (400,), r"(signature|timestamp) is (too old|in the future)", _A.RESIGN, _H.OK,
        "the clock of this machine differs from the chain's block time",
    ),
    _rule("node", (400,), r"AuthKey has already been used", _A.OTHER_HOST, _H.OK),
    _rule(
        "node", (400,), r"Prompt hash mismatch|Failed to compute prompt hash",
        _A.OTHER_HOST, _H.SHARE,
    ),
    # The account on the classic path. One host alone may lie, lag behind, or have another key in
    # front of it: the account is to blame when two agree.
    _rule(
        "node", (401,), r"PubKey", _A.CONFIRM, _H.OK, _WRONG_KEY, refresh=True,
    ),
    _rule("node", (401,), r"TransferSignature", _A.OTHER_HOST, _H.SOFT),
    _rule(
        "node", (402,), "", _A.CONFIRM, _H.OK,
        "add funds to the account, or lower max_tokens",
    ),
    _rule(
        "node", (403,), r"Transfer Agent not allowed", _A.OTHER_HOST, _H.DENIED,
        "this host is not on the chain's list of transfer agents", refresh=True,
    ),
    _rule(
        "node", (403,), r"restricted until block height", _A.CONFIRM, _H.OK,
        "the network admits only listed developers for now",
    ),
    _rule(
        "node", (404, 500), r"account not found|participant not found|account has no public key",
        _A.CONFIRM, _H.OK, _NO_ACCOUNT,
    ),
    _rule("node", (401,), "", _A.CONFIRM, _H.OK, _WRONG_KEY),
    _rule("node", (404,), r"model", _A.OTHER_HOST, _H.MODEL, refresh=True),
    # A proxy that lacks the route says nothing of the request.
    _rule("node", (404, 405), "", _A.OTHER_HOST, _H.SOFT),
    _rule("node", (410,), "", _A.OTHER_HOST, _H.GONE, _GATEWAY_WAY),
    # Errors of the inference engine that a node passes on as text.
    _rule(
        "node", (), r"Inference node response with an error\. code = 4(?!0[13489]|29)\d\d",
        _A.STOP, _H.OK, "the inference engine refused the request",
    ),
    _rule("node", (500,), _EXECUTOR, _A.OTHER_HOST, _H.SHARE),
    # Gateways.
    _rule("gate", (308,), "", _A.OTHER_HOST, _H.GONE, "this gateway has moved"),
    _rule("gate", (400,), r"unsupported model", _A.OTHER_HOST, _H.MODEL),
    _rule("gate", (400,), r"use /devshard/", _A.OTHER_HOST, _H.DENIED),
    _rule(
        "gate", (401,), r"admin API key", _A.OTHER_CREDENTIALS, _H.OK,
        "the gateway's operator has not opened this model; a correct key does not help",
    ),
    _rule("gate", (404,), r"devshard|version", _A.OTHER_HOST, _H.DENIED),
    _rule(
        "gate", (503,), r"PoC", _A.OTHER_HOST, _H.BLOCKED,
        "proof of compute is running; wait some minutes or add another gateway",
    ),
    _rule("gate", (504,), r"no non-empty response", _A.OTHER_HOST, _H.SHARE),
    # Keys of gateways and providers.
    _rule("keyed", (400, 422), r"stream_options|include_usage", _A.SIMPLER, _H.OK),
    _rule("keyed", (401,), "", _A.OTHER_CREDENTIALS, _H.OK, "check the API key of this endpoint"),
    _rule("keyed", (402,), "", _A.OTHER_CREDENTIALS, _H.OK, "check the balance of this key"),
    _rule("keyed", (403,), "", _A.OTHER_CREDENTIALS, _H.OK, "this key may not do that"),
    _rule(
        "keyed", (429,), r"insufficient_quota|exceeded your current quota",
        _A.OTHER_CREDENTIALS, _H.OK, "the quota of this key is used up",
    ),
    _rule(
        "keyed", (404,), "", _A.OTHER_HOST, _H.MODEL,
        "check the model's name and letter case, and that base_url ends with the API version",
    ),
    # Everybody.
    _rule("any", (403,), "", _A.OTHER_HOST, _H.DENIED),
    _rule("any", (408, 409, 425), "", _A.OTHER_HOST, _H.OK),
    _rule("any", (429,), "", _A.OTHER_HOST, _H.FULL, "every endpoint is busy; try later"),
    _rule("any", (500,), "", _A.SAME_TWICE, _H.SHARE),
    _rule("any", (502, 503, 504, 520, 521, 522, 523, 524, 529), "", _A.OTHER_HOST, _H.SOFT),
    _rule("any", tuple(range(300, 400)), "", _A.OTHER_HOST, _H.DENIED,
          "redirects are not followed"),
    _rule("any", tuple(range(400, 500)), "", _A.STOP, _H.OK),
    _rule("any", (), "", _A.OTHER_HOST, _H.SOFT),
)  # fmt: skip

# Failures without a status, by kind of failure.
WIRE_TABLE: dict[str, Verdict] = {
    "refused": Verdict(_A.OTHER_HOST, _H.HARD, refresh=True),
    "dns": Verdict(_A.OTHER_HOST, _H.HARD, refresh=True),
    "tls": Verdict(_A.OTHER_HOST, _H.HARD, refresh=True),
    "forbidden_address": Verdict(_A.OTHER_HOST, _H.DENIED),
    "connect_timeout": Verdict(_A.OTHER_HOST, _H.HARD, refresh=True),
    "reset": Verdict(_A.OTHER_HOST, _H.SOFT),
    "first_token_timeout": Verdict(_A.OTHER_HOST, _H.HARD),
    "idle_timeout": Verdict(_A.OTHER_HOST, _H.SOFT),
    "cut": Verdict(_A.OTHER_HOST, _H.SHARE),
    "truncated": Verdict(_A.OTHER_HOST, _H.SHARE),
    "garbage": Verdict(_A.OTHER_HOST, _H.SHARE),
    "error_event": Verdict(_A.OTHER_HOST, _H.SHARE),
    "too_large": Verdict(_A.OTHER_HOST, _H.SHARE),
}


_NO_ROUTE = (404, 405, 501)
_NOT_HERE = Verdict(Action.NOT_HERE, Health.OK, advice="the endpoints do not have this route")


def judge_other_route(kind: EndpointKind, status: int, text: str) -> Verdict:
    """`judge_status` for routes other than chat completions, which not every endpoint has."""
    return _NOT_HERE if status in _NO_ROUTE else judge_status(kind, status, text)


def judge_status(kind: EndpointKind, status: int, text: str) -> Verdict:
    """The verdict on an HTTP answer that is not 2xx.

    Args:
        kind: Kind of the endpoint that answered.
        status: HTTP status.
        text: The error's text, as `error_bodies.error_text` reads it.
    """
    return next(rule.verdict for rule in TABLE if rule.matches(kind, status, text))


def judge_failure(failure: str) -> Verdict:
    """The verdict on a failure without an answer, or in the middle of one."""
    return WIRE_TABLE[failure]
