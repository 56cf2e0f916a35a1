"""register_gonka_models: from a source URL and a key to models of a multiplexer, in one call."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..config import GonkaConfig
from ..errors import GonkaConfigError, GonkaDiscoveryError
from .client_factory import GonkaClientFactory
from .discovery import EndpointDiscovery
from .model_registrar import ModelRegistrar
from .participants import GonkaParticipant, ParticipantSet
from .refresh import RefreshManager
from .targets import require_multiplexer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .keys import PrivateKey
    from .secrets import Secret

__all__ = ["GonkaRegistrationResult", "ModelRegistrar", "register_gonka_models"]

_logger = logging.getLogger("gonka_integrations.registrar")

_PREFIX = "gonka:"
# A multiplexer keeps its refresher; the refresher does not keep the multiplexer.
_refreshers: weakref.WeakKeyDictionary[Any, RefreshManager] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class GonkaRegistrationResult:
    """What was registered.

    Attributes:
        models_registered: How many participants.
        participants: Who they are.
        refresh_manager: Keeps them up to date; None when nothing does.
        epoch_id: Their epoch; 0 when all of them were given.
    """

    models_registered: int
    participants: tuple[GonkaParticipant, ...]
    refresh_manager: RefreshManager | None
    epoch_id: int


def register_gonka_models(
    multiplexer: Any,
    *,
    source_url: str | Sequence[str] | None = None,
    endpoints: str | Sequence[str] | None = None,
    private_key: str | Secret | PrivateKey | None = None,
    config: GonkaConfig | None = None,
    verify_proofs: bool | None = None,
    refresh_enabled: bool | None = None,
    refresh_interval_seconds: float | None = None,
    default_max_concurrent: int | None = None,
    register_as_fallback: bool = False,
    model_name_prefix: str = "gonka:",
    address: str | None = None,
) -> GonkaRegistrationResult:
    """Registers the network's participants into a multiplexer and keeps them up to date.

    Arguments go before *config*, that before the ``GONKA_…`` variables. The refreshing lasts as
    long as the multiplexer, with or without an event loop.

    Args:
        multiplexer: `gonka_integrations.Multiplexer`, or ``multiplexer_llm.Multiplexer`` from 0.4.
        source_url: Nodes to discover participants from.
        endpoints: Participants that are known, as ``url;address``.
        private_key: Key that signs.
        config: Everything else.
        verify_proofs: Whether participant lists must be proven.
        refresh_enabled: Whether they are kept up to date.
        refresh_interval_seconds: How often to look for a new epoch.
        default_max_concurrent: Requests in flight at one participant.
        register_as_fallback: Whether participants serve only when others cannot.
        model_name_prefix: What the participants' own names begin with.
        address: Account that pays, when it is not the key's own.

    Raises:
        GonkaConfigError: Something is wrong or missing.
        GonkaDiscoveryError: The participants could not be read.
        GonkaRegistrationError: They could not be registered.
    """
    settled = GonkaConfig.build(
        config,
        source_url=source_url,
        endpoints=endpoints,
        private_key=private_key,
        verify_proofs=verify_proofs,
        refresh_enabled=refresh_enabled,
        refresh_interval_seconds=refresh_interval_seconds,
        default_max_concurrent=default_max_concurrent,
        register_as_fallback=register_as_fallback or None,
        model_name_prefix=None if model_name_prefix == _PREFIX else model_name_prefix,
        address=address,
    )
    del private_key
    return _Registration(multiplexer, settled).run()


class _Registration:
    def __init__(self, multiplexer: Any, config: GonkaConfig) -> None:
        require_multiplexer(multiplexer)
        if not (config.source_url or config.endpoints):
            raise GonkaConfigError(
                "source_url: participants are needed: give source_url (GONKA_SOURCE_URL) or "
                "endpoints (GONKA_ENDPOINTS)",
                field="source_url",
            )
        self._multiplexer = multiplexer
        self._config = config
        self._registrar = ModelRegistrar(
            GonkaClientFactory(config=config), config.model_name_prefix, config.max_concurrent
        )

    def run(self) -> GonkaRegistrationResult:
        known = self._known()
        if not self._config.source_url:
            return self._registered(known, None, 0)
        discovery = EndpointDiscovery(
            self._config.source_url,
            verify_proofs=self._config.verify_proofs,
            trust=self._config.trust,
            allow_private_hosts=self._config.allow_private_hosts,
        )
        found = discovery.discover()
        result = self._registered(
            _merged(known, found), self._refresher(discovery, known, found), found.epoch_id
        )
        if result.refresh_manager is not None:
            _refreshers[self._multiplexer] = result.refresh_manager
            result.refresh_manager.start(self._config.refresh_interval_seconds)
        return result

    def _registered(
        self,
        participants: tuple[GonkaParticipant, ...],
        refresher: RefreshManager | None,
        epoch_id: int,
    ) -> GonkaRegistrationResult:
        count = self._registrar.replace_all(
            self._multiplexer, participants, as_fallback=self._config.register_as_fallback
        )
        return GonkaRegistrationResult(count, participants, refresher, epoch_id)

    def _refresher(
        self,
        discovery: EndpointDiscovery,
        known: tuple[GonkaParticipant, ...],
        found: ParticipantSet,
    ) -> RefreshManager | None:
        if not self._config.refresh_enabled:
            return None
        registrar, fallback = self._registrar, self._config.register_as_fallback
        target = weakref.ref(self._multiplexer)

        def apply(fresh: ParticipantSet) -> None:
            multiplexer = target()
            if multiplexer is not None:
                registrar.replace_all(multiplexer, _merged(known, fresh), as_fallback=fallback)

        manager = RefreshManager(discovery=discovery, apply=apply, owner=self._multiplexer)
        manager.adopt(found)
        return manager

    def _known(self) -> tuple[GonkaParticipant, ...]:
        """The participants that were given, with the models that they say they serve."""
        pairs = [entry.split(";", 1) for entry in self._config.endpoints]
        return tuple(
            replace(GonkaParticipant(address, url), models=self._models_of(url))
            for url, address in pairs
        )

    def _models_of(self, url: str) -> tuple[str, ...]:
        try:
            found = EndpointDiscovery(url, retry_count=1).models()
        except GonkaDiscoveryError as error:
            _logger.warning("%s does not say what it serves: %s", url, error)
            return ()
        return tuple(model.id for model in found)


def _merged(
    known: tuple[GonkaParticipant, ...], found: ParticipantSet
) -> tuple[GonkaParticipant, ...]:
    addresses = {one.address for one in found}
    return found.participants + tuple(one for one in known if one.address not in addresses)
