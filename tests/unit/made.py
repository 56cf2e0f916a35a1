"""Endpoints, a clock and a signer for tests that have no network."""

from __future__ import annotations

import functools
from typing import Any

from gonka_integrations.core.endpoints import Bearer, Endpoint, Signed
from gonka_integrations.core.keys import PrivateKey
from gonka_integrations.core.secrets import Secret


class FakeClock:
    """Time that passes when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@functools.cache
def account(number: int = 1) -> PrivateKey:
    return PrivateKey.from_hex(f"{number:064x}")


def node(number: int, *, key: int = 1, **fields: Any) -> Endpoint:
    """A participant: host *number*, paid by account *key*."""
    signer = account(key)
    return Endpoint(
        "participant",
        f"http://host{number}.test/v1",
        Signed(signer, signer.address),
        address=account(1000 + number).address,
        **fields,
    )


def gateway(number: int = 0, **fields: Any) -> Endpoint:
    host = f"gate{number}.test"
    key = Secret(f"gk-{number}")
    return Endpoint("gateway", f"https://{host}/v1", Bearer(key, host), **fields)


def provider(number: int = 0, **fields: Any) -> Endpoint:
    host = f"prov{number}.test"
    key = Secret(f"sk-{number}")
    fields.setdefault("tier", 1)
    return Endpoint("provider", f"https://{host}/v1", Bearer(key, host), **fields)
