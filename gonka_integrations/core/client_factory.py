"""GonkaClientFactory: plain openai clients whose requests are signed for the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config import GonkaConfig
from .http_stack import httpx
from .membership import versioned
from .session import GonkaSession
from .transport import BASE_URL, AsyncMultiplexTransport, MultiplexTransport

if TYPE_CHECKING:
    import openai

    from .keys import PrivateKey, Signer
    from .participants import GonkaParticipant
    from .secrets import Secret

__all__ = ["GonkaClientFactory"]

_SOURCES = ("source_url", "endpoints", "gateways", "fallbacks")


class GonkaClientFactory:
    """Makes `openai.OpenAI` and `openai.AsyncOpenAI` clients.

    A client signs each attempt anew, with a timestamp never used before. The SDK's own retries are
    off: one that repeats a signed request would be refused.

    Args:
        private_key: Key that signs; not needed with *config* or *signer*.
        signer: Signs in place of a key.
        address: Account that pays, when it is not the key's own.
        config: Time-outs, gateways and everything else; read from the environment when None.

    Raises:
        GonkaConfigError: A value is wrong.
    """

    def __init__(
        self,
        private_key: str | Secret | PrivateKey | None = None,
        *,
        signer: Signer | None = None,
        address: str | None = None,
        config: GonkaConfig | None = None,
    ) -> None:
        self._config = GonkaConfig.build(
            config, private_key=private_key, signer=signer, address=address
        )

    @property
    def config(self) -> GonkaConfig:
        """What the clients are made with."""
        return self._config

    @property
    def requester_address(self) -> str | None:
        """Other name of `address`."""
        return self._config.requester

    @property
    def address(self) -> str | None:
        """Account that pays for the requests."""
        return self._config.requester

    def create_client(
        self, participant: GonkaParticipant | None = None, **options: Any
    ) -> openai.OpenAI:
        """A blocking client.

        Args:
            participant: The only one that requests go to; None multiplexes over the whole pool.
            **options: Passed on to the SDK's client, such as ``timeout``.

        Raises:
            GonkaConfigError: There is nowhere to send requests to, or nobody who signs.
        """
        import openai  # noqa: PLC0415 - half a second

        http = httpx.Client(transport=MultiplexTransport(self._session(participant)))
        return openai.OpenAI(http_client=http, **self._defaults(options))

    def create_async_client(
        self, participant: GonkaParticipant | None = None, **options: Any
    ) -> openai.AsyncOpenAI:
        """A client for event loops; see `create_client`."""
        import openai  # noqa: PLC0415 - half a second

        http = httpx.AsyncClient(transport=AsyncMultiplexTransport(self._session(participant)))
        return openai.AsyncOpenAI(http_client=http, **self._defaults(options))

    def _session(self, participant: GonkaParticipant | None) -> GonkaSession:
        if participant is None:
            return GonkaSession.shared(self._config)
        base_url = versioned(participant.inference_url)
        config = self._config
        kept = {name: getattr(config, name) for name in config.given if name not in _SOURCES}
        kept["endpoints"] = [f"{base_url};{participant.address}"]
        return GonkaSession(GonkaConfig(**kept))

    def _defaults(self, options: dict[str, Any]) -> dict[str, Any]:
        defaults = {
            "base_url": BASE_URL,
            "api_key": "signed-per-request",
            "max_retries": 0,
            "timeout": self._config.timeout,
        }
        return defaults | options
