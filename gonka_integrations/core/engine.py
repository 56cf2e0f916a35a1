"""Engine: a pool with everything that calls need. Sessions and multiplexers are engines."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from .context import CallContext
from .hooks import call_hook
from .network import Network
from .pool import EndpointPool
from .retries import RetryBudget, RetryPolicy
from .served import AttemptRecord, CallOptions
from .signing import TimestampSource
from .telemetry import observer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from ..config import GonkaConfig
    from .endpoints import Endpoint


class Engine:
    """A pool of endpoints, its connections, and the rules its calls follow.

    Args:
        config: Time-outs and limits.

    Attributes:
        config: As given.
        pool: The endpoints with their health.
        context: What the calls share.
        network: Connections.
    """

    def __init__(self, config: GonkaConfig) -> None:
        self.config = config
        self.network = Network()
        self.pool = EndpointPool(on_drained=self.network.drop, observe=observer())
        self._failover_hooks: list[Callable[[AttemptRecord], None]] = []
        self.context = self._make_context()
        weakref.finalize(self, self.network.close)

    @property
    def epoch(self) -> int | None:
        """Epoch of the participants in use, None when there are none."""
        return None

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints of the pool."""
        return self.pool.endpoints()

    def models(self) -> tuple[str, ...]:
        """Models that the pool is known to serve; empty when its endpoints do not say."""
        return self.pool.models()

    def stats(self) -> dict[str, Any]:
        """What was done so far, as plain JSON values: the epoch, and each endpoint by itself."""
        return {
            "epoch": self.epoch,
            "in_flight": self.pool.in_flight(),
            "endpoints": self.pool.snapshot(),
        }

    def on_failover(self, hook: Callable[[AttemptRecord], None]) -> None:
        """Call *hook* with each failed attempt that another follows."""
        self._failover_hooks.append(hook)

    # What calls need.

    def prepare(self) -> None:
        """Make sure that the pool is filled; may block."""

    def aprepare(self) -> Awaitable[None] | None:
        """Something to await when the pool is not filled yet."""
        return None

    async def connections_here(self) -> Any:
        """Connections of the running event loop, with the pool filled."""
        waiting = self.aprepare()
        if waiting is not None:
            await waiting
        return self.network.here() or await self.network.ready_here()

    def trouble(self) -> None:
        """The list of endpoints may be stale."""

    def _make_context(self) -> CallContext:
        config, owner = self.config, weakref.ref(self)

        def failed_over(record: AttemptRecord) -> None:
            engine = owner()
            for hook in tuple(engine._failover_hooks) if engine else ():
                call_hook(hook, record)

        def epoch() -> int | None:
            engine = owner()
            return engine.epoch if engine else None

        def trouble() -> None:
            engine = owner()
            if engine:
                engine.trouble()

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
            on_trouble=trouble,
        )

    # Its end.

    def close(self) -> None:
        """Close the blocking connections."""
        self.network.close()

    async def aclose(self) -> None:
        """Close the connections of the running loop, and the blocking ones."""
        await self.network.aclose()

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
