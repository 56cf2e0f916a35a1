"""`gonka status`: a table of the pool, once or live."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from ..errors import GonkaConfigError, GonkaDiscoveryError
from . import screen
from .network import duration
from .options import (
    AllowPrivateHosts,
    AsJson,
    BaseUrl,
    EndpointList,
    SourceUrl,
    Timeout,
    connection,
)
from .places import Place, Reply, at_once, discovery_of, known_places, probe

if TYPE_CHECKING:
    from ..config import GonkaConfig

__all__ = ["status"]

_COLUMNS = (
    screen.Column("kind"),
    screen.Column("address"),
    screen.Column("url"),
    screen.Column("weight", number=True),
    screen.Column("models"),
    screen.Column("answers"),
    screen.Column("ms", number=True),
)
_WIDE = 120
"""Characters in a line from which on addresses are shown whole."""


class Board:
    """What is shown: places, how they answer, and where the chain is.

    Args:
        config: Where to look.
        timeout: Seconds for one question.
    """

    def __init__(self, config: GonkaConfig, timeout: float) -> None:
        self._config = config
        self._timeout = timeout
        self._discovery = discovery_of(config, timeout) if config.source_url else None
        self.trouble = ""
        self.places: list[Place] = []
        self.replies: list[tuple[Place, Reply]] = []
        self.epoch: int | None = None
        self.phase = ""
        self.left: float | None = None

    def look(self) -> None:
        """Ask everybody."""
        self.trouble = ""
        found = None
        try:
            if self._discovery is not None:
                info = self._discovery.epoch_info()
                found = self._discovery.discover()
                self.epoch, self.phase = found.epoch_id, info.phase
                self.left = info.seconds_to_change()
        except GonkaDiscoveryError as trouble:
            self.trouble = str(trouble).splitlines()[0]
        self.places = known_places(self._config, found)
        self.replies = at_once(self.places, lambda one: probe(one, self._timeout))

    @property
    def up(self) -> int:
        """How many answer."""
        return sum(reply.up for _, reply in self.replies)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        rows = [
            place.as_dict()
            | {"up": reply.up, "seconds": reply.seconds, "status": reply.status,
               "detail": reply.detail}
            for place, reply in self.replies
        ]  # fmt: skip
        return {"epoch": self.epoch, "phase": self.phase, "seconds_to_change": self.left,
                "trouble": self.trouble, "endpoints": rows}  # fmt: skip

    def shown(self) -> Group:
        """As a table, below what went wrong."""
        narrow = screen.console().width < _WIDE
        rows = [_row(entry, narrow=narrow) for entry in self.replies]
        table = screen.build_table(self._title(), _COLUMNS, rows)
        trouble = [Text(self.trouble, style="red")] if self.trouble else []
        return Group(*trouble, table)

    def _title(self) -> str:
        parts = [f"{self.up} of {len(self.places)} endpoints answer"]
        if self.epoch is not None:
            parts.append(f"epoch {self.epoch}, {self.phase}")
        if self.left is not None:
            parts.append(f"change in about {duration(self.left)}")
        return "; ".join(parts)


def _row(entry: tuple[Place, Reply], *, narrow: bool) -> tuple[Any, ...]:
    place, reply = entry
    address = place.address
    if narrow and address is not None:
        address = f"{address[:9]}…{address[-4:]}"
    said = Text("yes", style="green") if reply.up else Text(_why(reply), style="red")
    names = ", ".join(place.models)
    milliseconds = f"{1000 * reply.seconds:.0f}"
    return (place.kind, address, place.base_url, place.weight, names, said, milliseconds)


def _why(reply: Reply) -> str:
    return " ".join(filter(None, [str(reply.status or ""), reply.detail or "no"]))


def status(
    source_url: SourceUrl = None,
    endpoint: EndpointList = None,
    base_url: BaseUrl = None,
    allow_private_hosts: AllowPrivateHosts = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until interrupted.")] = False,
    interval: Annotated[float, typer.Option(min=0.0, help="Seconds between two looks.")] = 10.0,
    looks: Annotated[int, typer.Option("--looks", min=1, hidden=True)] = sys.maxsize,
    timeout: Timeout = 5.0,
    as_json: AsJson = False,
) -> None:
    """Every endpoint and whether it answers; asks nothing that costs."""
    config = connection(
        source_url=source_url,
        endpoint=endpoint,
        base_url=base_url,
        allow_private_hosts=allow_private_hosts,
    )
    if not (config.source_url or known_places(config)):
        raise GonkaConfigError(
            "source_url: nothing to look at; name a node (--source-url) or a gateway (--base-url)",
            field="source_url",
        )
    board = Board(config, timeout)
    _show(board, as_json=as_json, looks=looks if watch else 1, interval=interval)
    if not board.up:
        raise typer.Exit(1)


def _show(board: Board, *, as_json: bool, looks: int, interval: float) -> None:
    board.look()
    if as_json or looks == 1:
        for left in range(looks - 1, -1, -1):
            screen.emit(board.as_dict()) if as_json else screen.console().print(board.shown())
            if left:
                time.sleep(interval)
                board.look()
        return
    with Live(board.shown(), console=screen.console(), auto_refresh=False) as live:
        for _ in range(looks - 1):
            time.sleep(interval)
            board.look()
            live.update(board.shown(), refresh=True)
