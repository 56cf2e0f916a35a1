"""The network as tests hold it: hosts, gateways and providers on loopback, in one thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self, TypeVar

from .engines import Engine, Responder, ResponderEngine
from .gateway import Gateway
from .hosts import Host
from .loop_thread import LoopThread
from .network_state import NetworkState
from .providers import Provider
from .scripted import scripted

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence

    from .endpoint import ServedEndpoint
    from .epoch_params import EpochParams

_T = TypeVar("_T")

DEFAULT_MODEL = "gonka/test-model"


class Devnet(NetworkState):
    """A local Gonka network over real HTTP; a sync and an async context manager.

    What its nodes agree on (accounts, epochs, time) is `NetworkState`.

    Args:
        hosts: Participants to start with.
        gateways: Gateways in front of the same models.
        providers: Ordinary OpenAI-compatible servers, for fallback tiers.
        models: Ids of the models; every host serves all of them unless *host_models* says which.
        host_models: Models of each host, by position.
        weights: Weights of the hosts; missing ones are 100, 200, 300 …
        responder: Answers requests; None is the scripted one.
        engine: Answers requests by other means, such as an upstream server; wins over *responder*.
        epoch: Id of the first epoch.
        epoch_params: Lengths of the epoch's stages, in blocks.
        token_delay: Seconds between the tokens of every stream.
        executor_extras: Whether hosts leave log probabilities and token ids in their answers.
        proofs: Whether hosts prove their participant sets and show blocks, commits and validators.
        seed: Seed of keys and chance.
        port: First port; the servers take it and those after it. 0 takes free ones.
        record_limit: Requests that each server remembers.

    Attributes:
        hosts, gateways, providers: The servers.
    """

    def __init__(
        self,
        hosts: int = 3,
        gateways: int = 1,
        providers: int = 0,
        *,
        models: Sequence[str] = (DEFAULT_MODEL,),
        host_models: Sequence[Sequence[str]] = (),
        weights: Sequence[int] = (),
        responder: Responder | None = None,
        engine: Engine | None = None,
        epoch: int = 1,
        epoch_params: EpochParams | None = None,
        token_delay: float = 0.0,
        executor_extras: bool = True,
        proofs: bool = False,
        seed: int = 0,
        port: int = 0,
        record_limit: int = 20_000,
    ) -> None:
        super().__init__(seed=seed, epoch_params=epoch_params)
        self.models = tuple(models)
        self.token_delay = token_delay
        self.executor_extras = executor_extras
        self.record_limit = record_limit
        self.engine: Engine = engine or ResponderEngine(responder or scripted)
        self.hosts: list[Host] = []
        self.gateways: list[Gateway] = []
        self.providers: list[Provider] = []
        if proofs:
            from .chain import SyntheticChain  # noqa: PLC0415 - only who asks pays for it

            self.chain = SyntheticChain.of(self)
        self._counts = (hosts, gateways, providers)
        self._host_models = tuple(tuple(one) for one in host_models)
        self._weights = tuple(weights)
        self._first_epoch = epoch
        self._first_port = self._next_port = port
        self._active: set[int] = set()
        self._thread = LoopThread("gonka-devnet")

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start every server and put the first epoch in force; nothing when it runs already."""
        if self._thread.running:
            return self
        self._thread.start()
        try:
            self.call(self._start())
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Stop every server and the thread. Safe to call twice."""
        if self._thread.running:
            self.call(self._stop())
        self._thread.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run *coroutine* in the network's loop and wait for its result."""
        return self._thread.call(coroutine)

    async def _start(self) -> None:
        hosts, gateways, providers = self._counts
        self.hosts, self._active, self._next_port = [], set(), self._first_port
        await self._join(hosts)
        self.gateways = [Gateway(self, index, port=self._port()) for index in range(gateways)]
        self.providers = [Provider(self, index, port=self._port()) for index in range(providers)]
        for server in (*self.gateways, *self.providers):
            await server.listener.open()
        self._begin_epoch(self._first_epoch)

    async def _stop(self) -> None:
        await asyncio.gather(*(server.listener.close() for server in self.servers))
        await self.engine.aclose()

    @property
    def servers(self) -> tuple[ServedEndpoint, ...]:
        """Every server of the network."""
        return (*self.hosts, *self.gateways, *self.providers)

    # -- where it is ----------------------------------------------------------------------------

    @property
    def source_url(self) -> str:
        """Base URL of the first host."""
        return self.hosts[0].url

    @property
    def source_urls(self) -> tuple[str, ...]:
        """Base URLs of all hosts."""
        return tuple(host.url for host in self.hosts)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """All hosts as explicit endpoints, `url;address`."""
        return tuple(host.endpoint for host in self.hosts)

    @property
    def gateway(self) -> Gateway:
        """The first gateway."""
        return self.gateways[0]

    @property
    def provider(self) -> Provider:
        """The first provider."""
        return self.providers[0]

    def host_of(self, address: str) -> Host:
        """The host with an address."""
        return next(host for host in self.hosts if host.address == address)

    # -- epochs ---------------------------------------------------------------------------------

    @property
    def participants(self) -> tuple[Host, ...]:
        """Hosts that take part in the epoch in force."""
        return tuple(self.hosts[member.index] for member in self.epochs.current.members)

    def advance_epoch(self, *, leave: Iterable[int] = (), join: int = 0) -> int:
        """Begin the next epoch now, with changed participants.

        Args:
            leave: Positions in `hosts` of those who leave; they go on running. A host that left
                takes part again by `rejoin`.
            join: How many new hosts to start.

        Returns:
            Id of the new epoch.
        """
        return self.call(self._advance(set(leave), join))

    def rejoin(self, index: int) -> None:
        """Let a host that left take part again from the next epoch on."""
        self._active.add(index)

    def exclude(self, index: int, reason: str = "failed_confirmation_poc") -> None:
        """Throw a host out of the running epoch."""
        self.epochs.exclude(self.hosts[index].address, reason)

    async def _advance(self, leave: set[int], join: int) -> int:
        self._active -= leave
        await self._join(join)
        return self._begin_epoch(self.epoch + 1)

    def _begin_epoch(self, epoch_id: int) -> int:
        members = tuple(self.hosts[index].member() for index in sorted(self._active))
        self.epochs.begin(epoch_id, members)
        return epoch_id

    async def _join(self, count: int) -> None:
        for _ in range(count):
            index = len(self.hosts)
            models = self._host_models[index] if index < len(self._host_models) else self.models
            weight = self._weights[index] if index < len(self._weights) else 100 * (index + 1)
            host = Host(self, index, models=models, weight=weight, port=self._port())
            await host.listener.open()
            self.hosts.append(host)
            self._active.add(index)

    def _port(self) -> int:
        port = self._next_port
        self._next_port += 1 if port else 0
        return port

    # -- answers --------------------------------------------------------------------------------

    @property
    def responder(self) -> Responder | None:
        """What answers requests; None while an engine of another kind does."""
        return self.engine.responder if isinstance(self.engine, ResponderEngine) else None

    @responder.setter
    def responder(self, responder: Responder | None) -> None:
        self.engine = ResponderEngine(responder or scripted)
        for gateway in self.gateways:
            gateway.forget()
