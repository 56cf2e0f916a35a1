"""The CometBFT RPC of the synthetic chain: `status`, `commit`, `validators`, `abci_query`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chain_json import (
    base64_text,
    commit_json,
    header_json,
    proof_ops_json,
    time_json,
    validators_json,
)
from .state_trees import STORE

if TYPE_CHECKING:
    from .chain import SyntheticChain

_PER_PAGE = 30
_MAX_PER_PAGE = 100


class _RpcError(Exception):
    """What the node answers instead of a result."""


def answer(chain: SyntheticChain, path: str, query: dict[str, str]) -> dict[str, Any] | None:
    """The JSON-RPC answer to a GET of *path*; None for what the chain does not serve."""
    handlers = {
        "status": _status,
        "commit": _commit,
        "validators": _validators,
        "abci_query": _abci_query,
    }
    if path not in handlers or (path == "abci_query" and not chain.serve_state):
        return None
    envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": -1}
    try:
        return {**envelope, "result": handlers[path](chain, query)}
    except (_RpcError, ValueError) as error:
        problem = {"code": -32603, "message": "Internal error", "data": str(error)}
        return {**envelope, "error": problem}


def _height(chain: SyntheticChain, query: dict[str, str]) -> int:
    latest = chain.observe()
    height = int(query["height"]) if query.get("height", "0") != "0" else latest
    if not 0 < height <= latest:
        raise _RpcError(f"height {height} must be less than or equal to the head height {latest}")
    return height


def _status(chain: SyntheticChain, _: dict[str, str]) -> dict[str, Any]:
    header = chain.header(chain.observe())
    return {
        "node_info": {"network": chain.chain_id},
        "sync_info": {
            "latest_block_hash": header.hash.hex().upper(),
            "latest_app_hash": header.app_hash.hex().upper(),
            "latest_block_height": str(header.height),
            "latest_block_time": time_json(header.time),
            "catching_up": False,
        },
    }


def _commit(chain: SyntheticChain, query: dict[str, str]) -> dict[str, Any]:
    height = _height(chain, query)
    signed = {
        "header": header_json(chain.header(height), "rpc"),
        "commit": commit_json(chain.commit(height), "rpc"),
    }
    return {"signed_header": signed, "canonical": height < chain.observe()}


def _validators(chain: SyntheticChain, query: dict[str, str]) -> dict[str, Any]:
    height = _height(chain, query)
    return page_of(validators_json(chain.validator_set(height).validators, "rpc"), height, query)


def page_of(validators: list[dict[str, Any]], height: int, query: dict[str, str]) -> dict[str, Any]:
    """One page of a validator set, as the RPC cuts it."""
    size = min(max(int(query.get("per_page", _PER_PAGE)), 1), _MAX_PER_PAGE)
    page, pages = int(query.get("page", 1)), max(1, -(-len(validators) // size))
    if not 1 <= page <= pages:
        raise _RpcError(f"page should be within [1, {pages}] range, given {page}")
    shown = validators[(page - 1) * size : page * size]
    return {
        "block_height": str(height),
        "validators": shown,
        "count": str(len(shown)),
        "total": str(len(validators)),
    }


def _abci_query(chain: SyntheticChain, query: dict[str, str]) -> dict[str, Any]:
    height = _height(chain, query)
    key = bytes.fromhex(query.get("data", "").removeprefix("0x"))
    response: dict[str, Any] = {
        "code": 0,
        "log": "",
        "info": "",
        "index": "0",
        "key": base64_text(key),
        "value": None,
        "proofOps": None,
        "height": str(height),
        "codespace": "",
    }
    if query.get("path", "").strip('"') != f"/store/{STORE}/key":
        response.update(code=6, log="unknown query path", codespace="sdk")
        return {"response": response}
    value = chain.state(height).get(key)
    if value is not None:
        response["value"] = base64_text(value)
        if query.get("prove") == "true":
            response["proofOps"] = proof_ops_json(chain.proof(height, key))
    return {"response": response}
