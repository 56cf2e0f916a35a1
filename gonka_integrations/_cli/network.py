"""`gonka participants`, `models` and `epoch`: what the network says of itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.reads import decode_models
from ..errors import GonkaConfigError
from . import screen
from .options import AllowPrivateHosts, AsJson, BaseUrl, SourceUrl, Timeout, connection
from .places import at_once, discovery_of, known_places, probe

if TYPE_CHECKING:
    from ..core.epochs import EpochInfo

__all__ = ["duration", "epoch", "models", "participants"]

_Epoch = Annotated[str, typer.Option("--epoch", help="'current', or a number.")]


def participants(
    source_url: SourceUrl = None,
    epoch: _Epoch = "current",
    allow_private_hosts: AllowPrivateHosts = False,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Who takes part in an epoch, and who is left out and why."""
    config = connection(source_url=source_url, allow_private_hosts=allow_private_hosts)
    found = discovery_of(config, timeout).discover_for_epoch(epoch)
    if as_json:
        screen.emit(
            {
                "epoch": found.epoch_id,
                "source_url": found.source_url,
                "verified": found.verified,
                "participants": [asdict(one) for one in found],
                "skipped": [{"participant": who, "reason": why} for who, why in found.skipped],
            }
        )
        return
    known = "proven" if found.verified else "not verified; see gonka verify"
    screen.table(
        f"Participants of epoch {found.epoch_id} ({known})",
        [
            screen.Column("address"),
            screen.Column("weight", number=True),
            screen.Column("url"),
            screen.Column("models"),
        ],
        [(one.address, one.weight, one.inference_url, ", ".join(one.models)) for one in found],
    )
    if found.skipped:
        screen.note("")
        screen.table(
            "Not used", [screen.Column("participant"), screen.Column("reason")], found.skipped
        )


def models(
    source_url: SourceUrl = None,
    base_url: BaseUrl = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Models that the network, and each gateway and provider, serves."""
    config = connection(source_url=source_url, base_url=base_url)
    rows = []
    if config.source_url:
        discovery = discovery_of(config, timeout)
        rows += [_model_row("network", discovery.source_url, one) for one in discovery.models()]
    keyed = [place for place in known_places(config) if place.kind != "participant"]
    if not rows and not keyed:
        raise GonkaConfigError(
            "source_url: name a node (--source-url) or a gateway (--base-url)", field="source_url"
        )
    for place, reply in at_once(keyed, lambda one: probe(one, timeout)):
        if not reply.up:
            screen.error(f"{place.base_url}: {reply.detail or reply.status}")
            continue
        rows += [_model_row(place.kind, place.base_url, one) for one in decode_models(reply.body)]
    if as_json:
        screen.emit({"models": rows})
    else:
        _show_models(rows)
    if not rows:
        raise typer.Exit(1)


def _model_row(kind: str, where: str, model: Any) -> dict[str, Any]:
    return {"model": model.id, "kind": kind, "where": where, "context": model.context_length,
            "output": model.max_output_length}  # fmt: skip


def _show_models(rows: list[dict[str, Any]]) -> None:
    screen.table(
        "Models",
        [
            screen.Column("model"),
            screen.Column("served by"),
            screen.Column("where"),
            screen.Column("context", number=True),
            screen.Column("output", number=True),
        ],
        [tuple(row.values()) for row in rows],
    )


def epoch(source_url: SourceUrl = None, timeout: Timeout = 10.0, as_json: AsJson = False) -> None:
    """Where the chain is in its epoch, and when participants change."""
    discovery = discovery_of(connection(source_url=source_url), timeout)
    info = discovery.epoch_info()
    left = info.seconds_to_change()
    if as_json:
        screen.emit(asdict(info) | {"seconds_to_change": left})
        return
    rows = [
        ("epoch", info.epoch),
        ("phase", info.phase),
        ("block height", info.block_height),
        ("epoch length", f"{info.epoch_length} blocks" if info.epoch_length else None),
        ("confirmation of compute", info.confirmation_poc or "not running"),
        ("participants change", _change(info, left)),
    ]
    screen.table("Epoch", [screen.Column("what"), screen.Column("value")], rows)


def _change(info: EpochInfo, left: float | None) -> str | None:
    if left is None:
        return None
    return f"at block {info.next_change}, in about {duration(left)}"


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
