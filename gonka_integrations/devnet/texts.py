"""The error answers of real nodes, proxies and gateways, word for word.

Sources: gonka-ai/gonka `decentralized-api/internal/server/public/` (classic), `proxy/` (proxy) and
`devshard/cmd/devshardctl/` (gateway).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
PLAIN = "text/plain; charset=utf-8"
HTML = "text/html"


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """One complete error answer.

    Attributes:
        status: HTTP status.
        body: The exact body.
        content_type: The header's value.
        headers: Further headers.
    """

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def node_error(status: int, text: str) -> ErrorAnswer:
    """A node's own envelope: `{"error": text}` and a line feed."""
    return ErrorAnswer(status, _compact({"error": text}) + b"\n")


def gateway_error(status: int, message: str, **headers: str) -> ErrorAnswer:
    """A gateway's envelope: an error object, declared as plain text."""
    body = _compact({"error": {"message": message}}) + b"\n"
    return ErrorAnswer(status, body, PLAIN, headers)


def openai_error(
    status: int, message: str, *, code: str | None = None, kind: str = "invalid_request_error"
) -> ErrorAnswer:
    """The envelope of an ordinary OpenAI-compatible provider."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return ErrorAnswer(status, _compact({"error": error}))


def executor_error(status: int, detail: str) -> ErrorAnswer:
    """What a node makes of an executor's refusal: the engine's words inside its own.

    A client error keeps its status; anything else becomes 500.
    """
    text = f"Inference node response with an error. code = {status}. error = {detail}."
    return node_error(status if 400 <= status < 500 else 500, text)


def engine_bad_request(message: str) -> str:
    """The body of vLLM's 400."""
    body = {"object": "error", "message": message, "type": "BadRequestError", "code": 400}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def moved(message: str, new_url: str) -> ErrorAnswer:
    """A gateway its operator switched off; there is no Location header."""
    body = {"message": message, "new_url": new_url, "status": 308}
    return ErrorAnswer(308, _compact(body) + b"\n")


def rejected_parameter(name: str) -> str:
    """The gateway's message for a parameter outside its list."""
    return (
        f'Chat completions parameter "{name}" is currently rejected by the Gonka network. Some '
        "non-standard parameters can crash the vLLM engine on Gonka Host MLNodes, so the network "
        "rejects parameters that are not explicitly supported (see: "
        "https://github.com/gonka-ai/gonka/blob/main/docs/chat-api/README.md). If you do not need "
        "this parameter, remove it from the request; if you need it, file a request at "
        "https://github.com/gonka-ai/gonka/issues"
    )


def html_page(status: int) -> ErrorAnswer:
    """What nginx in front of a node says for itself."""
    title = f"{status} {_NGINX_TITLES.get(status, 'Internal Server Error')}"
    lines = (
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "<hr><center>nginx</center>",
        "</body>",
        "</html>",
        "",
    )
    return ErrorAnswer(status, "\r\n".join(lines).encode(), HTML)


def _compact(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


_NGINX_TITLES = {
    200: "OK",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
_SUCCESSOR = {
    "Deprecation": "true",
    "Link": '</devshard/{version}>; rel="successor-version"',
}
_CAPACITY = "Transfer Agent capacity reached. Try another TA from "

TOO_OLD = node_error(400, "signature is too old")
IN_FUTURE = node_error(400, "signature is in the future")
REPLAYED = node_error(400, "AuthKey has already been used for a transfer request")
NO_AUTHORIZATION = node_error(401, "Authorization is required")
BAD_SIGNATURE = node_error(401, "Unable to validate request against PubKey:invalid signature")
NO_BALANCE = node_error(402, "Insufficient balance")
NOT_ALLOWED = node_error(403, "Transfer Agent not allowed")
NO_ACCOUNT = node_error(500, "rpc error: code = NotFound desc = account not found")
NO_MODEL = node_error(400, "No model specified")
NO_MESSAGES = node_error(400, "messages is required")
MODEL_NOT_FOUND = node_error(404, "model not found")
NO_EXECUTORS = node_error(503, "no executors available for model")
TOO_LARGE = node_error(413, "request body too large")
CLASSIC_GONE = ErrorAnswer(
    410,
    b'{"error":"deprecated","message":"classic inference is deprecated; use devshard"}\n',
    JSON,
    _SUCCESSOR,
)
DEVSHARD_GONE = ErrorAnswer(
    410,
    b'{"error":"deprecated","message":"/v1/devshard is deprecated; use /devshard/{version}"}\n',
    JSON,
    _SUCCESSOR,
)
GATEWAY_TOO_LARGE = gateway_error(413, "request body too large")


def capacity_reached(base_url: str) -> ErrorAnswer:
    """A node's bandwidth limit."""
    return node_error(429, f"{_CAPACITY}{base_url}/v1/epochs/current/participants")


def restricted_until(height: int) -> ErrorAnswer:
    """The developer gate."""
    return node_error(403, f"inference requests are restricted until block height {height}")


BY_ID: Mapping[str, ErrorAnswer] = {
    "c400-json": node_error(400, "invalid chat completion request: unexpected end of JSON input"),
    "c400-messages": NO_MESSAGES,
    "c400-model": NO_MODEL,
    "c400-old": TOO_OLD,
    "c400-future": IN_FUTURE,
    "c400-old-2025": node_error(400, "Request timestamp is too old"),
    "c400-future-2025": node_error(400, "Request timestamp is in the future"),
    "c400-replay": REPLAYED,
    "c400-promptmissing": node_error(400, "Prompt hash is missing"),
    "c401-noauth": NO_AUTHORIZATION,
    "c401-badsig": BAD_SIGNATURE,
    "c402": NO_BALANCE,
    "c403-ta": NOT_ALLOWED,
    "c403-dev": restricted_until(2459375),
    "c404-account": node_error(404, "Account not found"),
    "c404-model": MODEL_NOT_FOUND,
    "c404-participant-2025": node_error(404, "Inference participant not found"),
    "c408": node_error(408, "request body read timeout"),
    "c410-chat": CLASSIC_GONE,
    "c410-devshard": DEVSHARD_GONE,
    "c413": TOO_LARGE,
    "c429": capacity_reached("http://host.example:8000"),
    "c500-unknown-account": NO_ACCOUNT,
    "c500-executor": executor_error(502, "upstream"),
    "c400-vllm": executor_error(400, engine_bad_request("maximum context length exceeded")),
    "c503-noexec": NO_EXECUTORS,
    "c503-nonodes": node_error(503, "no inference nodes available"),
    "c503-epoch": node_error(503, "unable to fetch current epoch group data"),
    "d400-epoch0": node_error(400, "Epoch enumeration starts with 1"),
    "d400-epochbad": node_error(400, "Invalid epoch id"),
    "d400-latest": node_error(
        400, "Only getting info for current epoch is supported at the moment"
    ),
    "d404-none": node_error(
        404, "No active participants found for the specified epoch. Looks like PoC failed!"
    ),
    "d404-none-new": node_error(404, "active participants not found for epoch"),
    "d404-chainapi": ErrorAnswer(404, b"Chain API Disabled", PLAIN),
    "n502-html": html_page(502),
    "n503-html": html_page(503),
    "n504-html": html_page(504),
    "n413-html": html_page(413),
    "n403-blocked": ErrorAnswer(
        403, b'{"error":"Access Denied","message":"This route is currently blocked."}'
    ),
    "g308": moved("please use ... base url", "https://new-gateway.example/v1/chat/completions"),
    "g400-param": gateway_error(400, rejected_parameter("guided_json")),
    "g400-model": gateway_error(
        400,
        'unsupported model "foo"; supported models: MiniMaxAI/MiniMax-M2.7, moonshotai/Kimi-K2.6',
    ),
    "g400-dup-tool-id": gateway_error(400, "messages[2].tool_calls[1].id is duplicated"),
    "g400-so-rf": gateway_error(400, "structured_outputs: cannot be combined with response_format"),
    "g401-key": gateway_error(401, 'model "MiniMaxAI/MiniMax-M2.7" requires an API key'),
    "g401-admin": gateway_error(401, 'model "moonshotai/Kimi-K2.6" requires an admin API key'),
    "g401-adminroute": ErrorAnswer(
        401,
        b'{"error":{"message":"Invalid admin API key.","type":"invalid_request_error",'
        b'"code":"invalid_api_key"}}',
    ),
    "g409": gateway_error(409, "devshard 42 is unavailable for new inferences: deactivated"),
    "g413": GATEWAY_TOO_LARGE,
    "g429-conc": gateway_error(429, "rate limit exceeded: too many concurrent requests"),
    "g429-tok": gateway_error(429, "rate limit exceeded: too many input tokens in flight"),
    "g429-part": gateway_error(429, "no available escrows: participant request budget exhausted"),
    "g503-poc": gateway_error(503, "devshard temporarily unavailable during PoC generation"),
    "g503-cpoc": gateway_error(
        503, "devshard temporarily unavailable during confirmation PoC validation"
    ),
    "g503-retryafter": gateway_error(
        503, 'model "moonshotai/Kimi-K2.6" is temporarily unavailable', **{"Retry-After": "10"}
    ),
    "g502-noruntime": gateway_error(
        502, "no devshard runtimes available for new inferences (skipped: 42=deactivated)"
    ),
    "g504": gateway_error(
        504, "inference: no non-empty response after retrying with reduced max_tokens"
    ),
    "v404": ErrorAnswer(404, b'version "v1" not found', PLAIN),
}
"""Every error answer by a short id: c classic, d discovery, n proxy, g gateway, v host router."""
