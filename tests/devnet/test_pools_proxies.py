"""Proxies of the environment: used, passed by, and told their password but no key."""

from __future__ import annotations

import http.client
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from pool_doors import PAYLOAD, answer_of, gateways_of, met, session_over, text_in

from gonka_integrations.core.proxies import proxy_for
from gonka_integrations.devnet import Devnet
from gonka_integrations.errors import GonkaEndpointsExhaustedError

PASSWORD = "Basic bWU6cEBzcw=="  # me:p@ss


class Proxy(ThreadingHTTPServer):
    """Passes requests for http URLs on, and remembers them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers))
        body = self.rfile.read(int(headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        passed = {name: value for name, value in headers.items() if not name.startswith("proxy-")}
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request(self.command, parts.path, body, passed | {"connection": "close"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.getheader("content-type", ""))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    proxy_for.cache_clear()  # ports come back, and what was said of them may not hold
    with Proxy() as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss@{server.place}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    proxy_for.cache_clear()


@pytest.fixture(params=["aiohttp", "httpcore"])
def async_stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "httpcore":
        monkeypatch.setitem(sys.modules, "aiohttp", None)
    else:
        pytest.importorskip("aiohttp")


def check(devnet: Devnet, proxy: Proxy, calls: int) -> None:
    seen = [one for one in proxy.seen if one[0].endswith("/chat/completions")]
    assert len(seen) == calls == met(*devnet.hosts)
    assert {headers["proxy-authorization"] for _, headers in seen} == {PASSWORD}
    for host in devnet.hosts:
        assert not any("proxy-authorization" in one.headers for one in host.requests)


def test_calls_go_through_the_proxy(devnet: Devnet, proxy: Proxy) -> None:
    with session_over(devnet) as session:
        answer_of(session)
        with session.chat.stream(PAYLOAD) as stream:
            assert text_in(stream)
    check(devnet, proxy, 2)


async def test_event_loops_too(devnet: Devnet, proxy: Proxy, async_stack: None) -> None:
    async with session_over(devnet) as session:
        await session.chat.acomplete(PAYLOAD)
        async with await session.chat.astream(PAYLOAD) as stream:
            assert text_in([chunk async for chunk in stream])
    check(devnet, proxy, 2)


@pytest.mark.parametrize("hosts", ["127.0.0.1", "*", "example.org, 127.0.0.1"])
async def test_hosts_that_need_none(
    devnet: Devnet,
    proxy: Proxy,
    async_stack: None,
    monkeypatch: pytest.MonkeyPatch,
    hosts: str,
) -> None:
    monkeypatch.setenv("NO_PROXY", hosts)
    async with session_over(devnet, source_url=devnet.source_url) as session:
        await session.chat.acomplete(PAYLOAD)
        answer_of(session)
    assert proxy.seen == []


def test_a_proxy_that_is_down_is_no_fault_of_the_key(
    devnet: Devnet, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    options = {"gateways": gateways_of(devnet), "private_key": None, "max_retries": 0}
    with (
        session_over(devnet, **options) as session,
        pytest.raises(GonkaEndpointsExhaustedError, match="refused") as caught,
    ):
        answer_of(session)
    assert (devnet.gateway.api_key or "-") not in str(caught.value)
