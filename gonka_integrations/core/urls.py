"""URLs that a user gives: their form is checked and made uniform, their host is trusted."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from ..errors import GonkaConfigError

__all__ = ["api_base", "host_of", "source_base"]

_COMPLETIONS = "/chat/completions"


def source_base(text: object, field: str) -> str:
    """URL of a node without ``/v1`` and without a trailing slash.

    Raises:
        GonkaConfigError: It is not an http(s) URL, or has credentials or a query in it.
    """
    return _plain(text, field).removesuffix("/v1").rstrip("/")


def api_base(text: object, field: str, *, versioned: bool = False) -> str:
    """URL that ``/chat/completions`` can be appended to.

    Args:
        text: What the user gave; with ``/chat/completions`` at its end is fine too.
        field: Name for error messages.
        versioned: Whether ``/v1`` is added to a URL without a path.

    Raises:
        GonkaConfigError: As in `source_base`.
    """
    url = _plain(text, field).removesuffix(_COMPLETIONS).rstrip("/")
    if versioned and not urlsplit(url).path:
        url += "/v1"
    return url


def host_of(url: str) -> str:
    """Host and port, in lower case: what a key is given for."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{(parts.hostname or '').lower()}:{port}"


def _plain(text: object, field: str) -> str:
    if not isinstance(text, str):
        raise GonkaConfigError(
            f"{field}: expected a URL as text, not {type(text).__name__}", field=field
        )
    complaint = _complaint(text.strip())
    if complaint:
        # The URL itself is not shown: what is wrong with it may be a password in it.
        raise GonkaConfigError(f"{field}: {complaint}", field=field)
    return text.strip().rstrip("/")


def _complaint(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "this is not a URL"
    if parts.scheme not in ("http", "https"):
        return "expected a URL that begins with http:// or https://"
    return _doubt(parts, text) or ("port 0 does not exist" if port == 0 else None)


def _doubt(parts: SplitResult, text: str) -> str | None:
    if not parts.hostname or any(c.isspace() or ord(c) < 32 for c in text):  # noqa: PLR2004 - ASCII
        return "the URL has no host, or white space in it"
    if "@" in parts.netloc:
        return "leave the user name and password out of the URL"
    if parts.query or parts.fragment:
        return "leave the part from ? or # on out of the URL"
    return None
