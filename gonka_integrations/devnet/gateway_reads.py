"""The routes of a gateway besides inference: its models and its state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import Route

from . import texts
from .exchange import dump
from .texts import JSON, ErrorAnswer, gateway_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

    from .gateway import Gateway

_CONTEXT = 4096
_PARAMETERS = ["messages", "max_tokens", "stream", "temperature", "top_p", "stop"]
_ADMIN_PATHS = ("/v1/admin/{rest:path}", "/v1/debug/{rest:path}", "/v1/finalize", "/v1/state")


class GatewayReads:
    """Answers what one gateway is asked besides inference.

    Args:
        gateway: The gateway.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def routes(self) -> Iterable[Route]:
        """Every route besides inference."""
        yield Route("/v1/models", self._models, methods=["GET", "HEAD"])
        yield Route("/v1/status", self._status, methods=["GET"])
        yield Route("/v1/chat/completions", self._wrong_method)
        for path in _ADMIN_PATHS:
            yield Route(path, self._admin, methods=["GET", "POST"])

    async def _models(self, _: Request) -> Response:
        data = [_model(name) for name in self._gateway.offered]
        return _json({"object": "list", "data": data})

    async def _status(self, _: Request) -> Response:
        return _json(_status_of(self._gateway))

    async def _wrong_method(self, _: Request) -> Response:
        return _error(gateway_error(405, "method not allowed"))

    async def _admin(self, request: Request) -> Response:
        wanted = self._gateway.admin_api_key
        if wanted is None:
            return Response("404 page not found\n", status_code=404)
        if request.headers.get("authorization") != f"Bearer {wanted}":
            return _error(texts.BY_ID["g401-adminroute"])
        return _json({})


def _json(value: Any) -> Response:
    return Response(dump(value), media_type=JSON)


def _error(answer: ErrorAnswer) -> Response:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    return Response(answer.body, status_code=answer.status, headers=headers)


def _model(name: str) -> dict[str, Any]:
    """One entry; what looks like the context length is the output cap."""
    return {
        "id": name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "gonka",
        "name": name,
        "description": "Gonka devshard gateway model.",
        "context_length": _CONTEXT,
        "max_completion_tokens": _CONTEXT,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
        },
        "pricing": {"prompt": "0", "completion": "0", "request": "0"},
        "top_provider": {
            "context_length": _CONTEXT,
            "max_completion_tokens": _CONTEXT,
            "is_moderated": False,
        },
        "supported_parameters": _PARAMETERS,
        "input_modalities": ["text"],
        "output_modalities": ["text"],
    }


def _status_of(gateway: Gateway) -> dict[str, Any]:
    blocked = gateway.block_reason is not None
    return {
        "mode": "gateway",
        "devshards": [
            _devshard(gateway, name, active=active, blocked=blocked)
            for name, active in gateway.devshards.items()
        ],
        "limiter": _limiter(gateway),
        "capacity": {
            "host_count": len(gateway.net.participants),
            "available_host_count": len(gateway.net.participants),
            "models": {name: _capacity(gateway, name) for name in gateway.offered},
        },
        "runtimes": len(gateway.devshards),
    }


def _devshard(gateway: Gateway, name: str, *, active: bool, blocked: bool) -> dict[str, Any]:
    entry = {
        "id": name,
        "model": gateway.offered[0],
        "active": active,
        "phase": "active",
        "nonce": gateway.request_count,
        "balance": 4_999_000_000,
        "protocol_version": "v4",
        "active_requests": gateway.in_flight,
        "reserved_tokens": 0,
        "chain_phase": gateway.net.phase,
        "requests_blocked": blocked,
    }
    if blocked:
        confirming = gateway.net.confirmation_poc is not None
        entry["block_reason"] = "confirmation_poc" if confirming else "poc"
    return entry


def _limiter(gateway: Gateway) -> dict[str, Any]:
    requests = gateway.max_concurrent or 0
    tokens = gateway.max_input_tokens or 0
    return {
        "in_flight_requests": gateway.in_flight,
        "in_flight_input_tokens": 0,
        "max_concurrent_requests": requests,
        "max_input_tokens_in_flight": tokens,
        "effective_max_concurrent_requests": requests,
        "effective_max_input_tokens_in_flight": tokens,
        "scale_factor": 1.0,
        "models": {},
    }


def _capacity(gateway: Gateway, model: str) -> dict[str, Any]:
    active = sum(gateway.devshards.values())
    mode = gateway.access_modes.get(model, "api_key")
    return {
        "current_weight": 100.0,
        "full_weight": 100.0,
        "active_devshards": active,
        "routable_devshards": active,
        "routable": active > 0,
        "access_enabled": mode != "admin_only",
        "access_mode": mode,
    }
