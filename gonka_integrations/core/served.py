"""Who served a call, and what was tried before: values for metadata, hooks and errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .endpoints import Endpoint

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What one call overrides of its session. None means the session's value; times in seconds.

    Attributes:
        timeout: For the whole call, all attempts and waits.
        first_token_timeout: Until an endpoint's first content.
        idle_timeout: Between two parts of an answer.
        max_retries: Attempts after the first, over all endpoints.
        hedge_after: Start a second attempt when the first has no content by then.
        extra_headers: Headers for gateways and providers.

    Raises:
        GonkaConfigError: A header cannot be sent; names it, not its value.
    """

    timeout: float | None = None
    first_token_timeout: float | None = None
    idle_timeout: float | None = None
    max_retries: int | None = None
    hedge_after: float | None = None
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, value in (self.extra_headers or {}).items():
            if not (_is(_NAME, name) and _is(_VALUE, value)):
                raise GonkaConfigError(
                    f"extra_headers: {name!r} cannot be sent: names are ASCII without blanks, "
                    "values are Latin-1 text of one line",
                    field="extra_headers",
                )


def _is(form: re.Pattern[str], text: object) -> bool:
    return isinstance(text, str) and form.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One request to one endpoint.

    Attributes:
        endpoint: Its base URL.
        kind: "participant", "gateway" or "provider".
        address: Transfer address of a participant.
        outcome: "served", "outrun" by a second attempt beside it, or the kind of failure.
        status: HTTP status, when there was one.
        error: What it said, or what went wrong.
        seconds: From sending to the outcome.
    """

    endpoint: str
    kind: str
    address: str | None
    outcome: str
    status: int | None = None
    error: str | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The record as plain JSON values, without what is None."""
        pairs = ((name, getattr(self, name)) for name in self.__slots__)
        return {name: value for name, value in pairs if value is not None}

    def __str__(self) -> str:
        who = f"{self.kind} {self.endpoint}" + (f" ({self.address})" if self.address else "")
        status = f" {self.status}" if self.status is not None else ""
        error = f": {self.error}" if self.error else ""
        return f"{who}: {self.outcome}{status}{error}"


@dataclass(slots=True)
class ServedBy:
    """Who served a call.

    Attributes:
        kind: "participant", "gateway" or "provider".
        endpoint: Base URL.
        address: Transfer address of a participant.
        epoch: Epoch of the participant set the endpoint was taken from.
        tier: 0 for the pool itself, more for fallbacks.
        model: Model name on the wire.
        attempts: Every request of the call, the serving one last.
        first_token_seconds: From the start of the call to its first content.
        total_seconds: From the start of the call to its end, once it has ended.
    """

    kind: str
    endpoint: str
    address: str | None
    epoch: int | None
    tier: int
    model: str
    attempts: list[AttemptRecord] = field(default_factory=list)
    first_token_seconds: float | None = None
    total_seconds: float | None = None

    @classmethod
    def by(cls, endpoint: Endpoint, model: str, epoch: int | None) -> ServedBy:
        """A served-by of *endpoint*, to be filled in."""
        return cls(endpoint.kind, endpoint.base_url, endpoint.address, epoch, endpoint.tier, model)

    @property
    def failovers(self) -> int:
        """Requests that failed before the one that served."""
        return sum(record.outcome not in ("served", "outrun") for record in self.attempts)

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values, without what is None."""
        pairs: dict[str, Any] = {
            "kind": self.kind,
            "endpoint": self.endpoint,
            "address": self.address,
            "epoch": self.epoch,
            "tier": self.tier,
            "model": self.model,
            "failovers": self.failovers,
            "attempts": [record.as_dict() for record in self.attempts],
            "first_token_seconds": self.first_token_seconds,
            "total_seconds": self.total_seconds,
        }
        return {name: value for name, value in pairs.items() if value is not None}
