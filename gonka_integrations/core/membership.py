"""Membership: which endpoints a configuration and a participant set amount to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .endpoints import Bearer, Endpoint, Signed
from .urls import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..config import GonkaConfig
    from .participants import GonkaParticipant


def assemble(
    config: GonkaConfig, participants: Iterable[GonkaParticipant] = (), *, trusted: bool = False
) -> list[Endpoint]:
    """All endpoints: what the user named, and the discovered participants.

    A gateway gets the weight of an average participant.

    Args:
        config: What the user named, whose key signs, and limits.
        participants: Discovered ones that may be sent signed requests.
        trusted: Whether these may be on private networks.
    """
    found = _participants(config, participants, trusted=trusted)
    known = _known_participants(config)
    nodes = found + [node for node in known if node.address not in {n.address for n in found}]
    mean = sum(node.weight for node in nodes) / len(nodes) if nodes else 1.0
    return [*nodes, *_gateways(config, mean), *_providers(config)]


def _participants(
    config: GonkaConfig, participants: Iterable[GonkaParticipant], *, trusted: bool
) -> list[Endpoint]:
    credentials = _signed(config)
    if credentials is None:
        return []
    return [
        Endpoint(
            "participant",
            versioned(participant.inference_url),
            credentials,
            address=participant.address,
            weight=float(max(1, participant.weight)),
            models=frozenset(participant.models) or None,
            max_concurrent=config.max_concurrent,
            trusted=trusted,
        )
        for participant in participants
    ]


def versioned(url: str) -> str:
    """URL of a node's inference API; its own URL comes without the version."""
    return url.rstrip("/").removesuffix("/v1") + "/v1"


def _signed(config: GonkaConfig) -> Signed | None:
    signer = config.credential
    return None if signer is None else Signed(signer, config.requester or signer.address)


def _known_participants(config: GonkaConfig) -> list[Endpoint]:
    credentials = _signed(config)
    if credentials is None:
        return []
    pairs = (entry.split(";", 1) for entry in config.endpoints)
    return [
        Endpoint(
            "participant",
            versioned(url),
            credentials,
            address=address,
            max_concurrent=config.max_concurrent,
        )
        for url, address in pairs
    ]


def _gateways(config: GonkaConfig, weight: float) -> list[Endpoint]:
    return [
        Endpoint(
            "gateway",
            gateway.base_url,
            Bearer(gateway.api_key, host_of(gateway.base_url)),
            weight=weight,
            max_concurrent=config.max_concurrent,
        )
        for gateway in config.gateways
    ]


def _providers(config: GonkaConfig) -> list[Endpoint]:
    return [
        Endpoint(
            "provider",
            provider.base_url,
            Bearer(provider.api_key, host_of(provider.base_url)),
            model_map=provider.model_map,
            default_model=provider.default_model,
            tier=provider.tier,
            max_concurrent=config.max_concurrent,
        )
        for provider in config.fallbacks
    ]
