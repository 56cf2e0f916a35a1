"""A server that writes any bytes at all: what hosts do that no HTTP library would."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

Handler = Callable[["Connection"], None]


class Connection:
    """One accepted connection."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.buffer = b""

    def request(self) -> bytes | None:
        """Head and body of the next request, None when the client has left."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                return None
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n")
             if line.lower().startswith(b"content-length:")), 0,
        )  # fmt: skip
        while len(rest) < length:
            if not self._more():
                return None
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        self.buffer = rest[length:]
        return head + b"\r\n\r\n" + rest[:length]

    def _more(self) -> bool:
        data = self.peer.recv(65536)
        self.buffer += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.peer.sendall(data)

    def answer(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def begin(self) -> None:
        """The head of an answer whose body is sent in chunks."""
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        self.chunk(b"")

    def reset(self) -> None:
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()

    def until_left(self) -> None:
        """Wait until the client has gone."""
        self.peer.settimeout(10)
        while self.peer.recv(65536):
            pass


class RawServer:
    """Accepts connections and hands each to *handler* in a thread of its own.

    Attributes:
        accepted: Connections ever accepted.
        left: Connections whose handler has ended.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.accepted = 0
        self.left = 0
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._peers: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            self._peers.append(peer)
            thread = threading.Thread(target=self._handle, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _handle(self, peer: socket.socket) -> None:
        try:
            with peer:
                self.handler(Connection(peer))
        except OSError:
            pass
        finally:
            self.left += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for peer in self._peers:
            try:
                peer.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(5)


def eventually(condition: Callable[[], object], seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.002)
