"""`gonka doctor`: is everything in order, and if not, what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from ..core.chat import CallOptions
from ..core.session import GonkaSession
from ..errors import GonkaError
from . import screen
from .checks import examine
from .findings import ADVICE, OK, WRONG, Finding
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
from .places import discovery_of

__all__ = ["doctor"]

_STYLES = {OK: "green", ADVICE: "yellow", WRONG: "bold red"}


def doctor(
    call: Annotated[
        bool, typer.Option("--call", help="Also send one short request, which may cost money.")
    ] = False,
    model: Model = None,
    source_url: SourceUrl = None,
    endpoint: EndpointList = None,
    base_url: BaseUrl = None,
    key_file: KeyFile = None,
    allow_private_hosts: AllowPrivateHosts = False,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Check key, sources, clock, allow-list, models, balance, gateways; say what to do."""
    config = connection(
        source_url=source_url,
        endpoint=endpoint,
        base_url=base_url,
        key_file=key_file,
        allow_private_hosts=allow_private_hosts,
        model=model,
    )
    discovery = discovery_of(config, timeout) if config.source_url else None
    findings = []
    for finding in examine(config, discovery, timeout):
        findings.append(finding)
        if not as_json:
            _show(finding)
    if call and not any(finding.state == WRONG for finding in findings):
        with GonkaSession(config) as session:
            findings.append(_call(session, config.model, timeout))
        if not as_json:
            _show(findings[-1])
    if as_json:
        screen.emit({"findings": [asdict(finding) for finding in findings]})
    if any(finding.state == WRONG for finding in findings):
        raise typer.Exit(1)


def _call(session: GonkaSession, model: str | None, timeout: float) -> Finding:
    session.refresh()
    name = model or next(iter(session.models()), None)
    if name is None:
        return Finding("call", WRONG, "no model is known", "set GONKA_MODEL")
    payload = {"model": name, "max_tokens": 8, "messages": [{"role": "user", "content": "Hello"}]}
    try:
        served = session.chat.complete(payload, CallOptions(timeout=6 * timeout)).served
    except GonkaError as trouble:
        return Finding("call", WRONG, str(trouble).splitlines()[0])
    seconds = served.total_seconds or 0.0
    return Finding("call", OK, f"{name} answered through {served.endpoint} in {seconds:.1f} s")


def _show(finding: Finding) -> None:
    line = Text(f"{finding.state:5} ", style=_STYLES[finding.state])
    line.append(f"{finding.check:17} ", style="bold not red not yellow not green")
    line.append(finding.detail, style="default not bold")
    screen.console().print(line, soft_wrap=True)
    if finding.advice:
        screen.console().print(Text(f"{'':24}→ {finding.advice}", style="cyan"))
