"""The checks of `gonka doctor`. Each gives findings: in order, or what to do."""

from __future__ import annotations

import importlib.util
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..core.block_time import parse_time_ns
from ..errors import GonkaDiscoveryError
from .findings import ADVICE, OK, WRONG, Finding
from .gateway_checks import keyed_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..config import GonkaConfig
    from ..core.discovery import EndpointDiscovery
    from ..core.participants import ParticipantSet
    from ..core.reads import ChainParams

__all__ = ["examine"]

_NANO = 1_000_000_000
_NGONKA = 10**9


def examine(
    config: GonkaConfig, discovery: EndpointDiscovery | None, timeout: float
) -> Iterator[Finding]:
    """Every finding about *config*, in the order in which problems are best solved."""
    yield from _installation()
    yield from _account_key(config)
    found: ParticipantSet | None = None
    if discovery is None:
        yield _no_source(config)
    else:
        found = yield from _source(discovery)
        if found is not None:
            yield from _network(config, discovery, found)
    yield from keyed_places(config, timeout)


def _installation() -> Iterator[Finding]:
    versions = f"gonka-integrations {__version__}, Python {sys.version.split()[0]}"
    yield Finding("installation", OK, f"{versions}, openai {metadata.version('openai')}")
    missing = [name for name in ("coincurve", "aiohttp") if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "speed",
            ADVICE,
            f"{' and '.join(missing)} not installed: signing and asynchronous calls are slower",
            "pip install 'gonka-integrations[fast]'",
        )


def _account_key(config: GonkaConfig) -> Iterator[Finding]:
    if config.credential is None:
        keyed = bool(config.gateways or config.fallbacks)
        yield Finding(
            "key",
            ADVICE if keyed else WRONG,
            "no private key: participants cannot be sent requests",
            "" if keyed else "gonka keys new, or set GONKA_PRIVATE_KEY, or give a gateway",
        )
        return
    yield Finding("key", OK, "a private key is set")
    own, told = config.credential.address, config.requester
    if own == told:
        yield Finding("address", OK, own)
    else:
        yield Finding(
            "address",
            ADVICE,
            f"GONKA_ADDRESS is {told}, but the key is that of {own}",
            "unset GONKA_ADDRESS, unless this key may sign for that account",
        )


def _no_source(config: GonkaConfig) -> Finding:
    if config.endpoints:
        return Finding("source", OK, f"{len(config.endpoints)} participants are given by hand")
    if config.gateways or config.fallbacks:
        return Finding("source", ADVICE, "none: only gateways and providers are used")
    return Finding(
        "source",
        WRONG,
        "nothing says where inference is done",
        "set GONKA_SOURCE_URL, GONKA_ENDPOINTS or GONKA_BROKER_URL",
    )


def _source(discovery: EndpointDiscovery) -> Any:
    try:
        found = discovery.discover()
    except GonkaDiscoveryError as trouble:
        yield Finding("source", WRONG, _line(trouble), "try another node as GONKA_SOURCE_URL")
        return None
    left_out = f", {len(found.skipped)} left out" if found.skipped else ""
    yield Finding(
        "source", OK, f"{found.source_url}: epoch {found.epoch_id}, {len(found)} hosts{left_out}"
    )
    return found


def _network(
    config: GonkaConfig, discovery: EndpointDiscovery, found: ParticipantSet
) -> Iterator[Finding]:
    params = _params(discovery)
    yield _clock(discovery, params)
    yield _allow_list(params, found)
    yield _inference(discovery)
    yield from _models(config, found.models)
    if config.requester is not None:
        yield _balance(discovery, config.requester)


def _params(discovery: EndpointDiscovery) -> ChainParams | None:
    try:
        return discovery.chain_params()
    except GonkaDiscoveryError:
        return None


def _clock(discovery: EndpointDiscovery, params: ChainParams | None) -> Finding:
    try:
        ahead = (time.time_ns() - parse_time_ns(discovery.block_time())) / _NANO
    except (GonkaDiscoveryError, ValueError) as trouble:
        return Finding("clock", ADVICE, f"the chain's time cannot be read: {_line(trouble)}")
    late, early = (params.timestamp_expiration, params.timestamp_advance) if params else (60, 30)
    said = f"{abs(ahead):.1f} s {'ahead of' if ahead >= 0 else 'behind'} the latest block"
    if -late < ahead < early:
        return Finding("clock", OK, f"{said} (allowed: {early} s ahead, {late} s behind)")
    return Finding(
        "clock", ADVICE, said, "set the clock (NTP); until then signatures follow the chain's time"
    )


def _allow_list(params: ChainParams | None, found: ParticipantSet) -> Finding:
    if params is None:
        return Finding("allow-list", ADVICE, "the chain's parameters are not shown by this source")
    allowed = params.allowed_transfer_addresses
    if not allowed:
        return Finding("allow-list", OK, "every host may take requests")
    usable = sum(one.address in allowed for one in found)
    return Finding("allow-list", OK, f"{len(allowed)} addresses; {usable} of them take part")


def _inference(discovery: EndpointDiscovery) -> Finding:
    try:
        version = discovery.versions().api
    except GonkaDiscoveryError:
        version = ""
    if _numbers(version) < (0, 2, 14):
        return Finding("signed inference", OK, f"node API {version or 'of unknown version'}")
    return Finding(
        "signed inference",
        ADVICE,
        f"node API {version}: since 0.2.14 nodes answer 410 to signed requests",
        "give a gateway: GONKA_BROKER_URL and GONKA_BROKER_API_KEY",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.lstrip("v").split(".")[:3] if part.isdecimal())


def _models(config: GonkaConfig, served: Sequence[str]) -> Iterator[Finding]:
    shown = ", ".join(served) or "none"
    if config.model is None:
        yield Finding("models", OK if served else WRONG, shown)
    elif config.model in served:
        yield Finding("models", OK, f"{config.model} is served")
    else:
        near = [name for name in served if name.lower() == config.model.lower()]
        advice = f"write it {near[0]}" if near else "set GONKA_MODEL to one of these"
        state = ADVICE if config.gateways or config.fallbacks else WRONG
        yield Finding("models", state, f"no host serves {config.model}; served: {shown}", advice)


def _balance(discovery: EndpointDiscovery, address: str) -> Finding:
    try:
        account = discovery.account(address)
    except GonkaDiscoveryError as trouble:
        if trouble.status_code == 404:  # noqa: PLR2004
            advice = "fund it and make one transaction, so that the chain knows its key"
            return Finding("account", WRONG, "the chain does not know this account", advice)
        return Finding("account", ADVICE, f"cannot be read: {_line(trouble)}")
    amount = f"{account.balance / _NGONKA:,.9f}".rstrip("0").rstrip(".") + " GNK"
    if account.public_key is None:
        return Finding("account", WRONG, f"{amount}, no public key", "make one transaction")
    if account.balance == 0:
        return Finding("account", WRONG, "the balance is 0", "fund the account")
    return Finding("account", OK, amount)


def _line(trouble: BaseException) -> str:
    return str(trouble).splitlines()[0]
