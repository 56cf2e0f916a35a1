"""Multiplexer: an OpenAI-shaped front of a pool that is filled by hand or by a registrar."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..config import GonkaConfig
from ..errors import GonkaRegistrationError
from .endpoints import Bearer, Endpoint
from .engine import Engine
from .http_stack import httpx
from .secrets import Secret
from .transport import BASE_URL, AsyncMultiplexTransport, MultiplexTransport
from .urls import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import openai

__all__ = ["Multiplexer"]

_FALLBACK_TIER = 1
_logger = logging.getLogger("gonka_integrations.multiplexer")


class _Completions:
    """``completions`` of one of the two worlds."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create(self, **request: Any) -> Any:
        """Create a completion as the openai SDK does; its stream when ``stream=True``."""
        return self._client().chat.completions.create(**request)


class _Chat:
    """``chat`` of one of the two worlds: callable, and with the SDK's own path below it."""

    def __init__(self, client: Any) -> None:
        self.completions = _Completions(client)

    def __call__(self, **request: Any) -> Any:
        return self.completions.create(**request)


class Multiplexer(Engine):
    """Several clients and participants behind one.

        async with Multiplexer() as mux:
            mux.add_model(client, weight=10, model_name="llama")
            answer = await mux.chat(model="llama", messages=[...])

    Several endpoints may serve one model; the caller's ``model`` routes. Fallback models are used
    when none of the others can serve.

    Args:
        config: Time-outs and limits; sources in it are not used.

    Attributes:
        chat: ``await mux.chat(...)`` or ``await mux.chat.completions.create(...)``.
        chat_sync: The same without await.
    """

    def __init__(self, config: GonkaConfig | None = None) -> None:
        super().__init__(config or GonkaConfig())
        self._endpoints: dict[str, Endpoint] = {}
        self._changing = threading.Lock()
        self._sync: openai.OpenAI | None = None
        self._async: openai.AsyncOpenAI | None = None
        self.chat = _Chat(self._async_client)
        self.chat_sync = _Chat(self._sync_client)

    def add_model(
        self,
        client: openai.OpenAI | openai.AsyncOpenAI | Endpoint,
        weight: float,
        model_name: str,
        base_url: str | None = None,
        max_concurrent: int | None = None,
        *,
        wire_name: str | None = None,
    ) -> None:
        """Let *client* serve *model_name*.

        Weight and limit are those of the endpoint: given again for another of its models, they
        hold for all of them, and a warning says so.

        Args:
            client: Its base URL and key are used, or the participant it was made for; requests go
                through the multiplexer's own connections.
            weight: Relative share of traffic; > 0.
            model_name: What callers ask for.
            base_url: In place of the client's.
            max_concurrent: Requests in flight at most.
            wire_name: What the endpoint calls the model; *model_name* when None.

        Raises:
            GonkaRegistrationError: The weight is not positive, or the client is none.
        """
        self._add(client, weight, model_name, base_url, max_concurrent, wire_name, tier=0)

    def add_fallback_model(
        self,
        client: openai.OpenAI | openai.AsyncOpenAI | Endpoint,
        weight: float,
        model_name: str,
        base_url: str | None = None,
        max_concurrent: int | None = None,
        *,
        wire_name: str | None = None,
    ) -> None:
        """Let *client* serve *model_name* when no other can. Arguments as of `add_model`."""
        tier = _FALLBACK_TIER
        self._add(client, weight, model_name, base_url, max_concurrent, wire_name, tier=tier)

    def remove_model(self, model_name: str, base_url: str | None = None) -> int:
        """Take *model_name* away, from one base URL or from all; what is under way finishes.

        Returns:
            How many endpoints served it.
        """
        with self._changing:
            changed = 0
            for identity, endpoint in list(self._endpoints.items()):
                names = endpoint.models or frozenset()
                here = base_url is None or endpoint.base_url == base_url.rstrip("/")
                if model_name not in names or not here:
                    continue
                changed += 1
                left = names - {model_name}
                if left:
                    kept = {k: v for k, v in endpoint.model_map.items() if k != model_name}
                    self._endpoints[identity] = replace(endpoint, models=left, model_map=kept)
                else:
                    del self._endpoints[identity]
            self.pool.replace(self._endpoints.values())
            return changed

    def exchange(self, leaving: Iterable[Endpoint], coming: Iterable[Endpoint]) -> None:
        """Take endpoints out and others in at once.

        Endpoints that are among both keep their connections and history; what is under way at the
        others finishes.
        """
        with self._changing:
            for endpoint in leaving:
                self._endpoints.pop(endpoint.identity, None)
            self._endpoints.update((endpoint.identity, endpoint) for endpoint in coming)
            self.pool.replace(self._endpoints.values())

    def get_stats(self) -> dict[str, Any]:
        """What was done so far; as `stats`."""
        return self.stats()

    def _add(  # noqa: PLR0917 - those of the public methods, in their order
        self,
        client: Any,
        weight: float,
        model_name: str,
        base_url: str | None,
        max_concurrent: int | None,
        wire_name: str | None,
        *,
        tier: int,
    ) -> None:
        if not weight > 0:
            raise GonkaRegistrationError(f"weight of {model_name!r} must be positive")
        found = client if isinstance(client, Endpoint) else _endpoint_of(client, base_url)
        found = replace(found, tier=tier)
        wire_names = {model_name: wire_name} if wire_name else {}
        with self._changing:
            before = self._endpoints.get(found.identity)
            if before and (before.weight, before.max_concurrent) != (weight, max_concurrent):
                _logger.warning(
                    "%s has weight %g and max_concurrent %s now, for all of its models",
                    found, weight, max_concurrent,
                )  # fmt: skip
            models = frozenset({model_name}) | ((before.models if before else None) or frozenset())
            known = dict(before.model_map) if before else {}
            self._endpoints[found.identity] = replace(
                found,
                weight=float(weight),
                models=models,
                model_map=known | wire_names,
                max_concurrent=max_concurrent,
            )
            self.pool.replace(self._endpoints.values())

    def _sync_client(self) -> openai.OpenAI:
        if self._sync is None:
            import openai  # noqa: PLC0415 - half a second

            http = httpx.Client(transport=MultiplexTransport(self))
            self._sync = openai.OpenAI(
                base_url=BASE_URL, api_key="multiplexed", max_retries=0, http_client=http
            )
        return self._sync

    def _async_client(self) -> openai.AsyncOpenAI:
        if self._async is None:
            import openai  # noqa: PLC0415 - half a second

            http = httpx.AsyncClient(transport=AsyncMultiplexTransport(self))
            self._async = openai.AsyncOpenAI(
                base_url=BASE_URL, api_key="multiplexed", max_retries=0, http_client=http
            )
        return self._async


def _endpoint_of(client: Any, base_url: str | None) -> Endpoint:
    """The endpoint behind an openai client: the participant it was made for, or its URL and key."""
    transport = getattr(getattr(client, "_client", None), "_transport", None)
    engine = getattr(transport, "engine", None)
    if isinstance(engine, Engine) and len(engine.endpoints()) == 1:
        return engine.endpoints()[0]
    url = base_url or str(getattr(client, "base_url", "") or "")
    if not url:
        raise GonkaRegistrationError(
            f"client: expected an openai client, not {type(client).__name__}"
        )
    key = getattr(client, "api_key", None)
    return Endpoint("provider", url.rstrip("/"), Bearer(Secret(key) if key else None, host_of(url)))
