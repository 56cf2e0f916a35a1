"""What the nodes of the network agree on: accounts, epochs, block time, parameters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from .epoch_params import EpochParams
from .epochs import EpochBook
from .ledger import Ledger, TestKey

if TYPE_CHECKING:
    from .payloads import Dialect
    from .signatures import Scheme

_NANO = 1_000_000_000
_FUNDED = 10**18


class ChainView(Protocol):
    """The consensus side of the network, which proves participant sets."""

    def proof_fields(self, epoch: int) -> dict[str, Any]:
        """Fields of the participants payload that prove *epoch*."""
        ...

    def rpc(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """Answer of `/chain-rpc/{path}`, None when there is none."""
        ...


class NetworkState:
    """What all nodes of the network agree on.

    Args:
        seed: Seed of the keys.
        epoch_params: Lengths of the epoch's stages, in blocks.

    Attributes:
        ledger: Accounts on chain.
        epochs: History of the epochs.
        chain: Proves participant sets; None serves them without a proof.
        chain_id: Name of the chain.
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

    def __init__(self, *, seed: int, epoch_params: EpochParams | None) -> None:
        self.seed = seed
        self.epochs = EpochBook(epoch_params or EpochParams())
        self.ledger = Ledger()
        self.chain: ChainView | None = None
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
        self._funded = self.open_account("funded", balance=_FUNDED)
        self._poor = self.open_account("poor", balance=0)
        self._unknown = TestKey.from_label(f"{seed} unknown")

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
    def poor_address(self) -> str:
        """Address of `poor_private_key`."""
        return self._poor.address

    @property
    def unknown_private_key(self) -> str:
        """Key without an account on chain."""
        return self._unknown.private_key

    def open_account(self, label: str, *, balance: int) -> TestKey:
        """Open an account of *balance* ngonka; its key is made from *label*."""
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
    def epoch(self) -> int:
        """Id of the epoch in force."""
        return self.epochs.current_id

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
