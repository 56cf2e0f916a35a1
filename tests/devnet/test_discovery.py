"""Discovery over real HTTP: every read, blocking and not, on the devnet and on odd servers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from gonka_integrations.core.discovery import EndpointDiscovery
from gonka_integrations.core.keys import PrivateKey
from gonka_integrations.core.participants import ParticipantSet
from gonka_integrations.errors import (
    GonkaConfigError,
    GonkaDiscoveryError,
    GonkaNoParticipantsError,
    GonkaProofVerificationError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gonka_integrations.devnet import Devnet

MODEL = "gonka/test-model"


@pytest.fixture(params=["blocking", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method of a discovery in one of the two worlds."""

    def blocking(discovery: EndpointDiscovery, name: str, *args: Any) -> Any:
        return getattr(discovery, name)(*args)

    def in_a_loop(discovery: EndpointDiscovery, name: str, *args: Any) -> Any:
        async def run() -> Any:
            return await getattr(discovery, f"async_{name}")(*args)

        return asyncio.run(run())

    return blocking if request.param == "blocking" else in_a_loop


def discovery_of(net: Devnet, **options: Any) -> EndpointDiscovery:
    options = {"retry_count": 1, "retry_delay": 0.01, **options}
    return EndpointDiscovery(net.source_urls, **options)


def test_every_read(devnet: Devnet, call: Callable[..., Any]) -> None:
    discovery = discovery_of(devnet)
    key = PrivateKey.from_hex(devnet.private_key)
    found = call(discovery, "discover")
    assert [one.address for one in found] == [host.address for host in devnet.hosts]
    assert (found.epoch_id, found.models, found.source_url) == (1, (MODEL,), devnet.source_url)
    assert call(discovery, "discover_for_epoch", "current") == found
    assert call(discovery, "discover_for_epoch", 1).participants == found.participants
    assert call(discovery, "get_current_epoch") == 1
    assert call(discovery, "epoch_info").seconds_to_change() > 0
    assert call(discovery, "allow_list") is None
    assert call(discovery, "chain_params").timestamp_expiration == 60
    assert call(discovery, "models")[0].id == MODEL
    assert call(discovery, "pricing").models[0].price_per_token > 0
    assert call(discovery, "identity").address == devnet.hosts[0].address
    assert call(discovery, "versions").api
    assert call(discovery, "block_time").endswith("Z")
    assert call(discovery, "account", key.address).public_key == key.public_key


def test_epochs_change(devnet: Devnet, call: Callable[..., Any]) -> None:
    discovery = discovery_of(devnet)
    devnet.advance_epoch(leave=(1,), join=2)
    found = call(discovery, "discover")
    assert (found.epoch_id, len(found)) == (2, 4)
    assert call(discovery, "get_current_epoch") == 2
    assert len(call(discovery, "discover_for_epoch", "1")) == 3


def test_an_epoch_that_never_was(devnet: Devnet, call: Callable[..., Any]) -> None:
    with pytest.raises(GonkaDiscoveryError, match="epochs/99/participants") as caught:
        call(discovery_of(devnet), "discover_for_epoch", 99)
    assert caught.value.status_code == 404


@pytest.mark.parametrize("epoch", ["latest", "next", 0, -1, True, 1.0, None])
def test_names_that_are_no_epoch(devnet: Devnet, epoch: Any) -> None:
    with pytest.raises(GonkaConfigError, match="epoch"):
        discovery_of(devnet).discover_for_epoch(epoch)


def test_unknown_accounts(devnet: Devnet, call: Callable[..., Any]) -> None:
    unknown = PrivateKey.from_hex(devnet.unknown_private_key).address
    with pytest.raises(GonkaDiscoveryError, match="account not found") as caught:
        call(discovery_of(devnet), "account", unknown)
    assert caught.value.status_code == 404
    with pytest.raises(GonkaConfigError, match="address"):
        call(discovery_of(devnet), "account", "gonka1/../../")


def test_dead_sources_are_passed_over(devnet: Devnet, call: Callable[..., Any]) -> None:
    devnet.hosts[0].kill()
    discovery = discovery_of(devnet)
    assert call(discovery, "discover").source_url == devnet.hosts[1].url
    for host in devnet.hosts:
        host.kill()
    with pytest.raises(GonkaDiscoveryError, match="none of 3 sources"):
        call(discovery, "discover")


def test_who_may_take_requests(devnet: Devnet, call: Callable[..., Any]) -> None:
    discovery = discovery_of(devnet)
    first, second, third = (host.address for host in devnet.hosts)
    devnet.allowed_transfer_addresses = [first, second]
    devnet.exclude(1)
    found = call(discovery, "discover")
    assert [one.address for one in found] == [first]
    assert found.excluded == {second}
    assert {who for who, _ in found.skipped} == {second, third}
    devnet.allowed_transfer_addresses = [second]
    with pytest.raises(GonkaNoParticipantsError, match="none of the 3 participants"):
        call(discovery, "discover")


def test_an_allow_list_that_cannot_be_read_stops_nothing(devnet: Devnet) -> None:
    discovery = discovery_of(devnet)
    devnet.allowed_transfer_addresses = [devnet.hosts[0].address]
    assert len(discovery.discover()) == 1
    devnet.chain_api_enabled = False
    assert len(discovery.discover()) == 1  # as it was last known
    assert len(discovery_of(devnet).discover()) == 3


def test_a_list_that_must_be_proven(devnet: Devnet, call: Callable[..., Any]) -> None:
    """The seam: payload bytes and more reads go in, a proven set or an error comes out."""
    seen: dict[str, Any] = {}
    proven = ParticipantSet(1, discovery_of(devnet).discover().participants[:1], verified=True)

    def verifier(payload: bytes, *, epoch: Any, source_url: str, sources: Any, fetch: Any) -> Any:
        seen.update(epoch=epoch, sources=sources, ids=json.loads(payload)["addresses"])
        status = yield from fetch(source_url, "/chain-rpc/status")
        assert b"latest_block_time" in status
        return proven

    discovery = discovery_of(devnet, verify_proofs=True, verifier=verifier)
    found = call(discovery, "discover")
    assert (found.verified, len(found), found.source_url) == (True, 1, devnet.source_url)
    assert (seen["epoch"], seen["sources"], len(seen["ids"])) == (None, devnet.source_urls, 3)
    call(discovery, "discover_for_epoch", 1)
    assert seen["epoch"] == 1


def test_a_forged_list_is_an_error_and_not_another_source(devnet: Devnet) -> None:
    def verifier(_payload: bytes, **_: Any) -> Any:
        raise GonkaProofVerificationError("forged")
        yield

    discovery = discovery_of(devnet, verify_proofs=True, verifier=verifier)
    with pytest.raises(GonkaProofVerificationError):
        discovery.discover()


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"source_url": ""}, "source_url"),
        ({"source_url": []}, "source_url"),
        ({"source_url": "node:8000"}, "source_url"),
        ({"timeout": 0}, "timeout"),
        ({"retry_count": -1}, "retry_count"),
        ({"retry_delay": -1}, "retry_delay"),
        ({"max_response_bytes": 0}, "max_response_bytes"),
        ({"verify_proofs": 1}, "verify_proofs"),
        ({"allow_private_hosts": 1}, "allow_private_hosts"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(GonkaConfigError) as caught:
        EndpointDiscovery(**{"source_url": "http://node:8000", **arguments})
    assert caught.value.field == field


def test_what_can_be_asked_of_it() -> None:
    discovery = EndpointDiscovery(["http://a.example:1/v1/", "http://b.example:2"], timeout=5)
    assert discovery.source_urls == ("http://a.example:1", "http://b.example:2")
    assert discovery.source_url == "http://a.example:1"
    assert (discovery.timeout, discovery.verify_proofs) == (5.0, False)
    assert not discovery.source_is_private
    assert EndpointDiscovery("http://127.0.0.1").source_is_private
    assert not EndpointDiscovery(["http://127.0.0.1", "http://a.example"]).source_is_private


class OddServer(ThreadingHTTPServer):
    """Answers every path with what it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _OddHandler)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Clients hang up on purpose here."""


class _OddHandler(BaseHTTPRequestHandler):
    server: OddServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        status, headers, body = self.server.answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def odd() -> Iterator[OddServer]:
    with OddServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


CURRENT = "/v1/epochs/current/participants"


def of_odd(odd: OddServer, **options: Any) -> EndpointDiscovery:
    return EndpointDiscovery(odd.url, retry_count=1, **options)


def test_redirects_are_not_followed(odd: OddServer, call: Callable[..., Any]) -> None:
    odd.answers[CURRENT] = (302, {"Location": "/elsewhere"}, b"")
    with pytest.raises(GonkaDiscoveryError, match="'/elsewhere', which is not followed"):
        call(of_odd(odd), "discover")
    assert odd.paths == [CURRENT]


def test_long_answers_are_cut_off(odd: OddServer, call: Callable[..., Any]) -> None:
    odd.answers[CURRENT] = (200, {}, b" " * 20_000_000)
    with pytest.raises(GonkaDiscoveryError, match="more than 8388608 bytes"):
        call(of_odd(odd), "discover")
    odd.answers[CURRENT] = (200, {}, b"[]" + b" " * 100)
    with pytest.raises(GonkaDiscoveryError, match="more than 50 bytes"):
        call(of_odd(odd, max_response_bytes=50), "discover")


def test_an_answer_that_is_cut_short(odd: OddServer, call: Callable[..., Any]) -> None:
    odd.answers[CURRENT] = (200, {"Content-Length": "1000"}, b"{")
    with pytest.raises(GonkaDiscoveryError, match="did not answer"):
        call(of_odd(odd), "discover")


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":', b"[" * 200_000, b"null", b"{}"])
def test_answers_that_make_no_sense(odd: OddServer, call: Callable[..., Any], body: bytes) -> None:
    odd.answers[CURRENT] = (200, {}, body)
    with pytest.raises(GonkaDiscoveryError, match=odd.url) as caught:
        call(of_odd(odd), "discover")
    assert caught.value.source_url == odd.url


def a_payload(*urls: str) -> bytes:
    hosts = [
        {
            "index": PrivateKey.from_hex(f"{number:064x}").address,
            "inference_url": url,
            "weight": 1,
            "models": ["m"],
        }
        for number, url in enumerate(urls, 1)
    ]
    return json.dumps({"active_participants": {"participants": hosts, "epoch_id": 3}}).encode()


URLS = (
    "http://127.0.0.1:1",
    "http://169.254.169.254",
    "http://inside.example",
    "http://user:word@93.184.216.34",
    "http://93.184.216.34:8000",
    "http://public.example",
)


def resolve(host: str) -> tuple[str, ...]:
    return {"inside.example": ("10.0.0.1",), "public.example": ("93.184.216.34",)}.get(host, ())


def test_a_source_on_a_private_network_may_name_its_like(
    odd: OddServer, call: Callable[..., Any]
) -> None:
    odd.answers[CURRENT] = (200, {}, a_payload(*URLS))
    found = call(of_odd(odd), "discover")
    assert [one.inference_url for one in found] == [url for url in URLS if "@" not in url]


def test_a_public_source_may_not(
    odd: OddServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Told apart by the source's URL; here its name leads to the machine all the same."""
    odd.answers[CURRENT] = (200, {}, a_payload(*URLS))
    to_loopback = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **kwargs: to_loopback("127.0.0.1", *args, **kwargs),
    )
    source = f"http://source.example:{odd.server_address[1]}"
    discovery = EndpointDiscovery(source, retry_count=1, resolve=resolve)
    for _ in range(2):
        found = discovery.discover()
    assert [one.inference_url for one in found] == [URLS[4], URLS[5]]
    reasons = [why for _, why in found.skipped]
    assert ["not a public" in why for why in reasons] == [True, True, True, False]
    assert "user name" in reasons[3]
    told = [record for record in caplog.records if "is left out" in record.getMessage()]
    assert len(told) == 4
    free = EndpointDiscovery(source, retry_count=1, resolve=resolve, allow_private_hosts=True)
    assert len(free.discover()) == 5
