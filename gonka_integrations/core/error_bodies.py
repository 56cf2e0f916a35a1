"""What an error body says, read by its content and not by its declared type.

Nodes answer ``{"error": "text"}``, gateways ``{"error": {"message": "text"}}`` as text/plain,
retired routes ``{"error": "deprecated", "message": "text"}``, switched-off gateways
``{"status": 308, "message": …, "new_url": …}``, proxies HTML, and some anything at all.
"""

from __future__ import annotations

import json
import re
from typing import Any

_TAGS = re.compile(r"<[^>]+>")
_TITLE = re.compile(r"<title>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SPACE = re.compile(r"\s+")
_LONGEST = 2_000


def parse_body(body: bytes) -> Any:
    """The body as JSON when it is JSON, else as text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def error_text(body: bytes) -> str:
    """The human part of an error body, on one line of at most 2,000 characters."""
    parsed = parse_body(body[:1_000_000])
    text = _from_json(parsed) if isinstance(parsed, dict) else _from_text(str(parsed))
    return _SPACE.sub(" ", text).strip()[:_LONGEST]


def new_url(body: bytes) -> str | None:
    """Where a switched-off gateway points to. Shown to the user, never followed."""
    parsed = parse_body(body)
    url = parsed.get("new_url") if isinstance(parsed, dict) else None
    return url if isinstance(url, str) else None


def _from_json(parsed: dict[str, Any]) -> str:
    error, message = parsed.get("error"), parsed.get("message")
    if isinstance(error, dict):
        return str(error.get("message") or error)
    if isinstance(error, str) and isinstance(message, str):
        return f"{error}: {message}"
    return str(error or message or parsed.get("detail") or json.dumps(parsed))


def _from_text(text: str) -> str:
    if "<html" in text[:1_000].lower():
        title = _TITLE.search(text)
        return title.group(1) if title else _TAGS.sub(" ", text)
    return text
