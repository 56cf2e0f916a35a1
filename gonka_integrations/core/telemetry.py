"""OpenTelemetry metrics of every attempt, when its API is installed; nothing otherwise.

| instrument | kind | unit |
|---|---|---|
| ``gonka.client.attempts`` | counter | attempts |
| ``gonka.client.first_token`` | histogram | seconds |
| ``gonka.client.duration`` | histogram | seconds |

Attributes: ``gonka.endpoint.kind``, ``gonka.outcome``, ``gen_ai.request.model``,
``server.address``, and ``gonka.participant`` where there is one.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from .endpoints import Endpoint
    from .leases import Lease, Outcome


@functools.cache
def observer() -> Callable[[Lease, Outcome], None] | None:
    """What is told of every attempt that ends, None without OpenTelemetry."""
    if importlib.util.find_spec("opentelemetry") is None:
        return None
    try:
        from opentelemetry import metrics  # noqa: PLC0415 - optional
    except ImportError:
        return None
    meter = metrics.get_meter("gonka_integrations", __version__)
    attempts = meter.create_counter(
        "gonka.client.attempts", "{attempt}", "Requests to endpoints, by outcome"
    )
    first_token = meter.create_histogram(
        "gonka.client.first_token", "s", "From sending a request to its first content"
    )
    duration = meter.create_histogram(
        "gonka.client.duration", "s", "From sending a request to the end of its answer"
    )

    def observe(lease: Lease, outcome: Outcome) -> None:
        attributes = _of_endpoint(lease.endpoint) | {
            "gen_ai.request.model": lease.model,
            "gonka.outcome": outcome.failure or "served",
        }
        attempts.add(1, attributes)
        if not outcome.failure and outcome.first_token is not None:
            first_token.record(outcome.first_token, attributes)
        if not outcome.failure and outcome.total is not None:
            duration.record(outcome.total, attributes)

    return observe


@functools.lru_cache(maxsize=4096)
def _of_endpoint(endpoint: Endpoint) -> dict[str, str]:
    attributes = {
        "gonka.endpoint.kind": endpoint.kind,
        "server.address": urlsplit(endpoint.base_url).netloc,
    }
    return attributes | ({"gonka.participant": endpoint.address} if endpoint.address else {})
