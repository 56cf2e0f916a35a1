"""GonkaSession: where everything is put together; shared by equal configurations."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import GonkaDiscoveryError
from .attempts import RetryBudget, RetryPolicy
from .calls import CallContext
from .chat import Chat
from .discovery import EndpointDiscovery
from .membership import given_endpoints, participant_endpoints
from .network import Network
from .pool import EndpointPool
from .refresh import RefreshManager
from .served import AttemptRecord, CallOptions
from .signing import TimestampSource

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import TracebackType
    from typing import Self

    from ..config import GonkaConfig
    from .endpoints import Endpoint
    from .participants import GonkaParticipant, ParticipantSet

_logger = logging.getLogger("gonka_integrations.session")

_shared: weakref.WeakValueDictionary[Any, GonkaSession] = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


class GonkaSession:
    """A pool of endpoints with everything that keeps it going.

    The participants are read when the first call needs them, and kept up to date by one daemon
    thread from then on. Threads and event loops may share a session.

    Args:
        config: Where endpoints are and how to behave.

    Attributes:
        config: As given.
        chat: Chat completions over the pool.
        pool: The endpoints with their health.

    Raises:
        GonkaConfigError: The configuration names no place to send requests to.
    """

    def __init__(self, config: GonkaConfig) -> None:
        config.require_source()
        self.config = config
        self._network = Network()
        self.pool = EndpointPool(on_drained=self._network.drop)
        self._given = given_endpoints(config)
        self.pool.replace(self._given)
        self._participants: ParticipantSet | None = None
        self._failover_hooks: list[Callable[[AttemptRecord], None]] = []
        self._epoch_hooks: list[Callable[[int | None, int, Sequence[GonkaParticipant]], None]] = []
        self._preparing = threading.Lock()
        self._refresher = self._make_refresher()
        self._ready = self._refresher is None
        self.context = self._make_context()
        self.chat = Chat(self.context, self._network, self._prepare, self._aprepare)

    @classmethod
    def shared(cls, config: GonkaConfig) -> GonkaSession:
        """The process's session for *config*: one for all that are equal, while anybody uses it."""
        with _shared_lock:
            found = _shared.get(config)
            if found is None:
                found = _shared[config] = cls(config)
            return found

    # What it is about.

    @property
    def epoch(self) -> int | None:
        """Epoch of the participants in use, None before any have been read."""
        return None if self._participants is None else self._participants.epoch_id

    def participants(self) -> tuple[GonkaParticipant, ...]:
        """The participants in use."""
        return () if self._participants is None else self._participants.participants

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints of the pool."""
        return self.pool.endpoints()

    def models(self) -> tuple[str, ...]:
        """Models that the pool is known to serve; empty when its endpoints do not say."""
        return self.pool.models()

    def stats(self) -> dict[str, Any]:
        """What the session did, as plain JSON values: the epoch, and each endpoint by itself."""
        return {
            "epoch": self.epoch,
            "in_flight": self.pool.in_flight(),
            "endpoints": self.pool.snapshot(),
        }

    def on_failover(self, hook: Callable[[AttemptRecord], None]) -> None:
        """Call *hook* with each failed attempt that another follows."""
        self._failover_hooks.append(hook)

    def on_epoch_change(
        self, hook: Callable[[int | None, int, Sequence[GonkaParticipant]], None]
    ) -> None:
        """Call *hook* with old epoch, new epoch and participants, after each change."""
        self._epoch_hooks.append(hook)

    # Participants.

    def refresh(self) -> None:
        """Read the participants now; blocks.

        Raises:
            GonkaDiscoveryError: They could not be read; the ones in use stay.
        """
        if self._refresher is not None:
            self._refresher.refresh_now()

    def _apply(self, found: ParticipantSet) -> None:
        before, self._participants = self.epoch, found
        trusted = self.config.allow_private_hosts or self._discovery.source_is_private
        self.pool.replace(
            [
                *self._given,
                *participant_endpoints(self.config, found.participants, trusted=trusted),
            ]
        )
        if before != found.epoch_id:
            for hook in tuple(self._epoch_hooks):
                _call(hook, before, found.epoch_id, found.participants)

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
        owner = weakref.WeakMethod(self._apply)

        def apply(found: ParticipantSet) -> None:
            method = owner()
            if method is not None:
                method(found)

        return RefreshManager(self._discovery, apply=apply, owner=self)

    def _prepare(self) -> None:
        if self._ready:
            return
        with self._preparing:
            if not self._ready and self._refresher is not None:
                self._read_first(self._refresher)
                self._ready = True

    def _aprepare(self) -> Awaitable[None] | None:
        return None if self._ready else asyncio.to_thread(self._prepare)

    def _read_first(self, refresher: RefreshManager) -> None:
        try:
            refresher.refresh_now()
        except GonkaDiscoveryError as error:
            if not self._given:
                raise
            _logger.warning("Participants could not be read, going on without: %s", error)
        if self.config.refresh_enabled:
            refresher.start(self.config.refresh_interval_seconds)

    def _make_context(self) -> CallContext:
        config, owner = self.config, weakref.ref(self)

        def failed_over(record: AttemptRecord) -> None:
            session = owner()
            for hook in tuple(session._failover_hooks) if session else ():
                _call(hook, record)

        def epoch() -> int | None:
            session = owner()
            return session.epoch if session else None

        return CallContext(
            pool=self.pool,
            budget=RetryBudget(),
            policy=RetryPolicy(
                max_retries=config.max_retries, retry_ambiguous=config.retry_ambiguous
            ),
            timestamps=TimestampSource(),
            limits=CallOptions(
                timeout=config.timeout,
                first_token_timeout=config.first_token_timeout,
                idle_timeout=config.idle_timeout,
                hedge_after=config.hedge_after,
            ),
            connect_timeout=config.connect_timeout,
            stream_internally=config.stream_internally,
            epoch=epoch,
            on_failover=failed_over,
            on_trouble=self._refresher.wake if self._refresher else lambda: None,
        )

    # Its end.

    def close(self) -> None:
        """Stop refreshing and close the blocking connections."""
        if self._refresher is not None:
            self._refresher.stop()
        self._network.close()

    async def aclose(self) -> None:
        """Stop refreshing and close the connections of the running loop, and the blocking ones."""
        if self._refresher is not None:
            await self._refresher.async_stop()
        await self._network.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _call(hook: Callable[..., None], *arguments: object) -> None:
    try:
        hook(*arguments)
    except Exception:
        _logger.exception("A hook failed; the call goes on")
