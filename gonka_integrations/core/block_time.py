"""The chain's own time, for machines whose clock differs from it."""

from __future__ import annotations

import email.utils
import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .effects import Close, Open, Read
from .wire import Wait, WireFailure, WireRequest

if TYPE_CHECKING:
    from .effects import Flow
    from .endpoints import Endpoint
    from .signing import TimestampSource
    from .wire import Exchange

_logger = logging.getLogger("gonka_integrations.block_time")
_LIMIT = 5.0
_LARGEST = 1024 * 1024
_NANO = 1_000_000_000


def learn_block_time(endpoint: Endpoint, wait: Wait, timestamps: TimestampSource) -> Flow[None]:
    """Ask a host for the time of its latest block, and sign by it from now on.

    Hosts compare a signature's time with that block's, not with a clock (decentralized-api,
    ``post_chat_handler.go``). When it cannot be read, timestamps stay as they are.
    """
    root = endpoint.base_url.removesuffix("/v1")
    patience = Wait(wait.clock() + _LIMIT, wait.connect, wait.clock)
    request = WireRequest("GET", f"{root}/chain-rpc/status", [], b"", patience, endpoint.trusted)
    body, exchange = b"", None
    try:
        exchange = yield Open(request)
        while data := (yield Read(exchange)):
            body += data
            if len(body) > _LARGEST:
                break
    except WireFailure as failure:
        _logger.warning("The time of %s could not be read: %s", endpoint, failure)
    moment = _time_in(body) or _date_of(exchange)
    if exchange is not None:
        yield Close(exchange)
    if moment is not None:
        offset = timestamps.synchronise(moment, endpoint.address)
        if not timestamps.offset_ns():
            timestamps.set_offset(offset)
        _logger.warning(
            "This machine's clock differs from the chain's by %.1f s; signatures follow the chain",
            -offset / _NANO,
        )


def _time_in(body: bytes) -> int | None:
    try:
        text = json.loads(body)["result"]["sync_info"]["latest_block_time"]
        return parse_time_ns(text)
    except (ValueError, KeyError, TypeError):
        return None


def parse_time_ns(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine fractional digits.

    Raises:
        ValueError: It is no such time.
    """
    whole, _, rest = text.partition(".")
    if not rest:
        return int(datetime.fromisoformat(text).timestamp()) * _NANO
    digits = rest.rstrip("Z")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * _NANO + int(digits[:9].ljust(9, "0"))


def _date_of(exchange: Exchange | Any) -> int | None:
    try:
        date = email.utils.parsedate_to_datetime(exchange.headers["date"])
    except (AttributeError, KeyError, ValueError, TypeError):
        return None
    return int(date.timestamp()) * _NANO
