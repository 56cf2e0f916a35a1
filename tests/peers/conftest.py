"""Fixtures of the tests of other packages' chat models."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from peer_server import PeerServer, serving


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing leaves this machine, and nothing is configured from outside."""
    for name in list(os.environ):
        if name.startswith(("LANGSMITH_", "LANGCHAIN_", "LC_", "OPENAI_", "GROQ_", "DEEPSEEK_")):
            monkeypatch.delenv(name)
    found = socket.getaddrinfo

    def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in {"127.0.0.1", b"127.0.0.1", "localhost"}:
            raise OSError(f"{host} is not this machine")
        return found(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def server() -> Iterator[PeerServer]:
    """An OpenAI-compatible server."""
    with serving() as running:
        yield running


@pytest.fixture
def model(peer: Callable[..., Any], server: PeerServer) -> Callable[..., Any]:
    """Makes models of the peer that reach the server."""
    return lambda **more: peer(server.url, **more)
