"""Answers by asking an OpenAI-compatible server elsewhere, as an executor asks its model server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx

from .engines import Answer, EngineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .rendering import Envelope

_READ_SECONDS = 1200.0
_CONNECT_SECONDS = 10.0
# Parameters that only some servers know; a model server that refuses them would refuse the call.
_NODE_ONLY = ("return_token_ids", "logprobs_mode", "skip_special_tokens")


class UpstreamEngine:
    """Forwards requests to a server and gives its answers the network's ids and model names.

    Args:
        base_url: URL that ends in /v1.
        model: Model name there; None asks for the first one it lists.
        api_key: Bearer key, when it wants one.
    """

    waits = True

    def __init__(
        self, base_url: str, *, model: str | None = None, api_key: str | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits)

    async def answer(self, request: dict[str, Any], envelope: Envelope) -> Answer:
        """Forward *request*.

        Raises:
            EngineError: The server refused it or could not be reached.
        """
        body = {key: value for key, value in request.items() if key not in _NODE_ONLY}
        body["model"] = await self._upstream_model()
        if request.get("stream"):
            # A node asks its executor for usage whatever the client asked.
            body["stream_options"] = {"include_usage": True}
        response = await self._send(body)
        if response.status_code != httpx.codes.OK:
            await response.aread()
            await response.aclose()
            raise EngineError(response.status_code, response.text)
        if request.get("stream"):
            return Answer(chunks=_chunks(response, envelope))
        await response.aread()
        await response.aclose()
        return _plain(response, envelope)

    async def aclose(self) -> None:
        """Close the connections to the server."""
        await self._client.aclose()

    async def _send(self, body: dict[str, Any]) -> httpx.Response:
        url = f"{self._base_url}/chat/completions"
        try:
            return await self._client.send(
                self._client.build_request("POST", url, json=body), stream=True
            )
        except httpx.HTTPError as error:
            raise EngineError(502, f"upstream: {type(error).__name__}") from None

    async def _upstream_model(self) -> str:
        if self._model is None:
            response = await self._client.get(f"{self._base_url}/models")
            self._model = str(response.json()["data"][0]["id"])
        return self._model


def _plain(response: httpx.Response, envelope: Envelope) -> Answer:
    body = _renamed(response.json(), envelope)
    return Answer(body=body, tokens=(body.get("usage") or {}).get("total_tokens", 0))


async def _chunks(response: httpx.Response, envelope: Envelope) -> AsyncIterator[dict[str, Any]]:
    try:
        async for line in response.aiter_lines():
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or data == "[DONE]":
                continue
            chunk = _renamed(json.loads(data), envelope)
            if chunk.get("choices") or envelope.include_usage:
                yield chunk
    except httpx.HTTPError as error:
        raise EngineError(502, f"upstream: {type(error).__name__}") from None
    finally:
        await response.aclose()


def _renamed(answer: dict[str, Any], envelope: Envelope) -> dict[str, Any]:
    renamed = {**answer, "id": envelope.id, "model": envelope.model}
    for key in ("timings", "system_fingerprint", "__verbose"):
        renamed.pop(key, None)
    return renamed
