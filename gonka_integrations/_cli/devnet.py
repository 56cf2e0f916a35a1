"""`gonka devnet`: the local network as a command."""

from __future__ import annotations

import typer

from ..errors import GonkaClientError

__all__ = ["devnet"]


def devnet(context: typer.Context) -> None:
    """Start a Gonka network on this machine and print how to use it."""
    try:
        from ..devnet.__main__ import main  # noqa: PLC0415 - an optional dependency is behind it
    except ImportError as missing:
        raise GonkaClientError(str(missing)) from None
    raise typer.Exit(main(context.args, "gonka devnet"))
