"""Where a configuration could send requests, and whether anybody is there."""

from __future__ import annotations

import functools
import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.discovery import EndpointDiscovery
from ..core.error_bodies import error_text
from ..core.http_stack import httpx
from ..errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..config import GonkaConfig
    from ..core.participants import ParticipantSet
    from ..core.secrets import Secret

__all__ = ["Place", "Reply", "at_once", "discovery_of", "known_places", "probe"]

_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """One endpoint of a configuration.

    Attributes:
        kind: "participant", "gateway" or "provider".
        base_url: URL with its version.
        address: Of a participant.
        weight: Of a participant.
        models: Those it is known to serve.
        key: Bearer key, for this host only.
    """

    kind: str
    base_url: str
    address: str | None = None
    weight: int | None = None
    models: tuple[str, ...] = ()
    key: Secret | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Address of a participant, else the URL."""
        return self.address or self.base_url

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values, without the key."""
        values = asdict(self)
        del values["key"]
        return values


@dataclass(frozen=True, slots=True)
class Reply:
    """What a place said to a harmless question.

    Attributes:
        up: Whether it gave a good answer.
        seconds: Until it did.
        status: HTTP status, None without an answer.
        detail: What is wrong, or empty.
        body: Decoded JSON of the answer.
    """

    up: bool
    seconds: float
    status: int | None = None
    detail: str = ""
    body: Any = None


def discovery_of(config: GonkaConfig, timeout: float) -> EndpointDiscovery:
    """Reads of the network, without repeating.

    Raises:
        GonkaConfigError: No source is configured.
    """
    if not config.source_url:
        raise GonkaConfigError(
            "source_url: name a node to ask, by --source-url or GONKA_SOURCE_URL",
            field="source_url",
        )
    return EndpointDiscovery(
        config.source_url,
        verify_proofs=config.verify_proofs,
        trust=config.trust,
        timeout=timeout,
        retry_count=0,
        allow_private_hosts=config.allow_private_hosts,
    )


def known_places(config: GonkaConfig, found: ParticipantSet | None = None) -> list[Place]:
    """Every endpoint: discovered participants, and what the configuration names."""
    discovered = [
        Place("participant", one.base_url, one.address, one.weight, one.models)
        for one in found or ()
    ]
    given = [entry.split(";", 1) for entry in config.endpoints]
    return [
        *discovered,
        *(Place("participant", f"{url.removesuffix('/v1')}/v1", who) for url, who in given),
        *(Place("gateway", one.base_url, key=one.api_key) for one in config.gateways),
        *(Place("provider", one.base_url, key=one.api_key) for one in config.fallbacks),
    ]


def probe(
    place: Place, timeout: float, path: str | None = None, body: dict[str, Any] | None = None
) -> Reply:
    """Ask *place* for its models (a node for its status), or post *body* to *path*."""
    path = path or ("/status" if place.kind == "participant" else "/models")
    headers = {"User-Agent": f"gonka-integrations/{__version__}", "Accept": "application/json"}
    if place.key is not None:
        headers["Authorization"] = f"Bearer {place.key.reveal()}"
    with httpx.Client(timeout=timeout, follow_redirects=False, verify=_tls()) as client:
        return _ask(client, place.base_url + path, headers, body)


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all: making one takes 50 ms."""
    return ssl.create_default_context()


def _ask(client: Any, url: str, headers: dict[str, str], given: dict[str, Any] | None) -> Reply:
    begun = time.monotonic()
    method = "GET" if given is None else "POST"
    try:
        with client.stream(method, url, headers=headers, json=given) as response:
            body = _bounded(response)
    except httpx.HTTPError as trouble:
        reason = str(trouble) or type(trouble).__name__
        return Reply(up=False, seconds=time.monotonic() - begun, detail=reason)
    return _judge(response.status_code, body, time.monotonic() - begun)


def at_once(
    places: Iterable[Place], ask: Callable[[Place], Any], workers: int = 16
) -> list[tuple[Place, Any]]:
    """*ask* of every place, several at a time, in the order of the places."""
    listed = list(places)
    with ThreadPoolExecutor(max_workers=workers) as threads:
        return list(zip(listed, threads.map(ask, listed), strict=True))


def _bounded(response: Any) -> bytes:
    parts, length = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        length += len(part)
        if length > _LARGEST:
            break
    return b"".join(parts)


def _judge(status: int, body: bytes, seconds: float) -> Reply:
    if status != httpx.codes.OK:
        return Reply(up=False, seconds=seconds, status=status, detail=error_text(body)[:200])
    try:
        answer = json.loads(body)
    except ValueError:
        return Reply(up=False, seconds=seconds, status=status, detail="the answer is no JSON")
    return Reply(up=True, seconds=seconds, status=status, body=answer)
