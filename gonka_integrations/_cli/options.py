"""Options that commands share, and the configuration they add up to.

No option takes a key: arguments show up in process lists and shell histories. Keys come from a
key file or from the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import GonkaConfig
from . import keyfile

__all__ = [
    "AllowPrivateHosts",
    "AsJson",
    "BaseUrl",
    "EndpointList",
    "KeyFile",
    "Model",
    "SourceUrl",
    "Timeout",
    "connection",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SourceUrl = Annotated[
    list[str] | None,
    typer.Option(
        "--source-url", "-s", help="Node to discover from; repeatable. Default: GONKA_SOURCE_URL."
    ),
]
EndpointList = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint", help="Participant url;address; repeatable. Default: GONKA_ENDPOINTS."
    ),
]
BaseUrl = Annotated[
    list[str] | None,
    typer.Option(
        "--base-url",
        "-g",
        help="Gateway, with /v1; repeatable. Its key is read from GONKA_BROKER_API_KEY. "
        "Default: GONKA_BROKER_URL.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", "-k", help="File made by gonka keys. Default: GONKA_PRIVATE_KEY."),
]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Model to use. Default: GONKA_MODEL.")
]
AllowPrivateHosts = Annotated[
    bool, typer.Option("--allow-private-hosts", help="Accept hosts on private networks.")
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for a request.")]


def connection(
    *,
    source_url: list[str] | None = None,
    endpoint: list[str] | None = None,
    base_url: list[str] | None = None,
    key_file: Path | None = None,
    allow_private_hosts: bool = False,
    **others: Any,
) -> GonkaConfig:
    """The configuration of a command: its options, then the environment.

    Raises:
        GonkaConfigError: A value is wrong; the message names it.
    """
    return GonkaConfig.build(
        source_url=source_url or None,
        endpoints=endpoint or None,
        gateways=base_url or None,
        private_key=keyfile.read(key_file) if key_file is not None else None,
        allow_private_hosts=allow_private_hosts or None,
        **others,
    )
