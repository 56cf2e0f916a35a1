"""One read of the network: a GET whose answer is bounded, not redirected, and judged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import GonkaDiscoveryError
from .effects import Close, Open, Read
from .wire import Wait, WireFailure, WireRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from .effects import Flow
    from .wire import Exchange

__all__ = ["FetchError", "Fetcher", "parse_json"]

_OK = 200
# Each read has a connection of its own: they are seconds apart, and nothing is left to close.
_HEADERS = [("Accept", "application/json"), ("Connection", "close")]
_SHOWN = 200
# Hosts answer a read above their limit with the proxy's HTML page of this status.
_LIMITED = frozenset({429, 503})
_WORTH_REPEATING = frozenset({408, 425, 429, 500, 502, 503, 504})


class FetchError(GonkaDiscoveryError):
    """One source did not give an answer that can be used.

    Attributes:
        repeatable: Whether the same source may give one later.
        rate_limited: Whether the source asked for fewer reads.
    """

    def __init__(
        self,
        message: str,
        *,
        source_url: str,
        status_code: int | None = None,
        repeatable: bool = True,
        rate_limited: bool = False,
    ) -> None:
        super().__init__(message, source_url=source_url, status_code=status_code)
        self.repeatable = repeatable
        self.rate_limited = rate_limited


@dataclass(frozen=True, slots=True)
class Fetcher:
    """How reads are done.

    Attributes:
        timeout: Seconds for one read.
        max_bytes: Longest answer that is taken.
        clock: Monotonic time in seconds.
    """

    timeout: float
    max_bytes: int
    clock: Callable[[], float]

    def get(self, source: str, path: str, *, trusted: bool = True) -> Flow[bytes]:
        """Body of a 200 answer to ``GET {source}{path}``.

        Args:
            source: Base URL, for errors too.
            path: From the slash on.
            trusted: Whether the source may be on a private network.

        Raises:
            FetchError: Anything else; says what, and who.
        """
        wait = Wait(self.clock() + self.timeout, self.timeout, self.clock)
        request = WireRequest("GET", source + path, list(_HEADERS), b"", wait, trusted)
        exchange: Exchange | None = None
        try:
            exchange = yield Open(request)
            body = yield from self._body(exchange, source, wait)
        except WireFailure as failure:
            raise FetchError(
                f"{source} did not answer {path}: {failure.text or failure.kind}", source_url=source
            ) from None
        finally:
            if exchange is not None:
                yield Close(exchange)
        if exchange.status != _OK:
            raise _refusal(source, path, exchange, body)
        return body

    def _body(self, exchange: Exchange, source: str, wait: Wait) -> Flow[bytes]:
        parts: list[bytes] = []
        length = 0
        while data := (yield Read(exchange)):
            if self.clock() > wait.until:  # a byte now and then does not move it
                raise WireFailure("timeout", f"the answer took more than {self.timeout:g} s")
            parts.append(data)
            length += len(data)
            if length > self.max_bytes:
                raise FetchError(
                    f"{source} answers with more than {self.max_bytes} bytes, so it was not read "
                    "(max_response_bytes)",
                    source_url=source,
                    repeatable=False,
                )
        return b"".join(parts)


def parse_json(body: bytes, source: str) -> Any:
    """Decoded JSON.

    Raises:
        FetchError: It is no JSON, or nested beyond all reason.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise FetchError(
            f"{source} answers with something else than JSON: {_excerpt(body)}",
            source_url=source,
            repeatable=_is_html(body),
        ) from None


def _refusal(source: str, path: str, exchange: Exchange, body: bytes) -> FetchError:
    status = exchange.status
    limited = status in _LIMITED and (status == 429 or _is_html(body))  # noqa: PLR2004
    if limited:
        problem = "is rate limited there: hosts allow about 10 reads a minute"
    elif 300 <= status < 400:  # noqa: PLR2004 - redirects
        target = exchange.headers.get("location", "")[:_SHOWN]
        problem = f"leads on to {target!r}, which is not followed; give the final URL"
    else:
        problem = f"failed with status {status}: {_excerpt(body)}"
    return FetchError(
        f"{source}: {path} {problem}",
        source_url=source,
        status_code=status,
        repeatable=status in _WORTH_REPEATING,
        rate_limited=limited,
    )


def _is_html(body: bytes) -> bool:
    return body.lstrip()[:1] == b"<"


def _excerpt(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        for name in ("message", "error"):
            if isinstance(answer.get(name), str):
                return str(answer[name])[:_SHOWN]
    if _is_html(body):
        return "an HTML page"
    return repr(body[:_SHOWN].decode("utf-8", "replace")) if body else "nothing"
