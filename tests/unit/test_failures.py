"""From exceptions to failures, from failures to words: the small steps."""

from __future__ import annotations

import email.utils
import json
import ssl
import time
from typing import Any

import pytest
from made import account, gateway, node

from gonka_integrations.core.block_time import parse_time_ns
from gonka_integrations.core.failures import retry_after
from gonka_integrations.core.http_stack import httpcore
from gonka_integrations.core.httpcore_wire import (
    FORBIDDEN,
    check_peer,
    failure_of,
    header_lines,
    header_map,
    origin_of,
    proxy_options,
)
from gonka_integrations.core.retries import RetryPolicy
from gonka_integrations.core.served import AttemptRecord, ServedBy
from gonka_integrations.core.wire import Wait, WireFailure, WireRequest


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("7", 7.0), (" 1.5 ", 1.5), ("-3", 0.0), ("", None), ("soon", None), ("99999", 99999.0)],
    )
    def test_in_seconds(self, value: str, seconds: float | None) -> None:
        assert retry_after({"retry-after": value}) == seconds

    def test_as_a_date(self) -> None:
        moment = email.utils.formatdate(time.time() + 100, usegmt=True)
        assert retry_after({"retry-after": moment}) == pytest.approx(100, abs=5)
        assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400"])
    def test_numbers_that_are_none(self, value: str) -> None:
        assert retry_after({"retry-after": value}) is None

    def test_none(self) -> None:
        assert retry_after({}) is None


class TestExceptionsOfHttpcore:
    @pytest.mark.parametrize(
        ("error", "kind", "ambiguous"),
        [
            (httpcore.ConnectError("[Errno 111] Connection refused"), "refused", False),
            (httpcore.ConnectError("All connection attempts failed"), "refused", False),
            (httpcore.ConnectError("[Errno -2] Name or service not known"), "dns", False),
            (httpcore.ConnectTimeout("timed out"), "connect_timeout", False),
            (httpcore.ConnectError(f"{FORBIDDEN}: 10.0.0.1"), "forbidden_address", False),
            (httpcore.ReadTimeout("timed out"), "timeout", True),
            (httpcore.WriteTimeout("timed out"), "timeout", True),
            (httpcore.ReadError("[Errno 104] reset"), "reset", True),
            (httpcore.WriteError("broken pipe"), "reset", True),
            (httpcore.RemoteProtocolError("Server disconnected"), "reset", True),
            (httpcore.ProxyError("407"), "refused", False),
            (ValueError(), "reset", True),
        ],
    )
    def test_before_the_head(self, error: Exception, kind: str, ambiguous: bool) -> None:
        failure = failure_of(error, reading=False)
        assert (failure.kind, failure.ambiguous) == (kind, ambiguous)
        assert failure.text

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (httpcore.ReadError("reset"), "cut"),
            (httpcore.RemoteProtocolError("incomplete chunked read"), "cut"),
            (httpcore.ReadTimeout("timed out"), "timeout"),
        ],
    )
    def test_in_the_body(self, error: Exception, kind: str) -> None:
        assert failure_of(error, reading=True).kind == kind

    def test_tls_wherever_it_hides(self) -> None:
        inner = ssl.SSLCertVerificationError("self-signed certificate")
        outer = httpcore.ConnectError("certificate")
        outer.__cause__ = inner
        for error in (inner, outer):
            failure = failure_of(error, reading=False)
            assert (failure.kind, failure.ambiguous) == ("tls", False)


class TestPeers:
    class Stream:
        def __init__(self, address: Any) -> None:
            self.address = address

        def get_extra_info(self, name: str) -> Any:
            assert name == "server_addr"
            return self.address

    def test_private_ones_are_refused_unless_trusted(self) -> None:
        stream = self.Stream(("127.0.0.1", 80))
        check_peer(stream, trusted=True)
        with pytest.raises(httpcore.ConnectError, match=r"forbidden address: 127\.0\.0\.1"):
            check_peer(stream, trusted=False)

    @pytest.mark.parametrize("address", [("93.184.216.34", 80), None, ()])
    def test_others_are_not(self, address: Any) -> None:
        check_peer(self.Stream(address), trusted=False)


def request(url: str, *headers: tuple[str, str], body: bytes = b"{}") -> WireRequest:
    return WireRequest("POST", url, list(headers), body, Wait(0.0, 1.0))


class TestHeaders:
    def test_lines(self) -> None:
        lines = dict(header_lines(request("http://host.test:8000/v1", ("X-A", "é"))))
        assert lines == {
            b"Host": b"host.test:8000", b"Content-Length": b"2",
            b"Accept-Encoding": b"identity", b"X-A": b"\xe9",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("url", "host"),
        [
            ("http://host.test/v1", b"host.test"),
            ("https://[::1]:8000/v1", b"[::1]:8000"),
            ("http://bücher.test/v1", b"xn--bcher-kva.test"),
            ("http://user:secret@host.test/v1", b"host.test"),
        ],
    )
    def test_host(self, url: str, host: bytes) -> None:
        assert dict(header_lines(request(url)))[b"Host"] == host

    def test_of_an_answer(self) -> None:
        assert header_map([(b"Retry-After", b"7"), (b"X", b"\xe9")]) == {
            "retry-after": "7",
            "x": "é",
        }

    def test_are_not_shown(self) -> None:
        shown = repr(request("http://host.test", ("Authorization", "secret"), body=b"private"))
        assert "secret" not in shown
        assert "private" not in shown


def test_origins() -> None:
    assert origin_of("https://host.test:8000/v1/chat?x#y") == "https://host.test:8000"


def test_options_of_a_proxy() -> None:
    assert proxy_options("http://proxy.test:3128") == {"proxy_url": "http://proxy.test:3128"}
    assert proxy_options("http://ann:p%40ss@proxy.test:3128") == {
        "proxy_url": "http://proxy.test:3128", "proxy_auth": ("ann", "p@ss"),
    }  # fmt: skip


def test_a_wait_is_never_none_at_all() -> None:
    now = 10.0
    wait = Wait(15.0, 1.0, lambda: now)
    assert wait.remaining() == 5.0
    wait.until = 3.0
    assert wait.remaining() == 0.001


def test_failures_have_words() -> None:
    assert str(WireFailure("cut", "gone")) == "cut: gone"
    assert str(WireFailure("cut")) == "cut"


class TestBlockTimes:
    @pytest.mark.parametrize(
        ("text", "nanoseconds"),
        [
            ("2026-11-24T10:00:00Z", 1_795_514_400_000_000_000),
            ("2026-11-24T10:00:00.5Z", 1_795_514_400_500_000_000),
            ("2026-11-24T10:00:00.123456789Z", 1_795_514_400_123_456_789),
            ("2026-11-24T10:00:00.1234567891Z", 1_795_514_400_123_456_789),
        ],
    )
    def test_are_exact(self, text: str, nanoseconds: int) -> None:
        assert parse_time_ns(text) == nanoseconds

    @pytest.mark.parametrize("text", ["", "soon", "2026-11-24T10:00:00.xyzZ"])
    def test_that_are_none(self, text: str) -> None:
        with pytest.raises(ValueError):
            parse_time_ns(text)


class TestWhoServed:
    def test_a_record(self) -> None:
        record = AttemptRecord("http://h/v1", "participant", "gonka1x", "status", 503, "busy", 0.5)
        assert str(record) == "participant http://h/v1 (gonka1x): status 503: busy"
        assert record.as_dict() == {
            "endpoint": "http://h/v1", "kind": "participant", "address": "gonka1x",
            "outcome": "status", "status": 503, "error": "busy", "seconds": 0.5,
        }  # fmt: skip
        assert str(AttemptRecord("http://g/v1", "gateway", None, "served")) == (
            "gateway http://g/v1: served"
        )

    def test_as_json(self) -> None:
        served = ServedBy.by(gateway(), "llama", None)
        served.attempts = [
            AttemptRecord("http://h/v1", "participant", None, outcome)
            for outcome in ("outrun", "cut", "served")
        ]
        shown = json.loads(json.dumps(served.as_dict()))
        assert (shown["kind"], shown["failovers"], len(shown["attempts"])) == ("gateway", 1, 3)
        assert "address" not in shown
        assert "epoch" not in shown

    def test_of_a_participant(self) -> None:
        served = ServedBy.by(node(1), "llama", 7)
        assert (served.address, served.epoch) == (account(1001).address, 7)


def test_a_policy_with_other_retries() -> None:
    policy = RetryPolicy(retry_ambiguous=False)
    assert policy.with_retries(9) == RetryPolicy(max_retries=9, retry_ambiguous=False)
