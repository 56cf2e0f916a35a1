"""A server that answers chat completions on any path, since not every client asks below /v1."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gonka_integrations.devnet import Reply, scripted
from gonka_integrations.devnet.rendering import Envelope, chunks_of, completion_of

Responder = Callable[[dict[str, Any]], Reply]


class PeerServer(ThreadingHTTPServer):
    """An OpenAI-compatible server.

    Attributes:
        responder: Makes the answers; `Reply.error` is (status, text or JSON of the body).
        served_as: Model name in the answers; None is the name that was asked for.
        silent_after: Streams fall silent after so many chunks.
        cut_after: Streams lose their connection after so many chunks.
        requests: Bodies of the requests, oldest first.
        headers: Their headers, names in lower case.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.responder: Responder = scripted
        self.served_as: str | None = None
        self.silent_after: int | None = None
        self.cut_after: int | None = None
        self.closing = threading.Event()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def last(self) -> dict[str, Any]:
        """Body of the newest request."""
        return self.requests[-1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may leave when they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PeerServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(request)
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        reply = self.server.responder(request)
        if reply.error is not None:
            status, words = reply.error
            self._send(status, {"error": {"message": words, "type": "error", "code": None}})
            return
        envelope = Envelope(
            id="chatcmpl-1",
            model=self.server.served_as or request["model"],
            prompt_tokens=7,
            include_usage=bool((request.get("stream_options") or {}).get("include_usage")),
        )
        if request.get("stream"):
            self._stream(reply, envelope)
        else:
            self._send(200, completion_of(reply, envelope))

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, reply: Reply, envelope: Envelope) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, chunk in enumerate(chunks_of(reply, envelope)):
            if number == self.server.silent_after:
                self.server.closing.wait(20)
            if number in {self.server.silent_after, self.server.cut_after}:
                self.close_connection = True
                return
            self._event(json.dumps(chunk))
        self._event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, text: str) -> None:
        data = f"data: {text}\n\n".encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


@contextmanager
def serving() -> Iterator[PeerServer]:
    """A running server."""
    with PeerServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()
