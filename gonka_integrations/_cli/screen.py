"""What commands show: tables for people, JSON for machines. Knows nothing of the network."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Column", "console", "emit", "error", "note", "table"]

_PIPE_WIDTH = 160
"""Characters in a line when the output is no terminal, so that addresses stay whole."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        number: Whether it is set flush right.
    """

    title: str
    number: bool = False


def console(*, stderr: bool = False) -> Console:
    """A console on the current standard output (or error)."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def emit(value: Any) -> None:
    """Print *value* as JSON for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str, ensure_ascii=False) + "\n")


def build_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of *rows*; None is shown as a dash."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column.title, justify="right" if column.number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    console().print(build_table(title, columns, rows))


def note(text: str) -> None:
    """Print a line that belongs to no table; hosts' texts in it are not read as markup."""
    console().print(Text(text), soft_wrap=True)


def error(text: str) -> None:
    """Print an error on standard error."""
    message = Text("error: ", style="bold red")
    message.append(text, style="default not bold")
    console(stderr=True).print(message, soft_wrap=True)


def _cell(value: Any) -> Text:
    if isinstance(value, Text):
        return value
    if value is None or value == "":
        return Text("-", style="dim")
    if isinstance(value, float):
        return Text(f"{value:.3f}")
    return Text(str(value))
