"""EndpointDiscovery: the network's state, read from its nodes."""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError
from . import fields as check
from .fetching import Fetcher
from .network import Network
from .node_reads import NodeReads
from .reading import Reader, Verifier
from .resolution import HostPolicy
from .sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .effects import Flow
    from .epochs import EpochInfo
    from .participants import ParticipantSet

__all__ = ["EndpointDiscovery", "Verifier"]

_logger = logging.getLogger("gonka_integrations.discovery")


class EndpointDiscovery(NodeReads):
    """Reads participants, epochs, models, prices and accounts from nodes of the network.

    Sources are asked in turn, those first that have been healthy. Redirects are not followed,
    answers are bounded, and no more is read than hosts allow. Blocking methods may be called
    from any thread, the ``async_`` ones from any event loop.

    Args:
        source_url: A node without ``/v1``, or several.
        verify_proofs: Whether participant lists must be proven.
        timeout: Seconds for one read.
        retry_count: Rounds over all sources before a read fails.
        retry_delay: Seconds between the first two rounds; doubles from then on.
        trust: Where the proof's trust comes from; see `proof`.
        allow_private_hosts: Whether participants may be on private networks. Those of a source that
            is on one itself always may.
        max_response_bytes: Longest answer that is taken.
        verifier: Proves lists in place of `proof`.
        clock: Monotonic time in seconds.
        resolve: Addresses of a name; the system's resolver when None.

    Raises:
        GonkaConfigError: An argument is wrong.
    """

    def __init__(
        self,
        source_url: str | Sequence[str],
        verify_proofs: bool = False,
        timeout: float = 30.0,
        retry_count: int = 3,
        retry_delay: float = 1.0,
        *,
        trust: Any = None,
        allow_private_hosts: bool = False,
        max_response_bytes: int = 8 * 1024 * 1024,
        verifier: Verifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        resolve: Callable[[str], tuple[str, ...]] | None = None,
    ) -> None:
        urls = check.source_list(source_url, "source_url")
        if not urls:
            raise GonkaConfigError("source_url: give the URL of a node", field="source_url")
        self.source_urls = urls
        self.verify_proofs = check.boolean(verify_proofs, "verify_proofs")
        self.timeout = check.seconds(timeout, "timeout")
        sources = Sources(
            urls,
            attempts=check.count(0)(retry_count, "retry_count"),
            delay=retry_delay and check.seconds(retry_delay, "retry_delay"),
            clock=clock,
        )
        limit = check.count(1)(max_response_bytes, "max_response_bytes")
        reader = Reader(
            sources,
            Fetcher(self.timeout, limit, clock),
            HostPolicy(resolve, clock),
            allow_private=check.boolean(allow_private_hosts, "allow_private_hosts"),
            verifier=(verifier or _default_verifier(trust)) if verify_proofs else None,
        )
        super().__init__(reader, Network())
        if not verify_proofs:
            _note_unproven()

    @property
    def source_url(self) -> str:
        """The first source."""
        return self.source_urls[0]

    @property
    def source_is_private(self) -> bool:
        """Whether every source is on a private network by its URL."""
        return all(source.is_private for source in self._reader.sources)

    # Participants.

    def discover(self) -> ParticipantSet:
        """The participants in force that may be sent signed requests.

        Those that the chain excluded or does not allow, and those with URLs that must not be
        connected to, are in `ParticipantSet.skipped` with the reason.

        Raises:
            GonkaDiscoveryError: No source gave an answer that makes sense.
            GonkaNoParticipantsError: Nobody can be used.
            GonkaProofVerificationError: The list is not proven, and has to be.
        """
        return self.run(self.participants_flow())

    async def async_discover(self) -> ParticipantSet:
        """`discover`, without blocking the event loop."""
        return await self.arun(self.participants_flow())

    def discover_for_epoch(self, epoch: int | str) -> ParticipantSet:
        """The participants of an epoch: "current", or a number from 1 on; errors as `discover`.

        Raises:
            GonkaConfigError: *epoch* is something else.
        """
        return self.run(self.participants_flow(epoch))

    async def async_discover_for_epoch(self, epoch: int | str) -> ParticipantSet:
        """`discover_for_epoch`, without blocking the event loop."""
        return await self.arun(self.participants_flow(epoch))

    # The epoch.

    def get_current_epoch(self) -> int:
        """The epoch whose participants are in force."""
        return self.epoch_info().participants_epoch

    async def async_get_current_epoch(self) -> int:
        """`get_current_epoch`, without blocking the event loop."""
        return (await self.async_epoch_info()).participants_epoch

    def epoch_info(self) -> EpochInfo:
        """Where the chain is in its epoch."""
        return self.run(self.epoch_flow())

    async def async_epoch_info(self) -> EpochInfo:
        """`epoch_info`, without blocking the event loop."""
        return await self.arun(self.epoch_flow())

    # What the refresher drives itself.

    def epoch_flow(self) -> Flow[EpochInfo]:
        """The flow of `epoch_info`."""
        return self._reader.epoch()

    def participants_flow(self, epoch: int | str = "current") -> Flow[ParticipantSet]:
        """The flow of `discover_for_epoch`."""
        return self._reader.participants(epoch)

    def distrust(self, source_url: str) -> None:
        """Asks others before *source_url* for a while: it said something that cannot be."""
        self._reader.sources.distrust(source_url)

    def close(self) -> None:
        """Closes connections that are left, which are few: each read has its own."""
        self._network.close()


def _default_verifier(trust: Any) -> Verifier:
    from ..proof.fetching import ProofVerifier  # noqa: PLC0415 - rarely needed

    return ProofVerifier(trust)


@functools.cache
def _note_unproven() -> None:
    """Said once in a process: whoever leaves proofs off should have a trace of it."""
    _logger.info("Participant lists are used without a proof (verify_proofs is off)")
