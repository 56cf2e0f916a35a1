"""GatewayWatch: what gateways say about themselves, where they say it, feeds the pool."""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..errors import GonkaDiscoveryError
from .background import PeriodicThread
from .effects import drive
from .fetching import Fetcher, parse_json
from .gateway_status import GatewayStatus, decode_gateway_status
from .refresh_policy import MIN_INTERVAL, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .endpoints import Endpoint
    from .network import Network
    from .pool import EndpointPool

__all__ = ["GatewayWatch", "availability"]

_logger = logging.getLogger("gonka_integrations.gateways")
_TIMEOUT = 10.0
_MAX_BYTES = 1024 * 1024


def availability(status: GatewayStatus) -> dict[str, bool]:
    """Model -> whether requests for it are taken now, for the models a gateway speaks of."""
    found = {model.id: model.routable and model.access_enabled for model in status.models}
    return found | dict.fromkeys(status.block_reasons, False)


def excuses(status: GatewayStatus) -> dict[str, str]:
    """Model -> why requests for it are not taken now, in words for an error."""
    found = {
        model.id: model.message or "it cannot route this model"
        for model in status.models
        if not (model.routable and model.access_enabled)
    }
    return found | {
        model: f"proof of compute is running ({reason or 'blocked'})"
        for model, reason in status.block_reasons.items()
    }


class GatewayWatch:
    """Reads the status of gateways now and then, in a daemon thread.

    A model that a gateway cannot route, or that waits for proof of compute, is not asked of it
    until it says otherwise. Gateways that show no status are asked once.

    Args:
        gateways: Endpoints of kind "gateway".
        pool: What is told.
        network: Connections.
        interval: Seconds between two reads.
        clock: Monotonic time in seconds.
        uniform: A random number between two: processes of a fleet must not read in step.
    """

    def __init__(
        self,
        gateways: Iterable[Endpoint],
        pool: EndpointPool,
        network: Network,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._uniform = uniform
        self._gateways = list(gateways)
        self._pool = pool
        self._network = network
        self._interval = interval
        self._fetcher = Fetcher(_TIMEOUT, _MAX_BYTES, clock)
        self._thread = PeriodicThread(self, "gonka-gateways", clock)

    def start(self) -> None:
        """Begin to read, at once."""
        if self._gateways:
            self._thread.start(0.0)

    def stop(self) -> None:
        """Read no more."""
        self._thread.end()

    def work(self) -> float:
        """Read every status once; returns the seconds until next time."""
        self._gateways = [gateway for gateway in self._gateways if self._read(gateway)]
        if not self._gateways:
            self._thread.end()
        return spread(self._interval, MIN_INTERVAL, self._uniform)

    def _read(self, gateway: Endpoint) -> bool:
        parts = urlsplit(gateway.base_url)
        root = f"{parts.scheme}://{parts.netloc}"
        try:
            body = drive(self._fetcher.get(root, "/v1/status"), self._network.blocking())
            status = decode_gateway_status(parse_json(body, root), root)
        except GonkaDiscoveryError as error:
            answered = error.status_code is not None
            _logger.info("No status of gateway %s: %s", root, error)
            return not answered
        self._pool.advise(
            gateway.identity, availability(status), self._interval * 2, excuses(status)
        )
        return True
