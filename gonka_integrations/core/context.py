"""CallContext: what the calls of a session share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .pool import EndpointPool
    from .retries import RetryBudget, RetryPolicy
    from .served import AttemptRecord, CallOptions
    from .signing import TimestampSource
    from .wire import WireFailure


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
        moved: Gateways that are switched off, by identity, with what they answered.
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
    moved: dict[str, WireFailure] = field(default_factory=dict)
    on_trouble: Callable[[], None] = lambda: None
