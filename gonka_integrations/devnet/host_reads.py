"""The GET routes of a node: participants, epochs, models, prices, the node itself, the chain."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import payloads, texts
from .exchange import dump
from .ledger import ORDER
from .texts import JSON, ErrorAnswer

if TYPE_CHECKING:
    from .hosts import Host
    from .network_state import ChainView

_Handler = Callable[[Request], Awaitable[Response]]
_PARAMS = "/chain-api/productscience/inference/inference/params"


class HostReads:
    """Answers what one host is asked without a signature.

    Args:
        host: The host.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    @property
    def _chain(self) -> ChainView | None:
        return self._host.chain or self._host.net.chain

    def routes(self) -> Iterable[Route]:
        """Every GET route of a node."""
        table: dict[str, _Handler] = {
            "/v1/epochs/latest": self._latest,
            "/v1/epochs/{epoch}": self._not_latest,
            "/v1/epochs/{epoch}/participants": self._participants,
            "/v1/models": self._models,
            "/v1/governance/models": self._governance_models,
            "/v1/pricing": self._pricing,
            "/v1/governance/pricing": self._pricing,
            "/v1/status": self._status,
            "/v1/identity": self._identity,
            "/v1/versions": self._versions,
            "/v1/participants": self._registry,
            "/v1/participants/{address}": self._account,
            "/v2/accounts/{address}": self._account,
            _PARAMS: self._params,
            "/chain-rpc/{path:path}": self._rpc,
            "/chain-api/{path:path}": self._chain_api,
        }
        for path, handler in table.items():
            yield Route(path, handler, methods=["GET"])
        yield Route("/v1/chat/completions", self._gone, methods=["GET"])
        yield Route("/v1/completions", self._gone, methods=["POST"])
        yield Route("/v1/devshard/{path:path}", self._devshard, methods=["GET", "POST"])

    async def _latest(self, _: Request) -> Response:
        return _json(payloads.epochs_latest(self._host.net))

    async def _not_latest(self, _: Request) -> Response:
        return _error(texts.BY_ID["d400-latest"])

    async def _participants(self, request: Request) -> Response:
        net = self._host.net
        wanted = request.path_params["epoch"]
        if wanted == "current":
            epoch_id = net.epochs.current_id
        elif wanted.isdecimal():
            epoch_id = int(wanted)
        else:
            return _error(texts.BY_ID["d400-epochbad"])
        if epoch_id < 1:
            return _error(texts.BY_ID["d400-epoch0"])
        record = net.epochs.records.get(epoch_id)
        if record is None:
            return _error(texts.BY_ID["d404-none"])
        return _json(payloads.participants(net, record, self._chain))

    async def _models(self, _: Request) -> Response:
        return _json(payloads.models(self._host.net))

    async def _governance_models(self, _: Request) -> Response:
        return _json({"models": payloads.governance_models(self._host.net)})

    async def _pricing(self, _: Request) -> Response:
        return _json(payloads.pricing(self._host.net))

    async def _status(self, _: Request) -> Response:
        return _json({"status": "ok"})

    async def _identity(self, _: Request) -> Response:
        data = {
            "address": self._host.address,
            "block": self._host.net.block_height,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return _json({"data": data, "signature": _sign(self._host.key.private_key, dump(data))})

    async def _versions(self, _: Request) -> Response:
        return _json(payloads.versions(self._host.net, f"node{self._host.index}"))

    async def _registry(self, _: Request) -> Response:
        return _json(payloads.registry(self._host.net))

    async def _account(self, request: Request) -> Response:
        address = request.path_params["address"]
        if not address.startswith("gonka1"):
            return _error(texts.node_error(400, "invalid address"))
        account = self._host.net.ledger.accounts.get(address)
        if account is None:
            return _error(texts.node_error(404, "account not found"))
        if account.public_key is None:
            return _error(texts.node_error(404, "account has no public key"))
        key = base64.b64encode(account.public_key).decode()
        return _json({"pubkey": key, "balance": account.balance, "denom": "ngonka"})

    async def _params(self, _: Request) -> Response:
        if not self._host.net.chain_api_enabled:
            return _error(texts.BY_ID["d404-chainapi"])
        return _json({"params": payloads.chain_params(self._host.net)})

    async def _rpc(self, request: Request) -> Response:
        net = self._host.net
        if not net.chain_api_enabled:
            return _error(ErrorAnswer(404, b"Chain RPC Disabled", texts.PLAIN))
        path = request.path_params["path"]
        if self._chain is not None:
            answer = self._chain.rpc(path, dict(request.query_params))
            if answer is not None:
                return _json(answer)
        if path == "status":
            return _json(payloads.rpc_status(net))
        return _error(ErrorAnswer(404, b"404 page not found\n", texts.PLAIN))

    async def _chain_api(self, _: Request) -> Response:
        return _error(ErrorAnswer(501, b'{"code":12,"message":"Not Implemented","details":[]}'))

    async def _gone(self, _: Request) -> Response:
        if self._host.net.classic_gone:
            return _error(texts.CLASSIC_GONE)
        return _error(texts.node_error(404, "Not Found"))

    async def _devshard(self, _: Request) -> Response:
        return _error(texts.DEVSHARD_GONE)


def _json(value: Any) -> Response:
    return Response(dump(value), media_type=JSON)


def _error(answer: ErrorAnswer) -> Response:
    headers = {**answer.headers, "Content-Type": answer.content_type}
    return Response(answer.body, status_code=answer.status, headers=headers)


def _sign(private_key: str, data: bytes) -> str:
    """Base64 of r and s, low s, over sha256 of *data*."""
    key = ec.derive_private_key(int(private_key, 16), ec.SECP256K1())
    digest = hashlib.sha256(data).digest()
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
    s = min(s, ORDER - s)
    return base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()


def created_now() -> int:
    """Unix time, seconds."""
    return int(time.time())
