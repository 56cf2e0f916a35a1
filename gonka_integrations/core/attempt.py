"""Attempt: one request to one endpoint, from lease to outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .leases import Outcome
from .served import AttemptRecord
from .verdicts import Health

if TYPE_CHECKING:
    from .chunks import ChunkReader
    from .endpoints import Endpoint
    from .leases import Lease
    from .pool import EndpointPool
    from .wire import Exchange, Wait


@dataclass(slots=True, eq=False)
class Attempt:
    """One request to one endpoint; its lease is settled exactly once.

    Attributes:
        first_token: Seconds to its first content, None before.
        tail_until: Moment until which the end of a finished answer is waited for.
        outrun: Whether a second attempt was quicker.
    """

    lease: Lease
    pool: EndpointPool
    wait: Wait
    exchange: Exchange | None = None
    reader: ChunkReader | None = None
    first_token: float | None = None
    tail_until: float | None = None
    outrun: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """Where the request goes."""
        return self.lease.endpoint

    def seconds(self) -> float:
        """How long it has been under way."""
        return self.pool.clock() - self.lease.started

    def content(self) -> None:
        """The first content is here."""
        self.first_token = self.seconds()
        self.pool.heard(self.lease)

    def record(
        self, outcome: str, status: int | None = None, text: str | None = None
    ) -> AttemptRecord:
        """What is to be remembered of it."""
        to = self.endpoint
        return AttemptRecord(
            to.base_url, to.kind, to.address, outcome, status, text or None, self.seconds()
        )

    def settle_served(self) -> None:
        """It answered."""
        seconds = self.seconds()
        first = seconds if self.first_token is None else self.first_token
        self.pool.settle(self.lease, Outcome(first_token=first, total=seconds))

    def settle_outrun(self) -> None:
        """A second attempt was quicker: a weak sign against this endpoint."""
        seconds = self.seconds()
        outcome = Outcome(Health.SHARE, "outrun", first_token=seconds, ambiguous=True)
        self.pool.settle(self.lease, outcome)

    def settle_cancelled(self) -> None:
        """The caller went away."""
        self.pool.settle(self.lease, Outcome(failure="cancelled"))
