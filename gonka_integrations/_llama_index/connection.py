"""The connection of a GonkaLLM: which of its fields make it, and how they hide what is secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config import GonkaConfig

#: Fields that say how to reach the network. They are those of `GonkaConfig`.
CONNECTION = (
    "private_key",
    "signer",
    "source_url",
    "endpoints",
    "base_url",
    "api_key",
    "gateways",
    "fallbacks",
    "address",
    "verify_proofs",
    "trust",
    "timeout",
    "first_token_timeout",
    "idle_timeout",
    "connect_timeout",
    "max_retries",
    "retry_ambiguous",
    "hedge_after",
    "max_concurrent",
    "stream_internally",
    "allow_private_hosts",
    "refresh_enabled",
    "refresh_interval_seconds",
)
# Held in a form that hides what is secret.
_HIDING = ("private_key", "gateways", "fallbacks")


def inherited(
    given: Mapping[str, Any], base: GonkaConfig | None, settled: GonkaConfig
) -> dict[str, Any]:
    """What a configuration gave and no argument did."""
    if base is None:
        return {}
    ruled_out = {"gateways"} if given["base_url"] is not None else set()
    names = set(CONNECTION) & base.given - ruled_out
    return {name: getattr(settled, name) for name in names if given[name] is None}


def concealed(given: Mapping[str, Any], settled: GonkaConfig) -> dict[str, Any]:
    """The fields that hold secrets, in forms that hide them."""
    hidden = {name: getattr(settled, name) for name in _HIDING if given.get(name) is not None}
    if given.get("api_key") is not None:
        hidden["api_key"] = Secret.of(given["api_key"])
    return hidden
