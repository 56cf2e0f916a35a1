"""`gonka verify`: is this participant list the network's, and how do we know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from ..core.discovery import EndpointDiscovery
from ..errors import GonkaConfigError, GonkaError, GonkaProofVerificationError
from . import screen
from .options import AsJson, Timeout, connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..proof.report import EvidenceLine

__all__ = ["verify"]

_MARKS = {True: ("ok    ", "green"), False: ("FAIL  ", "bold red")}


def verify(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Nodes to ask, of different people. Default: GONKA_SOURCE_URL."),
    ] = None,
    trust: Annotated[
        str,
        typer.Option(
            help="Where trust begins: 'agreement', 'agreement:N' of N sources, or "
            "'checkpoint:HEIGHT:HASH'; with @CHAIN behind for another chain than mainnet."
        ),
    ] = "agreement",
    epoch: Annotated[str, typer.Option(help="'current', or a number.")] = "current",
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Verify who the participants are, and print the chain of evidence line by line.

    Exits with 1 when the list is not proven. What was found trustworthy is remembered for the next
    time.
    """
    config = connection(source_url=sources)
    if not config.source_url:
        raise GonkaConfigError("source_url: name the nodes to ask", field="source_url")
    verifier = _verifier(trust)
    discovery = EndpointDiscovery(
        config.source_url, verify_proofs=True, verifier=verifier, timeout=timeout, retry_count=0
    )
    trouble: GonkaError | None = None
    told: dict[str, Any] = {"verified": False}
    try:
        found = discovery.discover_for_epoch(epoch)
        told = {"verified": True, "epoch": found.epoch_id, "participants": len(found)}
    except GonkaProofVerificationError as error:
        trouble = error
    lines = getattr(trouble, "evidence", ()) or verifier.report.lines
    if as_json:
        evidence = [{"check": a, "holds": b, "detail": c} for a, b, c in lines]
        screen.emit(told | {"error": trouble and str(trouble), "evidence": evidence})
    else:
        _show(lines)
        _conclude(told, trouble)
    if trouble is not None:
        raise typer.Exit(1)


def _verifier(trust: str) -> Any:
    try:
        from ..proof.fetching import ProofVerifier  # noqa: PLC0415 - an optional dependency
    except ImportError as missing:
        raise GonkaConfigError(
            f"verification needs {missing.name}: pip install 'gonka-integrations[proof]'"
        ) from None
    return ProofVerifier(trust)


def _show(lines: Iterable[EvidenceLine]) -> None:
    for check, holds, detail in lines:
        # Not held against the list: another source was asked in place of this one.
        mark, style = ("skip  ", "yellow") if holds is None else _MARKS[holds]
        line = Text(mark, style=style)
        line.append(f"{check:24} ", style="bold not red not green not yellow")
        line.append(detail, style="default not bold")
        screen.console().print(line, soft_wrap=True)


def _conclude(told: dict[str, Any], trouble: GonkaError | None) -> None:
    if trouble is not None:
        screen.error(f"not proven: {trouble}")
        return
    screen.note(f"\nProven: {told['participants']} participants of epoch {told['epoch']}")
