"""RefreshManager: keeps the participants up to date while programs run."""

from __future__ import annotations

import logging
import random
import time
import weakref
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError, GonkaError, GonkaRefreshError
from . import fields as check
from .background import PeriodicThread
from .hooks import call_hook
from .participants import GonkaParticipant, ParticipantSet
from .refresh_policy import PollPlan, Situation, objection, spread
from .refresh_result import RefreshResult

if TYPE_CHECKING:
    from .discovery import EndpointDiscovery
    from .effects import Flow
    from .epochs import EpochInfo
    from .model_registrar import ModelRegistrar

__all__ = ["RefreshManager", "RefreshResult"]

_logger = logging.getLogger("gonka_integrations.refresh")

_JOIN_FOR = 1.0

EpochHook = Callable[[int | None, int, Sequence[GonkaParticipant]], None]


class RefreshManager:
    """Reads the participants now and then, and whenever somebody calls for it.

    One daemon thread looks where the chain is, closely only around the predicted change of the
    epoch, and reads the list when it has changed. A failed read, a list of an older epoch, an empty
    or a suddenly shrunken one leave everything as it is. The thread ends when nobody holds the
    manager (or its *owner*) any more, and never keeps the interpreter.

    Args:
        multiplexer: What participants are registered into, with *registrar*; held weakly.
        discovery: Where participants are read from.
        registrar: Registers them into *multiplexer*.
        as_fallback: Whether they are registered as fallbacks.
        apply: Takes each new set, in place of *multiplexer* and *registrar*.
        owner: When it is gone, the thread ends; held weakly.
        clock: Monotonic time in seconds.
        now: The wall clock, for `last_refresh`.
        uniform: A random number between two: processes of a fleet must not poll in step.

    Attributes:
        on_epoch_change: Called with old epoch, new epoch and participants after a change.
        last_refresh: Time of the last refresh that did not fail, None before the first.

    Raises:
        GonkaConfigError: There is no discovery, or nowhere to put participants.
    """

    def __init__(
        self,
        multiplexer: Any = None,
        discovery: EndpointDiscovery | None = None,
        registrar: ModelRegistrar | None = None,
        as_fallback: bool = False,
        *,
        apply: Callable[[ParticipantSet], object] | None = None,
        owner: object = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        if discovery is None:
            raise GonkaConfigError("discovery: give an EndpointDiscovery", field="discovery")
        if apply is None:
            apply = _registering(multiplexer, registrar, as_fallback)
            owner = multiplexer if owner is None else owner
        self.discovery = discovery
        self.on_epoch_change: EpochHook | None = None
        self.last_refresh: datetime | None = None
        self._apply = apply
        self._owner = None if owner is None else weakref.ref(owner)
        self._clock = clock
        self._now = now
        self._uniform = uniform
        self._plan = PollPlan()
        self._current: ParticipantSet | None = None
        self._info: EpochInfo | None = None
        self._failures = 0
        self._woken = False
        self._list_read: float | None = None
        self._thread = PeriodicThread(self, "gonka-refresh", clock)

    @property
    def is_running(self) -> bool:
        """Whether the background thread runs."""
        return self._thread.is_running

    @property
    def current_epoch(self) -> int | None:
        """Epoch of the participants in use, None before any are."""
        return None if self._current is None else self._current.epoch_id

    @property
    def participants(self) -> tuple[GonkaParticipant, ...]:
        """The participants in use."""
        return () if self._current is None else self._current.participants

    def adopt(self, found: ParticipantSet) -> None:
        """Takes *found* as what is in use already."""
        self._current = found
        self._list_read = self._clock()

    def start(self, interval_seconds: float = 60.0) -> None:
        """Starts the background thread, with or without an event loop; again has no effect.

        When the participants have been read already, the first look is at any moment of the first
        interval: a fleet that starts together is out of step from then on.

        Args:
            interval_seconds: Between two looks at where the chain is.
        """
        self._plan = PollPlan(interval=check.seconds(interval_seconds, "interval_seconds"))
        first = 0.0
        if self._current is not None:
            first = self._uniform(self._plan.floor, self._plan.delay(self._situation()))
        self._thread.start(first)

    def stop(self) -> None:
        """Ends the background thread; a read that it is in the middle of is not applied."""
        self._thread.end()
        self._thread.join(_JOIN_FOR)

    async def async_stop(self) -> None:
        """`stop`, without blocking the event loop."""
        self._thread.end()
        await self._thread.ajoin(_JOIN_FOR)

    def wake(self) -> None:
        """Says that the participants may be stale: the thread reads them as soon as it may."""
        self._woken = True
        self._thread.wake(self._plan.floor)

    def refresh_now(self) -> RefreshResult:
        """Reads and applies the participants, blocking; never raises for what went wrong."""
        return self.discovery.run(self._refresh())

    async def async_refresh_now(self) -> RefreshResult:
        """`refresh_now`, without blocking the event loop."""
        return await self.discovery.arun(self._refresh())

    def work(self) -> float:
        """One poll of the background thread; returns the seconds until the next."""
        if self._owner is not None and self._owner() is None:
            self._thread.end()
            return 0.0
        self.discovery.run(self._poll())
        return spread(self._plan.delay(self._situation()), self._plan.floor, self._uniform)

    def _situation(self) -> Situation:
        info, age = self._info, self._list_read
        return Situation(
            to_change=None if info is None else info.seconds_to_change(),
            behind=info is not None and (self.current_epoch or 0) < info.participants_epoch,
            failures=self._failures,
            woken=self._woken,
            list_age=None if age is None else self._clock() - age,
        )

    def _poll(self) -> Flow[None]:
        try:
            self._info = yield from self.discovery.epoch_flow()
            self._failures = 0
        except GonkaError as error:
            # The list says the epoch as well; only the prediction is missing.
            _logger.info("Where the chain is could not be read: %s", error)
            self._info = None
        if self._info is None or self._plan.wants_list(self._situation()):
            result = yield from self._refresh(background=True)
            if result.error is not None:
                _logger.warning("Participants were not refreshed: %s", result.error)

    def _refresh(self, *, background: bool = False) -> Flow[RefreshResult]:
        self._woken = False
        try:
            found = yield from self.discovery.participants_flow()
            if background and self._thread.is_ended:
                return RefreshResult(success=False, error=GonkaRefreshError("it was stopped"))
            result = self._take(found)
        except GonkaError as error:
            self._failures += 1
            return RefreshResult(
                success=False,
                old_epoch=self.current_epoch,
                new_epoch=self.current_epoch,
                error=error,
            )
        self._failures = 0
        self._list_read = self._clock()
        self.last_refresh = self._now()
        if result.epoch_changed and result.old_epoch is not None:
            self._tell(result.old_epoch, found)
        return result

    def _take(self, found: ParticipantSet) -> RefreshResult:
        old = self._current
        doubt = objection(old, found)
        if doubt is not None:
            self.discovery.distrust(found.source_url)
            raise GonkaRefreshError(
                f"the list of {found.source_url} is not believed: {doubt}; the one in use stays"
            )
        if old is None or old.participants != found.participants or old.epoch_id != found.epoch_id:
            self._apply(found)
        self._current = found
        before = {(one.address, one.inference_url) for one in old or ()}
        after = {(one.address, one.inference_url) for one in found}
        return RefreshResult(
            success=True,
            epoch_changed=old is None or old.epoch_id != found.epoch_id,
            old_epoch=None if old is None else old.epoch_id,
            new_epoch=found.epoch_id,
            participants_added=len(after - before),
            participants_removed=len(before - after),
        )

    def _tell(self, old_epoch: int, found: ParticipantSet) -> None:
        if self.on_epoch_change is not None:
            call_hook(self.on_epoch_change, old_epoch, found.epoch_id, found.participants)


def _registering(
    multiplexer: Any, registrar: ModelRegistrar | None, as_fallback: bool
) -> Callable[[ParticipantSet], object]:
    if multiplexer is None or registrar is None:
        raise GonkaConfigError(
            "apply: give a function that takes participants, or a multiplexer and a registrar",
            field="apply",
        )
    target = weakref.ref(multiplexer)

    def apply(found: ParticipantSet) -> None:
        found_multiplexer = target()
        if found_multiplexer is not None:
            registrar.replace_all(found_multiplexer, found, as_fallback=as_fallback)

    return apply
