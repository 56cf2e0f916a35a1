"""Events of the network, through the framework's dispatcher."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import active_span_id
from llama_index_instrumentation import get_dispatcher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.served import AttemptRecord
    from ..core.session import GonkaSession

dispatcher = get_dispatcher("gonka_integrations.llama_index")


class GonkaFailoverEvent(BaseEvent):
    """An endpoint did not answer, and the next one was asked.

    Attributes:
        endpoint: Base URL of the one that did not answer, or the class of a fallback LLM.
        kind: "participant", "gateway", "provider" or "fallback_llm".
        address: Transfer address of a participant.
        outcome: Kind of failure.
        status: HTTP status, when there was one.
        error: What it said, or what went wrong.
        seconds: How long it took.
        next_endpoint: The one that was asked next.
    """

    endpoint: str | None = None
    kind: str
    address: str | None = None
    outcome: str
    status: int | None = None
    error: str | None = None
    seconds: float = 0.0
    next_endpoint: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """Name of the event."""
        return "GonkaFailoverEvent"


class GonkaEpochChangeEvent(BaseEvent):
    """The network entered another epoch, and its participants were read anew.

    Attributes:
        previous: Epoch before, None when this is the first that is seen.
        epoch: Epoch now.
    """

    previous: int | None = None
    epoch: int

    @classmethod
    def class_name(cls) -> str:
        """Name of the event."""
        return "GonkaEpochChangeEvent"


def report_failovers(attempts: Sequence[AttemptRecord]) -> None:
    """An event for each attempt that failed and was followed by another."""
    span = active_span_id.get()
    for failed, following in pairwise(attempts):
        dispatcher.event(
            GonkaFailoverEvent(**failed.as_dict(), next_endpoint=following.endpoint, span_id=span)
        )


def report_takeover(error: BaseException, failed: str | None, following: Any) -> None:
    """An event for the network, or an LLM, that gave way to one of the fallback LLMs."""
    dispatcher.event(
        GonkaFailoverEvent(
            endpoint=failed,
            kind="network" if failed is None else "fallback_llm",
            outcome=type(error).__name__,
            status=getattr(error, "status_code", None),
            error=str(error),
            next_endpoint=following.class_name(),
            span_id=active_span_id.get(),
        )
    )


_watched: WeakSet[GonkaSession] = WeakSet()


def watch_epochs(session: GonkaSession) -> None:
    """Have each epoch change of *session* reported, once, however many LLMs share it."""
    if session not in _watched:
        _watched.add(session)
        session.on_epoch_change(_report_epoch)


def _report_epoch(previous: int | None, epoch: int, _participants: object) -> None:
    if previous is not None:  # the first reading is no change
        dispatcher.event(GonkaEpochChangeEvent(previous=previous, epoch=epoch))
