"""Which discovered URLs may be connected to. Discovered URLs are hostile input.

Hosts choose the URLs that they publish, so a URL that leads into a private network, to the
machine itself or to a cloud's metadata service is refused: by its text here, by what its name
resolves to in `resolution`, and by the connected peer in the connections.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

__all__ = ["check_url", "host_ip", "is_forbidden_ip", "is_private_url", "url_host"]

_MAX_URL = 2048
# Never hosts, whatever the running Python's tables say: protocol assignments with Oracle's metadata
# service among them, 6to4 relays, and Azure's wire server.
_NEVER = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Names that resolve on the machine or in its network only (RFC 6761, 6762, 8375; Google's cloud).
_LOCAL_NAMES = re.compile(r"(.+\.)?(localhost|localdomain|local|internal|home\.arpa)")
_NUMBER = re.compile(r"0x[0-9a-f]+|0[0-7]*|[1-9][0-9]*")
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?")

_IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_url(url: str, allow_private: bool = False) -> str | None:
    """Why a discovered URL must not be used, None when its text is fine.

    Args:
        url: As the participant published it.
        allow_private: Whether it may lead to private networks and the machine itself.
    """
    reason = _flaw(url)
    if reason is not None or allow_private:
        return reason
    host = url_host(url) or ""
    if _LOCAL_NAMES.fullmatch(host):
        return f"its host {host} is a name of private networks"
    ip = host_ip(host)
    if ip is not None and is_forbidden_ip(ip):
        return f"its address {ip} is not a public one"
    return None


def url_host(url: str) -> str | None:
    """The host of *url* in the form in which it is looked up, None when there is none."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    host = unicodedata.normalize("NFKC", host).lower().removesuffix(".")
    if ":" in host:
        return host if _parsed(host) is not None else None
    try:
        host = host.encode("idna").decode("ascii") if host and not host.isascii() else host
    except UnicodeError:
        return None
    return host if _NAME.fullmatch(host) else None


def host_ip(host: str) -> str | None:
    """The address that *host* spells, None when it is a name.

    Resolvers take more than the usual spellings: ``2130706433``, ``0x7f.1`` and ``0177.0.0.1`` are
    all the machine itself.
    """
    address = _parsed(host)
    if address is not None:
        return str(address)
    parts = host.lower().split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):  # noqa: PLR2004
        return None
    *bytes_, last = (_number(part) for part in parts)
    if any(byte > 255 for byte in bytes_) or last >= 256 ** (4 - len(bytes_)):  # noqa: PLR2004
        return None
    leading = sum(byte << (24 - 8 * place) for place, byte in enumerate(bytes_))
    return str(ipaddress.IPv4Address(leading | last))


@functools.lru_cache(maxsize=16_384)
def is_forbidden_ip(ip: str) -> bool:
    """Whether *ip* is anything but a public unicast address; also when it is no address."""
    address = _parsed(ip)
    return address is None or any(_is_private(form) for form in _forms(address))


def is_private_url(url: str) -> bool:
    """Whether a proper URL leads to a private network by its text."""
    return check_url(url, allow_private=True) is None and check_url(url) is not None


def _flaw(url: str) -> str | None:
    if len(url) > _MAX_URL:
        return "its URL is longer than any real one"
    if "\\" in url or any(c.isspace() or ord(c) < 32 for c in url):  # noqa: PLR2004 - ASCII control
        return "its URL has characters that no URL has"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "its URL cannot be read"
    flaws = {
        "its URL is not of http or https": parts.scheme not in ("http", "https"),
        "its URL has a user name in it": "@" in parts.netloc,
        "its URL has a query or fragment in it": bool(parts.query or parts.fragment),
        "its URL has no host or port to connect to": port == 0 or url_host(url) is None,
    }
    return next((flaw for flaw, found in flaws.items() if found), None)


def _parsed(text: str) -> _IPAddress | None:
    try:
        # With a zone (fe80::1%eth0) an address is of one link, so never public.
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _number(text: str) -> int:
    if text.startswith("0x"):
        return int(text, 16)
    return int(text, 8) if text.startswith("0") else int(text)


def _forms(address: _IPAddress) -> list[_IPAddress]:
    """The address, and the IPv4 addresses that its traffic would end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    teredo = address.teredo
    embedded = [address.ipv4_mapped, address.sixtofour, teredo[1] if teredo else None]
    if address in _NAT64:
        embedded.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    found: list[_IPAddress] = [inner for inner in embedded if inner is not None]
    # ::ffff:1.2.3.4 itself counts as private, whatever is in it.
    return found if address.ipv4_mapped or address in _NAT64 else [address, *found]


def _is_private(address: _IPAddress) -> bool:
    return (
        not address.is_global
        or address.is_multicast
        or address.is_reserved
        or any(address in network for network in _NEVER)
    )
