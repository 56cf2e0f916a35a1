"""URL policy: nothing that a participant publishes leads into a private network."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonka_integrations.core.url_policy import (
    check_url,
    host_ip,
    is_forbidden_ip,
    is_private_url,
    url_host,
)

FORBIDDEN_IPS = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a00:1::", "2001:0:7f00:1::",
    "", "localhost", "1.2.3", "1.2.3.4.5", "::g",
]  # fmt: skip
PUBLIC_IPS = [
    "1.1.1.1", "69.48.159.157", "8.8.8.8", "172.32.0.1", "100.63.255.255", "100.128.0.1",
    "192.167.255.255", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip
REFUSED = [
    "ftp://1.1.1.1", "file:///etc/passwd", "gopher://1.1.1.1", "javascript:alert(1)", "1.1.1.1",
    "//1.1.1.1", "", "http://", "http:///x", "http://:80", "http://[::1", "http://1.1.1.1:99999",
    "http://1.1.1.1:0", "http://1.1.1.1:port", "http://user@1.1.1.1", "http://user:word@1.1.1.1",
    "http://1.1.1.1@127.0.0.1", "http://127.0.0.1#@1.1.1.1", "http://1.1.1.1?x", "http://1.1.1.1#x",
    "http://1.1.1.1\\@127.0.0.1", "http://1.1.1.1 ", "http://1.1.1.1\n", "http://\x001.1.1.1",
    "http://127.0.0.1", "http://127.0.0.1:8000/", "https://127.1", "http://0", "http://0.0.0.0",
    "http://2130706433", "http://0x7f000001", "http://0x7F.1", "http://017700000001",
    "http://0177.0.0.1", "http://127.0.0.1.", "http://127.0x0.0.01", "http://2852039166",
    "http://[::1]:8000", "http://[::]", "http://[::ffff:127.0.0.1]", "http://[fe80::1%25eth0]",
    "http://[::ffff:7f00:1]", "http://[fd00::1]", "http://10.0.0.1", "http://192.168.0.1",
    "http://169.254.169.254/latest/meta-data", "http://metadata.google.internal",
    "http://localhost", "http://LOCALHOST:80", "http://localhost.", "http://a.localhost",
    "http://printer.local", "http://router.home.arpa", "http://x.localdomain", "http://①②⑦.0.0.1",
    "http://127。0。0。1", "http://%31%32%37.0.0.1", "http://a b", "http://-", "http://.",
    "http://" + "a" * 3000,
]  # fmt: skip
TAKEN = [
    "http://69.48.159.157:8000", "http://36.189.234.197:18026", "http://node1.gonka.ai:8000",
    "https://host.example", "https://host.example/gonka/", "http://genesis-api:8080",
    "http://[2606:4700:4700::1111]:8000", "http://xn--bcher-kva.example", "http://bücher.example",
    "http://host_1.example", "http://1.1.1.1.example", "http://internal.example",
]  # fmt: skip


@pytest.mark.parametrize("ip", FORBIDDEN_IPS)
def test_forbidden_addresses(ip: str) -> None:
    assert is_forbidden_ip(ip)


@pytest.mark.parametrize("ip", PUBLIC_IPS)
def test_public_addresses(ip: str) -> None:
    assert not is_forbidden_ip(ip)


@pytest.mark.parametrize("url", REFUSED)
def test_urls_that_are_refused(url: str) -> None:
    reason = check_url(url)
    assert reason is not None
    assert reason.startswith("its ")


@pytest.mark.parametrize("url", TAKEN)
def test_urls_that_are_taken(url: str) -> None:
    assert check_url(url) is None


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:80"])
def test_private_hosts_where_they_are_allowed(url: str) -> None:
    assert check_url(url, allow_private=True) is None


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://u@127.0.0.1", "http://127.0.0.1?x"])
def test_the_form_is_checked_even_then(url: str) -> None:
    assert check_url(url, allow_private=True) is not None


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://printer.local", True),
        ("http://93.184.216.34", False),
        ("http://host.example", False),
        ("http://127.0.0.1?x", False),
        ("http://host.example?x", False),
    ],
)
def test_private_urls(url: str, private: bool) -> None:
    """An improper URL is not one: being private is a reason to trust where it leads."""
    assert is_private_url(url) is private


@given(st.integers(0, 2**32 - 1), st.data())
def test_every_spelling_of_an_address_is_understood(number: int, data: st.DataObject) -> None:
    """As the system's own reader of addresses understands it."""
    parts = data.draw(st.integers(1, 4))
    values = [number >> 24 & 255, number >> 16 & 255, number >> 8 & 255][: parts - 1]
    values.append(number & (256 ** (5 - parts) - 1))
    forms = [data.draw(st.sampled_from([str, hex, lambda n: f"0{n:o}"])) for _ in values]
    text = ".".join(form(value) for form, value in zip(forms, values, strict=True))
    assert host_ip(text) == socket.inet_ntoa(socket.inet_aton(text))
    assert (check_url(f"http://{text}") is None) == (not is_forbidden_ip(str(host_ip(text))))


@given(st.ip_addresses(v=6))
def test_ipv6_addresses_never_slip_through(address: ipaddress.IPv6Address) -> None:
    refused = check_url(f"http://[{address}]:80") is not None
    assert refused == is_forbidden_ip(str(address))
    if not refused:
        assert address.is_global or address.ipv4_mapped is not None


@given(st.text(max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{text}:80/"):
        reason = check_url(url)
        assert reason is None or isinstance(reason, str)
        if reason is None:
            assert url_host(url)
