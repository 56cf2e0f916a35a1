"""Refreshing over real HTTP: epochs, slow sources, forks and the interpreter's end."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.discovery import EndpointDiscovery
from gonka_integrations.core.refresh import RefreshManager
from gonka_integrations.core.session import GonkaSession

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gonka_integrations.devnet import Devnet

PATIENCE = 20.0


def wait_for(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.005)


def manager_of(net: Devnet, apply: Callable[[Any], object]) -> RefreshManager:
    discovery = EndpointDiscovery(net.source_urls, retry_count=1)
    return RefreshManager(discovery=discovery, apply=apply)


def test_epochs_are_followed_without_an_event_loop(devnet: Devnet) -> None:
    applied: list[Any] = []
    changes: list[tuple[int | None, int, int]] = []
    manager = manager_of(devnet, applied.append)
    manager.on_epoch_change = lambda old, new, hosts: changes.append((old, new, len(hosts)))
    manager.start(0.02)
    wait_for(lambda: manager.current_epoch == 1)
    for epoch in (2, 3):
        devnet.advance_epoch(leave=(epoch - 2,), join=2)
        wait_for(lambda epoch=epoch: manager.current_epoch == epoch)
    manager.stop()
    assert [found.epoch_id for found in applied] == [1, 2, 3]
    assert changes == [(1, 2, 4), (2, 3, 5)]
    assert manager.last_refresh is not None


def test_sources_that_are_down_change_nothing(devnet: Devnet) -> None:
    manager = manager_of(devnet, lambda _: None)
    assert manager.refresh_now().success
    for host in devnet.hosts:
        host.kill()
    result = manager.refresh_now()
    assert not result.success
    assert len(manager.participants) == 3
    devnet.hosts[0].revive()
    manager.start(0.02)
    wait_for(lambda: manager.refresh_now().success)
    manager.stop()


class SlowSource(ThreadingHTTPServer):
    """Passes reads on to a host, until it is told to let them hang."""

    daemon_threads = True

    def __init__(self, host_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _SlowHandler)
        self.host_url = host_url
        self.hanging = threading.Semaphore(0)
        self.answers = threading.Event()
        self.answers.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Whoever waited may have gone."""


class _SlowHandler(BaseHTTPRequestHandler):
    server: SlowSource

    def do_GET(self) -> None:
        if not self.server.answers.is_set():
            self.server.hanging.release()
            self.server.answers.wait(PATIENCE)
        with urllib.request.urlopen(self.server.host_url + self.path) as answer:
            body = answer.read()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def slow(devnet: Devnet) -> Iterator[SlowSource]:
    with SlowSource(devnet.source_url) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


def test_no_call_waits_on_a_refresh(devnet: Devnet, slow: SlowSource) -> None:
    """A source that hangs holds up the refresher, and nobody else."""
    config = GonkaConfig(
        source_url=slow.url, private_key=devnet.private_key, refresh_interval_seconds=0.02
    )
    payload = {"model": "gonka/test-model", "messages": [{"role": "user", "content": "Hi"}]}
    with GonkaSession(config) as session:
        session.chat.complete(payload)
        slow.answers.clear()
        assert slow.hanging.acquire(timeout=PATIENCE)
        for _ in range(20):
            session.chat.complete(payload)
        asyncio.run(_call(session, payload))
        assert not slow.answers.is_set()
        slow.answers.set()


async def _call(session: GonkaSession, payload: dict[str, Any]) -> None:
    for _ in range(20):
        await session.chat.acomplete(payload)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_follows_epochs_too(devnet: Devnet) -> None:
    manager = manager_of(devnet, lambda _: None)
    manager.start(0.02)
    wait_for(lambda: manager.current_epoch == 1)
    ready, told = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(ready[1], b"x")
            os.read(told[0], 1)
            wait_for(lambda: manager.current_epoch == 2)
            os._exit(0)
        finally:
            os._exit(1)
    os.read(ready[0], 1)
    devnet.advance_epoch(join=1)
    os.write(told[1], b"x")
    _, status = os.waitpid(child, 0)
    wait_for(lambda: manager.current_epoch == 2)
    manager.stop()
    for end in (*ready, *told):
        os.close(end)
    assert os.waitstatus_to_exitcode(status) == 0


_PROGRAM = """
import sys, threading
from gonka_integrations.core.discovery import EndpointDiscovery
from gonka_integrations.core.refresh import RefreshManager
applied = threading.Event()
manager = RefreshManager(
    discovery=EndpointDiscovery(sys.argv[1]), apply=lambda found: applied.set()
)
manager.start(0.01)
assert applied.wait(30)
print("running", manager.is_running)
"""


def test_the_interpreter_ends_with_a_refresher_running(devnet: Devnet) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, devnet.source_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "running True", "")
