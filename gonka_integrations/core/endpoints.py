"""Endpoint: one place that can answer a chat request, and what it takes to be answered there."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .keys import Signer
    from .secrets import Secret

EndpointKind = Literal["participant", "gateway", "provider"]


@dataclass(frozen=True, slots=True)
class Signed:
    """Credentials of the classic path: each request is signed for the endpoint's address.

    Attributes:
        signer: Private key or signing device of the paying account.
        requester: Account address that is told to the host (X-Requester-Address).
    """

    signer: Signer = field(repr=False)
    requester: str

    @property
    def group(self) -> str:
        """Endpoints of one group share the account, so they share its errors."""
        return f"account:{self.requester}"


@dataclass(frozen=True, slots=True)
class Bearer:
    """Credentials of gateways and providers: one key, sent only to the host it was given for."""

    key: Secret | None = field(repr=False)
    host: str

    @property
    def group(self) -> str:
        """A key is of one host, so its errors are that host's alone; another key has its own."""
        secret = self.key.reveal() if self.key is not None else ""
        return f"key:{self.host}:{hashlib.sha256(secret.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Something that answers ``POST {base_url}/chat/completions``.

    Attributes:
        kind: "participant", "gateway" or "provider"; decides the dialect and the error table.
        base_url: URL up to and including the API version, without a trailing slash.
        credentials: How requests are authorised.
        address: Transfer address of a participant, else None.
        weight: Relative share of traffic among the endpoints of a tier; > 0.
        models: Model names served here, None when not known (then every model is tried).
        model_map: Caller's model name -> name on the wire at this endpoint.
        default_model: Name on the wire for models that `model_map` lacks, None to pass them on.
        tier: 0 is used first; a higher tier serves what the lower ones cannot.
        max_concurrent: Requests in flight at most, None for no limit.
        trusted: Given by the user rather than discovered; may be on a private network.
    """

    kind: EndpointKind
    base_url: str
    credentials: Signed | Bearer
    address: str | None = None
    weight: float = 1.0
    models: frozenset[str] | None = None
    model_map: Mapping[str, str] = field(default_factory=dict, hash=False)
    default_model: str | None = None
    tier: int = 0
    max_concurrent: int | None = None
    trusted: bool = True

    @property
    def identity(self) -> str:
        """What stays the same across epochs: health and connections are kept under it.

        One gateway or provider may be there several times: in two tiers with two models, or with
        two keys.
        """
        place = f"{self.kind}:{self.address or ''}@{self.base_url}"
        if self.kind == "participant":
            return place
        return f"{place}#{self.tier}:{self.default_model or ''}#{self.credentials.group}"

    def serves(self, model: str) -> bool:
        """Whether a request for *model* may be sent here."""
        if self.models is None or not model:
            return True
        return model in self.models or model in self.model_map

    def wire_model(self, model: str) -> str:
        """Name under which this endpoint knows *model*."""
        return self.model_map.get(model) or self.default_model or model

    def __str__(self) -> str:
        name = f"{self.kind} {self.base_url}"
        return f"{name} ({self.address})" if self.address else name
