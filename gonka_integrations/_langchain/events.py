"""Custom events: what an application may want to know while a run goes on.

`gonka_failover` for each failed attempt that another followed, `gonka_epoch_change` when the
network has begun a new epoch since this process's last call. They reach `on_custom_event` of
handlers and `astream_events`; where no run exists, nobody could receive them.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import (
    AsyncCallbackManager,
    CallbackManager,
    adispatch_custom_event,
    dispatch_custom_event,
)
from langchain_core.runnables.config import RunnableConfig, ensure_config

from ..core.after_fork import renew_in_children

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun

    from ..core.served import AttemptRecord
    from ..core.session import GonkaSession

Event = tuple[str, dict[str, Any]]

FAILOVER = "gonka_failover"
EPOCH_CHANGE = "gonka_epoch_change"


class _Epochs:
    """The last epoch that somebody was told of, by session."""

    def __init__(self) -> None:
        self._told: weakref.WeakKeyDictionary[GonkaSession, int] = weakref.WeakKeyDictionary()
        self.renew_after_fork()
        renew_in_children(self)

    def renew_after_fork(self) -> None:
        """In a forked child: nobody holds the lock."""
        self._lock = threading.Lock()

    def change(self, session: GonkaSession, epoch: int) -> int | None:
        """The epoch before, when this one is another and nobody has been told."""
        if self._told.get(session) == epoch:
            return None
        with self._lock:
            before, self._told[session] = self._told.get(session), epoch
        return before if before != epoch else None


_epochs = _Epochs()


def events_of(
    session: GonkaSession, attempts: Sequence[AttemptRecord], epoch: int | None
) -> list[Event]:
    """Events of one call.

    Args:
        session: Where it was made.
        attempts: Its requests, in order.
        epoch: Epoch of the endpoint that served.
    """
    events: list[Event] = []
    if len(attempts) > 1:
        for failed, following in itertools.pairwise(attempts):
            if failed.outcome != "served":
                events.append((FAILOVER, {**failed.as_dict(), "next": following.endpoint}))
    before = None if epoch is None else _epochs.change(session, epoch)
    if before is not None:
        events.append((EPOCH_CHANGE, {"previous": before, "epoch": epoch}))
    return events


def dispatch(events: Sequence[Event], run_manager: CallbackManagerForLLMRun | None) -> None:
    """Send *events* to the handlers of the run that is going on, if any."""
    for name, data in events:
        config = _config(run_manager, CallbackManager)
        if config is not None:
            dispatch_custom_event(name, data, config=config)


async def adispatch(
    events: Sequence[Event], run_manager: AsyncCallbackManagerForLLMRun | None
) -> None:
    """`dispatch` for event loops."""
    for name, data in events:
        config = _config(run_manager, AsyncCallbackManager)
        if config is not None:
            await adispatch_custom_event(name, data, config=config)


def _config(
    run_manager: Any, manager: type[CallbackManager | AsyncCallbackManager]
) -> RunnableConfig | None:
    """Where to send to: the run of this call, else the run it is part of, else nowhere."""
    if run_manager is not None:
        own = manager(
            handlers=run_manager.handlers,
            inheritable_handlers=run_manager.inheritable_handlers,
            parent_run_id=run_manager.run_id,
            tags=run_manager.tags,
            metadata=run_manager.metadata,
        )
        return {"callbacks": own}
    around = ensure_config()
    parent = getattr(around.get("callbacks"), "parent_run_id", None)
    return around if parent is not None else None
