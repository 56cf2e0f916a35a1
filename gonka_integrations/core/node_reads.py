"""Reads of nodes in both worlds: flows that decide, driven by threads or by event loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from .effects import adrive, drive
from .nodes import NodeIdentity, Versions, decode_identity, decode_versions
from .reads import (
    Account,
    ChainParams,
    ModelInfo,
    Pricing,
    decode_block_time,
    decode_models,
    decode_pricing,
)

if TYPE_CHECKING:
    from .effects import Flow
    from .network import Network
    from .reading import Reader

__all__ = ["NodeReads"]

T = TypeVar("T")


class NodeReads:
    """What any healthy node can be asked. Errors are `GonkaDiscoveryError`.

    Args:
        reader: Makes the flows.
    """

    def __init__(self, reader: Reader, network: Network) -> None:
        self._reader = reader
        self._network = network

    def run(self, flow: Flow[T]) -> T:
        """Drives one of the flows below, blocking."""
        return drive(flow, self._network.blocking())

    async def arun(self, flow: Flow[T]) -> T:
        """Drives one of the flows below on the running event loop."""
        return await adrive(flow, await self._network.ready_here())

    def chain_params(self) -> ChainParams:
        """Parameters of the chain; some hosts do not show them."""
        return self.run(self._reader.chain_params())

    async def async_chain_params(self) -> ChainParams:
        """`chain_params`, without blocking the event loop."""
        return await self.arun(self._reader.chain_params())

    def allow_list(self) -> frozenset[str] | None:
        """Addresses that may take signed requests; None allows all."""
        return self.chain_params().allowed_transfer_addresses

    async def async_allow_list(self) -> frozenset[str] | None:
        """`allow_list`, without blocking the event loop."""
        return (await self.async_chain_params()).allowed_transfer_addresses

    def models(self) -> tuple[ModelInfo, ...]:
        """Models that are served in the epoch."""
        return self.run(self._reader.read("/v1/models", decode_models))

    async def async_models(self) -> tuple[ModelInfo, ...]:
        """`models`, without blocking the event loop."""
        return await self.arun(self._reader.read("/v1/models", decode_models))

    def account(self, address: str) -> Account:
        """Balance and public key of an account.

        Raises:
            GonkaDiscoveryError: Also, with ``status_code`` 404, when the chain does not know it.
        """
        return self.run(self._reader.account(address))

    async def async_account(self, address: str) -> Account:
        """`account`, without blocking the event loop."""
        return await self.arun(self._reader.account(address))

    def pricing(self) -> Pricing:
        """Prices that the chain charges on the classic path."""
        return self.run(self._reader.read("/v1/governance/pricing", decode_pricing))

    async def async_pricing(self) -> Pricing:
        """`pricing`, without blocking the event loop."""
        return await self.arun(self._reader.read("/v1/governance/pricing", decode_pricing))

    def identity(self) -> NodeIdentity:
        """Who the first source that answers says it is."""
        return self.run(self._reader.read("/v1/identity", decode_identity))

    async def async_identity(self) -> NodeIdentity:
        """`identity`, without blocking the event loop."""
        return await self.arun(self._reader.read("/v1/identity", decode_identity))

    def versions(self) -> Versions:
        """Software of the first source that answers."""
        return self.run(self._reader.read("/v1/versions", decode_versions))

    async def async_versions(self) -> Versions:
        """`versions`, without blocking the event loop."""
        return await self.arun(self._reader.read("/v1/versions", decode_versions))

    def block_time(self) -> str:
        """Time of the latest block, RFC 3339, UTC."""
        return self.run(self._reader.read("/chain-rpc/status", decode_block_time))

    async def async_block_time(self) -> str:
        """`block_time`, without blocking the event loop."""
        return await self.arun(self._reader.read("/chain-rpc/status", decode_block_time))
