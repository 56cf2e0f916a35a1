"""The network as tests hold it: hosts, gateways and providers on loopback, in one thread."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from .engines import Engine, Responder, ResponderEngine
from .epochs import EpochBook, EpochParams
from .gateway import Gateway
from .hosts import Host
from .ledger import Ledger, TestKey
from .providers import Provider
from .scripted import scripted
from .servers import LoopThread

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Sequence
    from types import TracebackType

    from .endpoint import ServedEndpoint
    from .payloads import Dialect
    from .signatures import Scheme

_T = TypeVar("_T")
_NANO = 1_000_000_000

DEFAULT_MODEL = "gonka/test-model"


class Chain(Protocol):
    """The consensus side of the network, which proves participant sets."""

    def proof_fields(self, epoch: int) -> dict[str, Any]:
        """Fields of the participants payload that prove *epoch*."""
        ...

    def rpc(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """Answer of `/chain-rpc/{path}`, None when there is none."""
        ...


class Devnet:
    """A local Gonka network over real HTTP; a sync and an async context manager.

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
        seed: Seed of keys and chance.
        port: First port; the servers take it and those after it. 0 takes free ones.
        record_limit: Requests that each server remembers.

    Attributes:
        hosts, gateways, providers: The servers.
        ledger: Accounts on chain.
        epochs: History of the epochs.
        chain: Proves participant sets; None serves them without a proof.
        clock_offset: Seconds that block time is ahead of the wall clock.
        timestamp_expiration, timestamp_advance: Window of request timestamps, seconds.
        allowed_transfer_addresses: The chain's allow-list; None or empty allows all.
        restricted_until_height: Height until which the developer gate is closed, or None.
        classic_gone: Whether hosts answer 410 to inference, as since v0.2.14.
        scheme: What of the body a signature covers.
        dialect: JSON dialect of the reads.
        chain_api_enabled: Whether hosts show the chain's REST and RPC interfaces.
        confirmation_poc: Running confirmation event: `grace period`, `generation`, `validation`.
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
        seed: int = 0,
        port: int = 0,
        record_limit: int = 20_000,
    ) -> None:
        self.models = tuple(models)
        self.seed = seed
        self.token_delay = token_delay
        self.executor_extras = executor_extras
        self.record_limit = record_limit
        self.engine: Engine = engine or ResponderEngine(responder or scripted)
        self.epochs = EpochBook(epoch_params or EpochParams())
        self.ledger = Ledger()
        self.chain: Chain | None = None
        self.chain_id = "gonka-devnet"
        self.clock_offset = 0.0
        self.timestamp_expiration = 60
        self.timestamp_advance = 30
        self.allowed_transfer_addresses: list[str] | None = None
        self.restricted_until_height: int | None = None
        self.classic_gone = False
        self.scheme: Scheme = "body_hash"
        self.dialect: Dialect = "2026"
        self.chain_api_enabled = True
        self.confirmation_poc: str | None = None
        self.hosts: list[Host] = []
        self.gateways: list[Gateway] = []
        self.providers: list[Provider] = []
        self._counts = (hosts, gateways, providers)
        self._host_models = tuple(tuple(one) for one in host_models)
        self._weights = tuple(weights)
        self._first_epoch = epoch
        self._next_port = port
        self._active: set[int] = set()
        self._thread = LoopThread("gonka-devnet")
        self._funded = self._account("funded", 10**18)
        self._poor = self._account("poor", 0)
        self._unknown = TestKey.from_label(f"{seed} unknown")

    # -- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start every server and put the first epoch in force."""
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

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Run *coroutine* in the network's loop and wait for its result."""
        return self._thread.call(coroutine)

    async def _start(self) -> None:
        hosts, gateways, providers = self._counts
        await self._join(hosts)
        self.gateways = [Gateway(self, index, port=self._port()) for index in range(gateways)]
        self.providers = [Provider(self, index, port=self._port()) for index in range(providers)]
        for server in (*self.gateways, *self.providers):
            await server.listener.open()
        self._begin_epoch(self._first_epoch)

    async def _stop(self) -> None:
        await asyncio.gather(*(server.listener.close() for server in self.servers))

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

    # -- accounts -------------------------------------------------------------------------------

    @property
    def private_key(self) -> str:
        """Key, 64 hex digits, of an account with more than enough money."""
        return self._funded.private_key

    @property
    def requester_address(self) -> str:
        """Address of `private_key`."""
        return self._funded.address

    @property
    def poor_private_key(self) -> str:
        """Key of an account without money."""
        return self._poor.private_key

    @property
    def unknown_private_key(self) -> str:
        """Key without an account on chain."""
        return self._unknown.private_key

    def _account(self, label: str, balance: int) -> TestKey:
        key = TestKey.from_label(f"{self.seed} {label}")
        self.ledger.open_account(key, balance=balance)
        return key

    # -- time -----------------------------------------------------------------------------------

    def block_time_ns(self) -> int:
        """Time of the latest block, Unix nanoseconds."""
        return time.time_ns() + int(self.clock_offset * _NANO)

    @property
    def block_height(self) -> int:
        """Height of the latest block."""
        return self.epochs.height

    @property
    def phase(self) -> str:
        """Phase of the epoch; setting it moves the chain there (`Inference`, `PoCGenerate` …)."""
        return self.epochs.phase()

    @phase.setter
    def phase(self, name: str) -> None:
        self.epochs.move_to_phase(name)

    def confirmation_poc_event(self) -> dict[str, Any] | None:
        """The running confirmation event, as nodes report it."""
        if self.confirmation_poc is None:
            return None
        return self.epochs.confirmation_event(self.confirmation_poc)

    # -- epochs ---------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Id of the epoch in force."""
        return self.epochs.current_id

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
