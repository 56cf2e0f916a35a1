"""Building requests: bytes once per dialect, authorisation anew for each attempt."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._version import __version__
from .dialect import adapt
from .effects import Compute
from .endpoints import Signed
from .keys import PrivateKey
from .signing import body_hash, sign_hash
from .wire import WireRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .effects import Flow
    from .endpoints import Endpoint
    from .signing import TimestampSource
    from .wire import Wait

_USER_AGENT = f"gonka-integrations/{__version__}"


@dataclass(slots=True, eq=False)
class RequestBuilder:
    """Makes the requests of one call.

    Args:
        payload: OpenAI chat-completions request; not changed.
        timestamps: Where the times in signatures come from.
        extra_headers: Headers for gateways and providers.
        path: Below the endpoints' base URLs.

    Attributes:
        variation: Distinguishes a repeated request from one that failed, "" for the first.
    """

    payload: Mapping[str, Any]
    timestamps: TimestampSource
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    path: str = "/chat/completions"
    variation: str = field(default="", init=False)
    _bodies: dict[tuple[str, ...], tuple[bytes, str]] = field(default_factory=dict, init=False)

    @property
    def model(self) -> str:
        """Model name as the caller spells it, "" for none."""
        return str(self.payload.get("model") or "")

    def vary(self) -> None:
        """Let the next request to a gateway differ, so that no cache answers it."""
        # Random: processes in containers share their ids, and a cache lives for an hour.
        self.variation = f"retry-{secrets.token_hex(6)}"

    def chat(
        self, endpoint: Endpoint, wait: Wait, *, stream: bool, bare: bool = False
    ) -> Flow[WireRequest]:
        """A chat request for *endpoint*; a *bare* one has no stream_options."""
        body, digest = self._body(endpoint, stream=stream, bare=bare)
        headers = [
            ("Content-Type", "application/json"),
            ("Accept", "text/event-stream" if stream else "application/json"),
            ("User-Agent", _USER_AGENT),
        ]
        headers += yield from self.authorize(endpoint, digest)
        url = endpoint.base_url + self.path
        return WireRequest("POST", url, headers, body, wait, endpoint.trusted)

    def other(self, endpoint: Endpoint, wait: Wait, method: str, body: bytes) -> Flow[WireRequest]:
        """A request to another route, with its bytes as they are unless a name must change."""
        model = self.model
        if model and endpoint.wire_model(model) != model:
            body = _encode({**self.payload, "model": endpoint.wire_model(model)})
        headers = [("Accept", "application/json"), ("User-Agent", _USER_AGENT)]
        if method != "GET":
            headers.append(("Content-Type", "application/json"))
        # Nodes check no signature on reads (decentralized-api, public server).
        if method != "GET" or endpoint.kind != "participant":
            headers += yield from self.authorize(endpoint, body_hash(body))
        url = endpoint.base_url + self.path
        return WireRequest(method, url, headers, body, wait, endpoint.trusted)

    def authorize(self, endpoint: Endpoint, digest: str) -> Flow[list[tuple[str, str]]]:
        """Headers that say who pays, made for this one attempt.

        Args:
            endpoint: Where the request goes.
            digest: SHA-256 of its body in hexadecimal.
        """
        credentials = endpoint.credentials
        if not isinstance(credentials, Signed):
            extra = list((self.extra_headers or {}).items())
            if credentials.key is None:
                return extra
            return [*extra, ("Authorization", f"Bearer {credentials.key.reveal()}")]
        address = endpoint.address or ""
        moment = self.timestamps.next_ns(address)
        signer = credentials.signer
        if isinstance(signer, PrivateKey):
            signature = sign_hash(signer, digest, moment, address)
        else:  # a device or a service may take its time
            signature = yield Compute(lambda: sign_hash(signer, digest, moment, address))
        return [
            ("Authorization", signature),
            ("X-Requester-Address", credentials.requester),
            ("X-Timestamp", str(moment)),
        ]

    def _body(self, endpoint: Endpoint, *, stream: bool, bare: bool) -> tuple[bytes, str]:
        variation = self.variation if endpoint.kind == "gateway" else ""
        key = (endpoint.kind, endpoint.wire_model(self.model), f"{stream}{bare}", variation)
        found = self._bodies.get(key)
        if found is None:
            payload = adapt(self.payload, endpoint, stream=stream, variation=variation)
            if bare:
                payload.pop("stream_options", None)
            body = _encode(payload)
            digest = body_hash(body) if endpoint.kind == "participant" else ""
            found = self._bodies[key] = (body, digest)
        return found


def _encode(payload: dict[str, Any]) -> bytes:
    try:
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only escapes can carry
        return json.dumps(payload, separators=(",", ":")).encode()
