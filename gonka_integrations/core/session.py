"""GonkaSession: where everything is put together; shared by equal configurations."""

from __future__ import annotations

import asyncio
import copy
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import GonkaDiscoveryError
from .after_fork import renew_in_children
from .chat import Chat
from .discovery import EndpointDiscovery
from .engine import Engine
from .gateways import GatewayWatch
from .hooks import call_hook
from .membership import assemble
from .refresh import RefreshManager

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from ..config import GonkaConfig
    from .participants import GonkaParticipant, ParticipantSet

_logger = logging.getLogger("gonka_integrations.session")

_shared: weakref.WeakValueDictionary[Any, GonkaSession] = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


class GonkaSession(Engine):
    """A pool of endpoints with everything that keeps it going.

    The participants are read when the first call needs them, and kept up to date by one daemon
    thread from then on. Threads and event loops may share a session.

    Args:
        config: Where endpoints are and how to behave.

    Attributes:
        chat: Chat completions over the pool.

    Raises:
        GonkaConfigError: The configuration names no place to send requests to.
    """

    def __init__(self, config: GonkaConfig) -> None:
        config.require_source()
        super().__init__(config)
        self.pool.replace(assemble(config))
        self._participants: ParticipantSet | None = None
        self._epoch_hooks: list[Callable[[int | None, int, Sequence[GonkaParticipant]], None]] = []
        self.renew_after_fork()
        renew_in_children(self)
        self._refresher = self._make_refresher()
        gateways = [one for one in self.pool.endpoints() if one.kind == "gateway"]
        self._watch = GatewayWatch(
            gateways, self.pool, self.network, config.refresh_interval_seconds
        )
        self._ready = threading.Event()
        self.chat = Chat(self.context, self.network, self.prepare, self.aprepare)

    @classmethod
    def shared(cls, config: GonkaConfig) -> GonkaSession:
        """The process's session for *config*: one for all that are equal, while anybody uses it."""
        config = _connection(config)
        with _shared_lock:
            found = _shared.get(config)
            if found is None:
                found = _shared[config] = cls(config)
            return found

    @property
    def epoch(self) -> int | None:
        """Epoch of the participants in use, None before any have been read."""
        return None if self._participants is None else self._participants.epoch_id

    def participants(self) -> tuple[GonkaParticipant, ...]:
        """The participants in use."""
        return () if self._participants is None else self._participants.participants

    def on_epoch_change(
        self, hook: Callable[[int | None, int, Sequence[GonkaParticipant]], None]
    ) -> None:
        """Call *hook* with old epoch, new epoch and participants, after each change."""
        self._epoch_hooks.append(hook)

    def refresh(self) -> None:
        """Read the participants now; blocks.

        Raises:
            GonkaDiscoveryError: They could not be read; the ones in use stay.
        """
        if self._refresher is not None:
            self._refresher.refresh_now().raise_for_error()

    def prepare(self) -> None:
        """Make sure that the participants have been read; blocks the first time."""
        if self._ready.is_set():
            return
        with self._preparing:
            if self._ready.is_set():
                return
            if self._refresher is not None:
                self._read_first(self._refresher)
            if self.config.refresh_enabled:
                self._watch.start()
            self._ready.set()

    def aprepare(self) -> Awaitable[None] | None:
        """Something to await when the participants have not been read yet."""
        if not self._ready.is_set() and self._refresher is None:
            self.prepare()  # reads nothing, so it does not block
        return None if self._ready.is_set() else asyncio.to_thread(self.prepare)

    def trouble(self) -> None:
        """The participant list may be stale: look at it soon."""
        if self._refresher is not None:
            self._refresher.wake()

    def close(self) -> None:
        """Stop refreshing and close the blocking connections.

        A call that comes later, from another user of a shared session, begins anew.
        """
        self._ready.clear()
        self._watch.stop()
        if self._refresher is not None:
            self._refresher.stop()
        super().close()

    async def aclose(self) -> None:
        """`close`, and close the connections of the running loop."""
        self._ready.clear()
        self._watch.stop()
        if self._refresher is not None:
            await self._refresher.async_stop()
        await super().aclose()

    def renew_after_fork(self) -> None:
        """In a forked child: a thread that was reading the participants is not here."""
        self._preparing = threading.Lock()

    def _make_refresher(self) -> RefreshManager | None:
        config = self.config
        if not config.source_url:
            return None
        self._discovery = EndpointDiscovery(
            config.source_url,
            verify_proofs=config.verify_proofs,
            trust=config.trust,
            allow_private_hosts=config.allow_private_hosts,
        )
        method = weakref.WeakMethod(self._apply)

        def apply(found: ParticipantSet) -> None:
            target = method()
            if target is not None:
                target(found)

        return RefreshManager(discovery=self._discovery, apply=apply, owner=self)

    def _apply(self, found: ParticipantSet) -> None:
        before, self._participants = self.epoch, found
        trusted = self.config.allow_private_hosts or self._discovery.source_is_private
        self.pool.replace(assemble(self.config, found.participants, trusted=trusted))
        if before != found.epoch_id:
            for hook in tuple(self._epoch_hooks):
                call_hook(hook, before, found.epoch_id, found.participants)

    def _read_first(self, refresher: RefreshManager) -> None:
        try:
            refresher.refresh_now().raise_for_error()
        except GonkaDiscoveryError as error:
            if not self.pool.endpoints():
                raise
            _logger.warning("Participants could not be read, going on without: %s", error)
        if self.config.refresh_enabled:
            refresher.start(self.config.refresh_interval_seconds)


def _connection(config: GonkaConfig) -> GonkaConfig:
    """*config* without the model, which each call names: models share their connections."""
    if config.model is None:
        return config
    shared = copy.copy(config)
    object.__setattr__(shared, "model", None)
    return shared
