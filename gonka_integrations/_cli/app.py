"""The command tree, and how errors become exit codes."""

from __future__ import annotations

from typing import Annotated

import typer

from .. import __version__
from ..errors import GonkaConfigError, GonkaError
from . import keys, screen
from .bench import bench
from .chat import chat
from .devnet import devnet
from .doctor import doctor
from .network import epoch, models, participants
from .status import status
from .verify import verify

__all__ = ["app", "run"]

# Tracebacks with local variables could show a key.
app = typer.Typer(
    name="gonka",
    help="The Gonka network from the command line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (doctor, participants, models, epoch, verify, chat, status, bench):
    app.command()(_command)
app.add_typer(keys.app, name="keys")
app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(devnet)

_FAILED, _WRONG = 1, 2


def _version(wanted: bool) -> None:
    if wanted:
        screen.note(f"gonka-integrations {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run the command line *arguments*; the exit code as `gonka_integrations.cli` lists them."""
    try:
        app(arguments, prog_name="gonka")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except GonkaError as trouble:
        screen.error(str(trouble))
        return _WRONG if isinstance(trouble, GonkaConfigError) else _FAILED
    except BrokenPipeError:
        return 0
    return 0
