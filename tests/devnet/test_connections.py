"""Connections of all three kinds: blocking, on aiohttp, on httpcore. The same, whatever happens."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_server import Connection, RawServer, eventually

from gonka_integrations.core.connections import SyncConnections
from gonka_integrations.core.connections_async import AsyncConnections
from gonka_integrations.core.leases import Waiter, Want
from gonka_integrations.core.network import tls_context
from gonka_integrations.core.wire import Wait, WireFailure, WireRequest


class Stack:
    """One kind of connections, used by blocking."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.opened: list[tuple[Any, Wait]] = []
        self.runner = asyncio.Runner() if kind != "sync" else None
        if kind == "aiohttp":
            pytest.importorskip("aiohttp")
            from gonka_integrations.core.connections_aiohttp import AiohttpConnections

            self.connections: Any = AiohttpConnections(tls_context)
        else:
            self.connections = (AsyncConnections if self.runner else SyncConnections)(tls_context)

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        async def awaited() -> Any:
            result = function(*arguments)
            return await result if inspect.isawaitable(result) else result

        return self.runner.run(awaited()) if self.runner else function(*arguments)

    def open(self, url: str, *, body: bytes = b"{}", trusted: bool = True, seconds: float = 5.0,
             headers: tuple[tuple[str, str], ...] = (), method: str = "POST") -> Any:  # fmt: skip
        wait = Wait(time.monotonic() + seconds, 5.0)
        request = WireRequest(method, url + "/v1", list(headers), body, wait, trusted)
        exchange = self.run(self.connections.open, request)
        self.opened.append((exchange, wait))
        return exchange

    def read(self, exchange: Any, seconds: float = 5.0) -> bytes:
        next(wait for one, wait in self.opened if one is exchange).until = (
            time.monotonic() + seconds
        )
        data: bytes = self.run(exchange.read)
        return data

    def read_all(self, exchange: Any) -> bytes:
        parts = []
        while data := self.read(exchange):
            parts.append(data)
        return b"".join(parts)

    def close(self) -> None:
        for exchange, _ in self.opened:
            self.run(exchange.close)
        self.run(getattr(self.connections, "aclose", None) or self.connections.close)
        if self.runner:
            self.runner.close()


@pytest.fixture(params=["sync", "aiohttp", "httpcore"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    stack = Stack(request.param)
    yield stack
    stack.close()


def failing(function: Callable[..., Any], *arguments: Any, **options: Any) -> WireFailure:
    with pytest.raises(WireFailure) as caught:
        function(*arguments, **options)
    return caught.value


def echo(connection: Connection) -> None:
    """Answers every request with itself."""
    while (request := connection.request()) is not None:
        connection.answer(request, "200 OK", "X-Made-By: Echo", "Set-Cookie: a=b")


class TestExchanges:
    def test_bytes_go_as_they_are(self, stack: Stack) -> None:
        body = '{"a":"é"}'.encode()
        with RawServer(echo) as server:
            exchange = stack.open(
                server.url, body=body, headers=(("X-Signed", "yes"), ("Authorization", "a+/="))
            )
            assert exchange.status == 200
            assert exchange.headers["x-made-by"] == "Echo"
            head, _, sent = stack.read_all(exchange).partition(b"\r\n\r\n")
        assert sent == body
        first, *lines = head.decode().split("\r\n")
        assert first == "POST /v1 HTTP/1.1"
        names = [line.split(":")[0].lower() for line in lines]
        assert set(names) - {"accept-encoding"} == {
            "host", "content-length", "x-signed", "authorization",
        }  # fmt: skip
        assert len(names) == len(set(names))
        assert f"Host: 127.0.0.1:{server.port}" in lines

    def test_an_empty_body(self, stack: Stack) -> None:
        with RawServer(echo) as server:
            exchange = stack.open(server.url, body=b"", method="GET")
            assert stack.read_all(exchange).startswith(b"GET /v1 HTTP/1.1\r\n")

    def test_no_cookie_is_kept_and_no_redirect_followed(self, stack: Stack) -> None:
        def elsewhere(connection: Connection) -> None:
            while request := connection.request():
                server.requests.append(request)
                connection.answer(b"", "302 Found", "Location: /other", "Set-Cookie: a=b")

        with RawServer(elsewhere) as server:
            for _ in range(2):
                exchange = stack.open(server.url)
                assert exchange.status == 302
                assert stack.read_all(exchange) == b""
            assert len(server.requests) == 2
            assert not any(b"cookie" in one.lower() for one in server.requests)

    def test_connections_are_used_again(self, stack: Stack) -> None:
        with RawServer(echo) as server:
            for _ in range(5):
                stack.read_all(stack.open(server.url))
            assert server.accepted == 1

    def test_also_after_an_error_that_was_read(self, stack: Stack) -> None:
        def refusing(connection: Connection) -> None:
            while connection.request():
                connection.answer(b"no", "503 Service Unavailable")

        with RawServer(refusing) as server:
            for _ in range(3):
                exchange = stack.open(server.url)
                assert stack.read_all(exchange) == b"no"
                stack.run(exchange.close)
            assert server.accepted == 1

    def test_bytes_come_as_they_are_sent(self, stack: Stack) -> None:
        go = threading.Event()

        def slow(connection: Connection) -> None:
            connection.request()
            connection.begin()
            connection.chunk(b"one")
            go.wait(5)
            connection.chunk(b"two")
            connection.end()
            connection.until_left()

        with RawServer(slow) as server:
            exchange = stack.open(server.url)
            assert stack.read(exchange) == b"one"
            go.set()
            assert stack.read(exchange) == b"two"
            assert stack.read(exchange) == b""


class TestFinishing:
    def test_the_rest_is_read_so_that_the_connection_is_used_again(self, stack: Stack) -> None:
        def tailed(connection: Connection) -> None:
            while connection.request():
                connection.begin()
                connection.chunk(b"all of it")
                time.sleep(0.02)
                connection.chunk(b"tail")
                connection.end()

        with RawServer(tailed) as server:
            for _ in range(3):
                exchange = stack.open(server.url)
                assert stack.read(exchange).startswith(b"all of it")
                stack.run(exchange.finish)
            assert server.accepted == 1

    def test_but_not_waited_for_long(self, stack: Stack) -> None:
        def silent(connection: Connection) -> None:
            connection.request()
            connection.begin()
            connection.chunk(b"all of it")
            connection.until_left()

        with RawServer(silent) as server:
            exchange = stack.open(server.url)
            stack.read(exchange)
            stack.run(exchange.finish)
            eventually(lambda: server.left == 1)
            assert stack.read(stack.open(server.url)) == b"all of it"
            assert server.accepted == 2

    def test_nor_for_ever_where_it_never_ends(self, stack: Stack) -> None:
        def endless(connection: Connection) -> None:
            connection.request()
            connection.begin()
            while True:
                connection.chunk(b": ping\n\n" * 500)

        with RawServer(endless) as server:
            exchange = stack.open(server.url)
            stack.read(exchange)
            finished = threading.Event()
            thread = threading.Thread(
                target=lambda: (stack.run(exchange.finish), finished.set()), daemon=True
            )
            thread.start()
            assert finished.wait(5), "it reads on and on"
            thread.join()
            eventually(lambda: server.left == 1)

    def test_closing_is_heard_at_once(self, stack: Stack) -> None:
        def silent(connection: Connection) -> None:
            connection.request()
            connection.begin()
            connection.chunk(b"x")
            connection.until_left()

        with RawServer(silent) as server:
            exchange = stack.open(server.url)
            stack.read(exchange)
            stack.run(exchange.close)
            stack.run(exchange.close)
            eventually(lambda: server.left == 1, 1.0)


class TestFailures:
    def test_nobody_listens(self, stack: Stack) -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            failure = failing(stack.open, f"http://127.0.0.1:{held.getsockname()[1]}")
        assert (failure.kind, failure.ambiguous) == ("refused", False)
        assert failure.text

    def test_a_name_that_does_not_exist(self, stack: Stack) -> None:
        failure = failing(stack.open, "http://nobody.invalid")
        assert (failure.kind, failure.ambiguous) == ("dns", False)

    def test_reset_before_the_head(self, stack: Stack) -> None:
        def resetting(connection: Connection) -> None:
            connection.request()
            connection.reset()

        with RawServer(resetting) as server:
            failure = failing(stack.open, server.url)
        assert (failure.kind, failure.ambiguous) == ("reset", True)

    def test_closed_before_the_head(self, stack: Stack) -> None:
        with RawServer(lambda connection: connection.request() and None) as server:
            assert failing(stack.open, server.url).kind == "reset"

    def test_bytes_that_are_no_http(self, stack: Stack) -> None:
        def speaking(connection: Connection) -> None:
            connection.request()
            connection.send(b"220 mail.example ESMTP\r\n\r\n")
            connection.until_left()

        with RawServer(speaking) as server:
            assert failing(stack.open, server.url).kind == "reset"

    def test_silence_before_the_head(self, stack: Stack) -> None:
        with RawServer(lambda connection: connection.until_left()) as server:
            failure = failing(stack.open, server.url, seconds=0.05)
            assert (failure.kind, failure.ambiguous) == ("timeout", True)
            eventually(lambda: server.left == 1)

    def test_silence_in_the_body(self, stack: Stack) -> None:
        def silent(connection: Connection) -> None:
            connection.request()
            connection.begin()
            connection.chunk(b"x")
            connection.until_left()

        with RawServer(silent) as server:
            exchange = stack.open(server.url)
            assert stack.read(exchange) == b"x"
            assert failing(stack.read, exchange, 0.05).kind == "timeout"
            stack.run(exchange.close)
            eventually(lambda: server.left == 1)

    @pytest.mark.parametrize("way", ["closed in chunks", "closed in a length", "reset"])
    def test_cut_in_the_body(self, stack: Stack, way: str) -> None:
        go = threading.Event()

        def cutting(connection: Connection) -> None:
            connection.request()
            if way == "closed in a length":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
            else:
                connection.begin()
                connection.chunk(b"x")
            go.wait(5)
            if way == "reset":
                connection.reset()

        with RawServer(cutting) as server:
            exchange = stack.open(server.url)
            assert stack.read(exchange) == b"x"
            go.set()
            failure = failing(stack.read, exchange)
            assert (failure.kind, failure.ambiguous) == ("cut", True)
            stack.run(exchange.close)

    def test_a_plain_server_where_tls_is_expected(self, stack: Stack) -> None:
        def plain(connection: Connection) -> None:
            connection.peer.recv(100)
            connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        with RawServer(plain) as server:
            failure = failing(stack.open, server.url.replace("http:", "https:"))
        assert (failure.kind, failure.ambiguous) == ("tls", False)

    def test_head_lines_without_end(self, stack: Stack) -> None:
        def endless(connection: Connection) -> None:
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                connection.send(b"x" * 65536)

        with RawServer(endless) as server:
            assert failing(stack.open, server.url).kind == "reset"

    def test_a_length_that_is_none(self, stack: Stack) -> None:
        def lying(connection: Connection) -> None:
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n")
            connection.until_left()

        with RawServer(lying) as server:
            assert failing(stack.open, server.url).kind == "reset"


class TestForbiddenAddresses:
    """A discovered host must not lead into the machine, whatever its name resolves to."""

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]"])
    def test_are_not_asked(self, stack: Stack, host: str) -> None:
        with RawServer(echo) as server:
            url = f"http://{host}:{server.port}"
            failure = failing(stack.open, url, trusted=False)
            assert failure.kind in ("forbidden_address", "refused")
            assert failure.kind == "forbidden_address" or "::" in host
            assert not failure.ambiguous
            eventually(lambda: server.accepted == server.left)
            assert not server.requests

    def test_unless_the_user_named_them(self, stack: Stack) -> None:
        with RawServer(echo) as server:
            assert stack.open(f"http://localhost:{server.port}").status == 200


class TestLettingGo:
    def test_of_everything(self, stack: Stack) -> None:
        with RawServer(echo) as server:
            stack.read_all(stack.open(server.url))
            stack.run(getattr(stack.connections, "aclose", None) or stack.connections.close)
            eventually(lambda: server.left == 1)
            stack.read_all(stack.open(server.url))
            assert server.accepted == 2

    def test_of_a_host_that_left(self, stack: Stack) -> None:
        with RawServer(echo) as server, RawServer(echo) as other:
            stack.read_all(stack.open(server.url))
            stack.read_all(stack.open(other.url))
            stack.run(lambda: stack.connections.drop(server.url + "/v1"))
            stack.run(lambda: stack.connections.drop("http://unknown.test/v1"))
            if stack.kind != "aiohttp":  # whose idle connections end by themselves
                eventually(lambda: server.left == 1)
            stack.read_all(stack.open(other.url))
            assert other.accepted == 1


class TestWaiting:
    def test_for_some_time(self, stack: Stack) -> None:
        stack.run(stack.connections.park, None, 0.01)
        stack.run(stack.connections.park, Waiter(Want("")), 0.01)

    def test_until_woken_by_another_thread(self, stack: Stack) -> None:
        waiter = Waiter(Want(""))

        def wake() -> None:
            time.sleep(0.02)
            waiter.woken = True
            waiter.wake()

        thread = threading.Thread(target=wake)
        thread.start()
        began = time.monotonic()
        stack.run(stack.connections.park, waiter, 30.0)
        assert time.monotonic() - began < 10
        thread.join()

    def test_not_when_woken_before(self, stack: Stack) -> None:
        stack.run(stack.connections.park, Waiter(Want(""), woken=True), 30.0)

    def test_for_a_function_off_the_loop(self, stack: Stack) -> None:
        thread = stack.run(stack.connections.compute, threading.current_thread)
        assert (thread is threading.current_thread()) is (stack.kind == "sync")


def test_a_waiter_may_be_woken_after_its_loop_is_closed() -> None:
    waiter = Waiter(Want(""))

    async def leave() -> None:
        connections = AsyncConnections(tls_context)
        task = asyncio.ensure_future(connections.park(waiter, 30.0))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    waiter.wake()
