"""`gonka bench`: how fast each endpoint answers, by asking it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ..config import GonkaConfig
from ..core.session import GonkaSession
from ..errors import GonkaConfigError, GonkaError
from . import screen
from .options import (
    AllowPrivateHosts,
    AsJson,
    BaseUrl,
    EndpointList,
    KeyFile,
    Model,
    SourceUrl,
    Timeout,
    connection,
)
from .places import Place, at_once, discovery_of, known_places

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["bench"]

_PROMPT = "Count from one to ten."


@dataclass
class Result:
    """What calls to one place gave; times in seconds.

    Attributes:
        first: Until the first content, of each call that succeeded.
        total: Until the end.
        speed: Tokens a second after the first content.
        errors: First line of each error.
    """

    first: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Medians and errors as plain JSON values."""
        return {
            "served": len(self.total),
            "failed": len(self.errors),
            "first_token_seconds": _median(self.first),
            "total_seconds": _median(self.total),
            "tokens_per_second": _median(self.speed),
            "errors": self.errors,
        }


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def bench(
    model: Model = None,
    requests: Annotated[int, typer.Option("--requests", "-n", min=1, help="To each.")] = 3,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of each answer.")] = 32,
    source_url: SourceUrl = None,
    endpoint: EndpointList = None,
    base_url: BaseUrl = None,
    key_file: KeyFile = None,
    allow_private_hosts: AllowPrivateHosts = False,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Ask every endpoint a few short questions and show how fast it is. Answers may cost money."""
    config = connection(
        source_url=source_url,
        endpoint=endpoint,
        base_url=base_url,
        key_file=key_file,
        allow_private_hosts=allow_private_hosts,
        model=model,
    )
    config.require_source()
    found = discovery_of(config, timeout).discover() if config.source_url else None
    places = [one for one in known_places(config, found) if _usable(one, config)]
    name = config.model or _first_model(places)
    payload = {
        "model": name,
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": _PROMPT}],
    }
    results = at_once(places, lambda one: _measure(one, config, payload, requests, timeout))
    if as_json:
        rows = [place.as_dict() | result.as_dict() for place, result in results]
        screen.emit({"model": name, "requests": requests, "endpoints": rows})
    else:
        screen.table(f"{requests} requests to each, {name}", _COLUMNS, map(_row, results))
    if not any(result.total for _, result in results):
        raise typer.Exit(1)


_COLUMNS = (
    screen.Column("kind"),
    screen.Column("endpoint"),
    screen.Column("served", number=True),
    screen.Column("first token ms", number=True),
    screen.Column("total ms", number=True),
    screen.Column("tokens/s", number=True),
    screen.Column("trouble"),
)


def _usable(place: Place, config: GonkaConfig) -> bool:
    return place.kind != "participant" or config.credential is not None


def _first_model(places: Sequence[Place]) -> str:
    known = sorted({model for place in places for model in place.models})
    if known:
        return known[0]
    raise GonkaConfigError("model: give --model or set GONKA_MODEL", field="model")


def _measure(
    place: Place, config: GonkaConfig, payload: dict[str, Any], requests: int, timeout: float
) -> Result:
    result = Result()
    with GonkaSession(_alone(place, config, timeout)) as session:
        for _ in range(requests):
            try:
                _ask(session, payload, result)
            except GonkaError as trouble:
                result.errors.append(str(trouble).splitlines()[0])
    return result


def _alone(place: Place, config: GonkaConfig, timeout: float) -> GonkaConfig:
    """A configuration in which *place* is the only endpoint, without retries."""
    common: dict[str, Any] = {
        "timeout": timeout,
        "max_retries": 0,
        "allow_private_hosts": config.allow_private_hosts,
    }
    if place.kind != "participant":
        gateway = {"base_url": place.base_url, "api_key": place.key}
        return GonkaConfig(gateways=[gateway], **common)
    signing: dict[str, Any] = {"signer": config.signer, "private_key": config.private_key}
    return GonkaConfig(
        endpoints=[f"{place.base_url};{place.address}"], address=config.address, **signing, **common
    )


def _ask(session: GonkaSession, payload: dict[str, Any], result: Result) -> None:
    tokens = 0
    with session.chat.stream(payload) as stream:
        for chunk in stream:
            tokens = (chunk.get("usage") or {}).get("completion_tokens") or tokens
        served = stream.served
    first, total = served.first_token_seconds or 0.0, served.total_seconds or 0.0
    result.first.append(first)
    result.total.append(total)
    if tokens > 1 and total > first:
        result.speed.append((tokens - 1) / (total - first))


def _row(entry: tuple[Place, Result]) -> tuple[Any, ...]:
    place, result = entry
    shown = result.as_dict()
    trouble = Text(result.errors[0], style="red") if result.errors else None
    return (
        place.kind,
        place.name,
        shown["served"],
        _milliseconds(shown["first_token_seconds"]),
        _milliseconds(shown["total_seconds"]),
        None if shown["tokens_per_second"] is None else f"{shown['tokens_per_second']:.0f}",
        trouble,
    )


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{1000 * seconds:.0f}"
