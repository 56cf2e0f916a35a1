"""What can go wrong at an endpoint, described as a value, and the draw whether it does.

Every kind is produced for real on the wire; `answers` does that. This module only decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from .recording import RecordedRequest

if TYPE_CHECKING:
    import random

FaultKind = Literal[
    "refuse",
    "reset",
    "hang",
    "status",
    "role_then_cut",
    "cut",
    "no_finish",
    "html",
    "garbage",
    "slow",
    "error_event",
    "plain_text_tail",
    "hang_mid_stream",
    "empty",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail.

    Kinds, as a streaming call meets them (a plain call meets the nearest equivalent):

    ==================  ==========================================================================
    refuse              nobody listens: connections are refused and open ones dropped. With *times*
                        or *probability* connections are taken and reset at once instead, since a
                        refused connection cannot be counted.
    reset               the request is read, then the connection is reset
    hang                the request is read and never answered
    status              *status* with *body* and *headers*; or a real text by its id in *body*
                        (see `texts.BY_ID`)
    html                *status* with the HTML page of the reverse proxy
    garbage             200 with bytes that are not JSON
    empty               200 with an empty body
    slow                *delay* seconds before the answer, *token_delay* between its tokens
    role_then_cut       200 and the role delta, then the connection ends
    cut                 the connection ends after *after_tokens* content deltas
    no_finish           a clean end after *after_tokens* content deltas
    hang_mid_stream     silence after *after_tokens* content deltas
    error_event         an error event after *after_tokens* content deltas; then `[DONE]` if *done*
    plain_text_tail     bare text after *after_tokens* content deltas, then a clean end
    ==================  ==========================================================================

    Attributes:
        kind: See above.
        status: HTTP status of `status` and `html`.
        body: Body of `status` (dict: JSON; an id of `texts.BY_ID`: that answer with its status),
            `garbage`, `error_event` (dict: the event) and `plain_text_tail`.
        headers: Extra response headers of `status` and `html`, such as Retry-After.
        after_tokens: Content deltas let through before a mid-stream fault.
        delay: Seconds to wait before doing it; the whole point of `slow`.
        token_delay: Seconds between tokens, for `slow`.
        done: Whether `error_event` is followed by `[DONE]`.
        reset: Whether `cut` and `role_then_cut` end by TCP reset instead of a close.
        times: How often it happens, then never again; None is always.
        probability: Chance of each call to meet it, in [0, 1].
    """

    kind: FaultKind
    status: int = 503
    body: str | bytes | Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    after_tokens: int = 3
    delay: float = 0.0
    token_delay: float = 0.0
    done: bool = False
    reset: bool = False
    times: int | None = None
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(get_args(FaultKind))}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: {self.probability!r} is not within [0, 1]")

    @property
    def closes_listener(self) -> bool:
        """Whether the listening socket itself goes away."""
        return self.kind == "refuse" and self.times is None and self.probability >= 1


FaultRule: TypeAlias = Fault | Callable[[RecordedRequest], Fault | None] | None
"""A fault, none, or a function that decides per request."""


@dataclass(slots=True)
class FaultSwitch:
    """The fault in force at one endpoint, and how often it has struck.

    Attributes:
        rng: Source of chance; seeded by the network.
        rule: What is in force.
        struck: How often the present rule has struck.
    """

    rng: random.Random
    rule: FaultRule = None
    struck: int = field(default=0)

    def set(self, rule: FaultRule) -> None:
        """Put *rule* in force and count from zero."""
        self.rule = rule
        self.struck = 0

    def draw(self, request: RecordedRequest) -> Fault | None:
        """The fault that *request* meets, if any."""
        rule = self.rule
        if rule is None:
            return None
        if isinstance(rule, Fault):
            # `refuse` strikes connections, not the requests on those that are open.
            return rule if rule.kind != "refuse" and self._strikes(rule) else None
        fault = rule(request)
        return fault if fault is not None and self._strikes(fault) else None

    def resets_connection(self) -> bool:
        """Whether a new connection is to be reset: `refuse` that is counted or drawn."""
        rule = self.rule
        if not isinstance(rule, Fault) or rule.kind != "refuse" or rule.closes_listener:
            return False
        return self._strikes(rule)

    def _strikes(self, fault: Fault) -> bool:
        if fault.times is not None and self.struck >= fault.times:
            return False
        if fault.probability < 1 and self.rng.random() >= fault.probability:
            return False
        self.struck += 1
        return True
