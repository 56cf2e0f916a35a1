"""The checks of `gonka doctor` on gateways and providers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.gateway_status import decode_gateway_status
from ..core.reads import decode_models
from ..errors import GonkaDiscoveryError
from .findings import ADVICE, OK, WRONG, Finding
from .places import Place, at_once, known_places, probe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..config import GonkaConfig

__all__ = ["keyed_places"]

_REFUSALS = {401, 403}


def keyed_places(config: GonkaConfig, timeout: float) -> Iterator[Finding]:
    """Findings about each gateway and provider of *config*."""
    keyed = [place for place in known_places(config) if place.kind != "participant"]
    for place, reply in at_once(keyed, lambda one: probe(one, timeout)):
        if not reply.up:
            why = " ".join(filter(None, [str(reply.status or ""), reply.detail]))
            detail = f"{place.base_url}: {why}"
            yield Finding(place.kind, WRONG, detail, _advice(reply.status))
            continue
        names = [model.id for model in _listed(reply.body)]
        ready = list(_readiness(config, place, timeout)) if place.kind == "gateway" else []
        # What a gateway says of its models explains a refusal better than the refusal does.
        explained = any(finding.state == WRONG for finding in ready)
        refused = None if explained else _key_refused(config, place, names, timeout)
        yield refused or _place(config, place, names, 1000 * reply.seconds)
        yield from ready


def _listed(body: Any) -> Sequence[Any]:
    try:
        return decode_models(body)
    except GonkaDiscoveryError:
        return ()


def _key_refused(
    config: GonkaConfig, place: Place, names: list[str], timeout: float
) -> Finding | None:
    """What is wrong with the key, tried with a request that costs nothing: it has no messages.

    Lists of models are open to all. A gateway looks at the model, then at the key, then at the
    rest of a request.
    """
    model = config.model if config.model in names else next(iter(names), None)
    if place.kind != "gateway" or place.key is None or model is None:
        return None
    reply = probe(place, timeout, "/chat/completions", {"model": model})
    if reply.status not in _REFUSALS:
        return None
    detail = f"{place.base_url}: {reply.status} {reply.detail}"
    advice = _advice(reply.status)
    if "admin" in reply.detail:
        advice += "; if it is right, the model is not open to users"
    return Finding("gateway", WRONG, detail, advice)


def _place(config: GonkaConfig, place: Place, names: list[str], milliseconds: float) -> Finding:
    if place.key is None and place.kind == "gateway":
        return Finding(
            "gateway",
            ADVICE,
            f"{place.base_url} answers, but no key is set for it",
            "set GONKA_BROKER_API_KEY",
        )
    lacking = place.kind == "gateway" and config.model and names and config.model not in names
    if lacking:
        detail = f"{place.base_url} does not list {config.model}; it has {', '.join(names)}"
        return Finding(place.kind, WRONG, detail, "names are case-sensitive; see gonka models")
    count = "1 model" if len(names) == 1 else f"{len(names)} models"
    return Finding(place.kind, OK, f"{place.base_url}: {count}, {milliseconds:.0f} ms")


def _readiness(config: GonkaConfig, place: Place, timeout: float) -> Iterator[Finding]:
    reply = probe(place, timeout, "/status")
    try:
        status = decode_gateway_status(reply.body, place.base_url)
    except GonkaDiscoveryError:
        return  # most brokers do not show it
    for model in status.models:
        if config.model not in {None, model.id}:
            continue
        why = status.block_reasons.get(model.id, "")
        if not model.routable:
            detail = f"{model.id} takes no requests now{f' ({why})' if why else ''}"
            yield Finding("gateway", ADVICE, detail, "wait some minutes, or add another gateway")
        elif model.access_mode == "admin_only":
            advice = "use another model or gateway; a correct key does not help"
            yield Finding("gateway", WRONG, f"{model.id} is not open to users", advice)


def _advice(status: int | None) -> str:
    if status in _REFUSALS:
        return "check GONKA_BROKER_API_KEY"
    if status == 404:  # noqa: PLR2004
        return "does the URL end with the API version, such as /v1?"
    return "is the URL right, and the service up?"
