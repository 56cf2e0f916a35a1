"""MultiplexTransport: the pool as an HTTP transport, for every library that takes an OpenAI client.

    client = openai.OpenAI(
        base_url=BASE_URL, api_key="unused", max_retries=0,
        http_client=httpx.Client(transport=MultiplexTransport(session)),
    )

Choosing, signing, failover and dialects happen below the SDK, so tools, structured output and raw
responses work as ever. Errors raised here derive from `openai.OpenAIError`, which the SDK lets
through; when every endpoint answered badly, the last answer is handed back and the SDK raises its
own error for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .chat_calls import ChatCall
from .effects import adrive, drive
from .forwarding import Answer, Forward
from .http_stack import httpx
from .served import CallOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .call_errors import GonkaStatusError
    from .chat_calls import Completion
    from .engine import Engine
    from .served import ServedBy
    from .streams import OpenStream

__all__ = ["BASE_URL", "AsyncMultiplexTransport", "MultiplexTransport"]

#: Base URL for clients on a transport: the host is chosen below, so this one does not exist.
BASE_URL = "https://gonka.invalid/v1"

_COMPLETIONS = "/chat/completions"
_SERVED = "gonka"


class MultiplexTransport(httpx.BaseTransport):
    """A pool as a blocking transport of the SDK's HTTP library.

    Args:
        engine: A `GonkaSession` or `Multiplexer`; kept alive, and not closed, by the transport.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Serve *request* from some endpoint of the pool."""
        engine = self.engine
        engine.prepare()
        connections = engine.network.blocking()
        flow, opens = _flow_for(engine, request, request.read())
        try:
            result = drive(flow, connections)
        except _status_errors() as error:
            return _answer_in(error)
        if opens:
            return _streaming(result, _SyncBody(result, connections, engine))
        return _plain(result)


class AsyncMultiplexTransport(httpx.AsyncBaseTransport):
    """`MultiplexTransport` for event loops; any number of them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Serve *request* from some endpoint of the pool."""
        engine = self.engine
        connections = await engine.connections_here()
        flow, opens = _flow_for(engine, request, await request.aread())
        try:
            result = await adrive(flow, connections)
        except _status_errors() as error:
            return _answer_in(error)
        if opens:
            return _streaming(result, _AsyncBody(result, connections, engine))
        return _plain(result)


def _flow_for(engine: Engine, request: httpx.Request, body: bytes) -> tuple[Any, bool]:
    """The flow that serves a request, and whether it opens a stream."""
    path = request.url.path
    payload = _json_object(body)
    if request.method == "POST" and path.endswith(_COMPLETIONS) and payload is not None:
        call = ChatCall(engine.context, payload, _options(request))
        return (call.open(), True) if payload.get("stream") else (call.complete(), False)
    forward = Forward(
        engine.context,
        payload or {},
        _options(request),
        method=request.method,
        path=_below_version(request),
        body=body,
    )
    return forward.answer(), False


def _below_version(request: httpx.Request) -> str:
    path = request.url.raw_path.decode("ascii")
    base = urlsplit(BASE_URL).path
    return path.removeprefix(base) if path.startswith(base + "/") else path


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        parsed = json.loads(body)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _options(request: httpx.Request) -> CallOptions:
    """The SDK's read time-out bounds the call; headers set on purpose go on to keyed endpoints."""
    waits = request.extensions.get("timeout") or {}
    extra = {
        name.decode("ascii"): value.decode("latin-1")
        for name, value in ((name.lower(), value) for name, value in request.headers.raw)
        if name.startswith(b"x-") and not name.startswith((b"x-stainless", b"x-gonka"))
        and name not in _NODE_HEADERS
    }  # fmt: skip
    return CallOptions(timeout=waits.get("read"), extra_headers=extra or None)


# Headers that nodes send to each other: from a client they would change what a node does.
_NODE_HEADERS = frozenset({
    b"x-inference-id", b"x-seed", b"x-transfer-address", b"x-ta-signature", b"x-prompt-hash",
    b"x-validator-address", b"x-epoch-id", b"x-requester-address", b"x-timestamp",
})  # fmt: skip


def _headers(served: ServedBy) -> dict[str, str]:
    named = {
        "x-gonka-endpoint": served.endpoint,
        "x-gonka-kind": served.kind,
        "x-gonka-address": served.address,
        "x-gonka-epoch": served.epoch,
        "x-gonka-attempts": len(served.attempts),
    }
    return {name: str(value) for name, value in named.items() if value is not None}


def _plain(result: Completion | Answer) -> httpx.Response:
    if isinstance(result, Answer):
        content, kind = result.content, result.content_type
    else:
        content, kind = json.dumps(result.data).encode(), "application/json"
    headers = {"content-type": kind, **_headers(result.served)}
    return httpx.Response(
        200, headers=headers, content=content, extensions={_SERVED: result.served}
    )


def _streaming(opened: OpenStream, body: Any) -> httpx.Response:
    headers = {"content-type": "text/event-stream", **_headers(opened.served)}
    return httpx.Response(200, headers=headers, stream=body, extensions={_SERVED: opened.served})


def _status_errors() -> type[GonkaStatusError]:
    from .call_errors import GonkaStatusError  # noqa: PLC0415 - importing openai costs half a second

    return GonkaStatusError


def _answer_in(error: GonkaStatusError) -> httpx.Response:
    """The last answer of a call that got only bad ones."""
    headers = dict(error.response.headers)
    for name in ("content-length", "content-encoding", "transfer-encoding"):
        headers.pop(name, None)
    # The SDK obeys this: what could be retried has been retried.
    headers["x-should-retry"] = "false"
    headers["content-type"] = "application/json"
    # In OpenAI's shape, so that the SDK shows what was tried and what to do.
    body = {"error": {"message": str(error), "code": error.status_code, "answer": error.body}}
    return httpx.Response(
        error.status_code,
        headers=headers,
        content=json.dumps(body).encode(),
        extensions={_SERVED: error.attempts},
    )


def _events(chunks: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


_DONE = b"data: [DONE]\n\n"


class _SyncBody(httpx.SyncByteStream):
    def __init__(self, opened: OpenStream, connections: Any, engine: Engine) -> None:
        self._opened = opened
        self._connections = connections
        self._engine = engine  # one that is forgotten closes its connections

    def __iter__(self) -> Iterator[bytes]:
        while chunks := drive(self._opened.pull(), self._connections):
            yield _events(chunks)
        yield _DONE

    def close(self) -> None:
        drive(self._opened.close(), self._connections)


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, opened: OpenStream, connections: Any, engine: Engine) -> None:
        self._opened = opened
        self._connections = connections
        self._engine = engine  # one that is forgotten closes its connections

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunks := await adrive(self._opened.pull(), self._connections):
            yield _events(chunks)
        yield _DONE

    async def aclose(self) -> None:
        await adrive(self._opened.close(), self._connections)
