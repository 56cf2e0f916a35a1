"""ModelRegistrar: participants as models of a multiplexer, ours or the published one."""

from __future__ import annotations

import threading
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError
from .membership import assemble
from .targets import Entry, Target, require_multiplexer, target_for
from .url_policy import is_private_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .client_factory import GonkaClientFactory
    from .participants import GonkaParticipant

__all__ = ["ModelRegistrar"]


class ModelRegistrar:
    """Registers participants into multiplexers and takes them out again.

    Into `gonka_integrations.Multiplexer` a participant is registered under the names of its models,
    so the caller's ``model`` routes and several participants serve one model. In both kinds of
    multiplexer it also has a name of its own, the prefix and its address.

    Args:
        client_factory: Whose key signs.
        model_name_prefix: What the participants' own names begin with.
        default_max_concurrent: Requests in flight at one participant; None for no limit.

    Raises:
        GonkaConfigError: The factory has nobody who signs.
    """

    def __init__(
        self,
        client_factory: GonkaClientFactory,
        model_name_prefix: str = "gonka:",
        default_max_concurrent: int | None = None,
    ) -> None:
        if client_factory.config.credential is None:
            raise GonkaConfigError(
                "private_key: participants take signed requests only, so a key is needed",
                field="private_key",
            )
        self.client_factory = client_factory
        self.model_name_prefix = model_name_prefix
        self.default_max_concurrent = default_max_concurrent
        self._lock = threading.Lock()
        self._targets: weakref.WeakKeyDictionary[Any, Target] = weakref.WeakKeyDictionary()

    def register_all(
        self,
        multiplexer: Any,
        participants: Iterable[GonkaParticipant],
        as_fallback: bool = False,
    ) -> int:
        """Registers participants that are not yet; returns how many.

        Raises:
            GonkaRegistrationError: *multiplexer* is of an unknown kind, or a model is not known.
        """
        return self._add(
            multiplexer, [self._entry(one, fallback=as_fallback) for one in participants]
        )

    def register_one(
        self,
        multiplexer: Any,
        participant: GonkaParticipant,
        as_fallback: bool = False,
        weight_override: int | None = None,
        max_concurrent: int | None = None,
    ) -> bool:
        """Registers one participant; False when it is registered already.

        Args:
            multiplexer: Where.
            participant: Whom.
            as_fallback: Whether it serves only when others cannot.
            weight_override: In place of its own weight.
            max_concurrent: In place of the default.

        Raises:
            GonkaRegistrationError: As `register_all`.
        """
        if weight_override is not None:
            participant = replace(participant, weight=weight_override)
        entry = self._entry(participant, fallback=as_fallback, max_concurrent=max_concurrent)
        return self._add(multiplexer, [entry]) == 1

    def replace_all(
        self,
        multiplexer: Any,
        participants: Iterable[GonkaParticipant],
        as_fallback: bool = False,
    ) -> int:
        """Makes *participants* the only ones that are registered; returns how many they are.

        Those that stay keep their connections and history, those that leave finish what they are
        at, and nobody sees a moment without either.

        Raises:
            GonkaRegistrationError: As `register_all`.
        """
        entries = [self._entry(one, fallback=as_fallback) for one in participants]
        with self._lock:
            target = self._target(multiplexer)
            target.put({entry.name: entry for entry in entries})
            return len(target.entries)

    def unregister_all(self, multiplexer: Any, epoch_id: int) -> int:
        """Takes out the participants that were registered for an epoch; returns how many."""
        with self._lock:
            target = self._target(multiplexer)
            left = {
                name: entry
                for name, entry in target.entries.items()
                if entry.participant.epoch_id != epoch_id
            }
            count = len(target.entries) - len(left)
            target.put(left)
            return count

    def get_registered_models(self, epoch_id: int | None = None) -> set[str]:
        """Own names of the participants registered for an epoch, or for any."""
        with self._lock:
            return {
                name
                for target in self._targets.values()
                for name, entry in target.entries.items()
                if epoch_id is None or entry.participant.epoch_id == epoch_id
            }

    def _add(self, multiplexer: Any, entries: Iterable[Entry]) -> int:
        with self._lock:
            target = self._target(multiplexer)
            new = {entry.name: entry for entry in entries if entry.name not in target.entries}
            if new:
                target.put({**target.entries, **new})
            return len(new)

    def _target(self, multiplexer: Any) -> Target:
        require_multiplexer(multiplexer)
        target = self._targets.get(multiplexer)
        if target is None:
            target = target_for(multiplexer, self.client_factory.config)
            self._targets[multiplexer] = target
        return target

    def _entry(
        self, one: GonkaParticipant, *, fallback: bool, max_concurrent: int | None = None
    ) -> Entry:
        config = self.client_factory.config
        # A private address in a participant's URL is the user's: discovery takes none from others.
        trusted = config.allow_private_hosts or is_private_url(one.inference_url)
        endpoint = next(
            found
            for found in assemble(config, [one], trusted=trusted)
            if found.address == one.address
        )
        limit = self.default_max_concurrent if max_concurrent is None else max_concurrent
        limit = endpoint.max_concurrent if limit is None else limit
        return Entry(
            name=f"{self.model_name_prefix}{one.address}",
            participant=one,
            endpoint=replace(endpoint, max_concurrent=limit, tier=1 if fallback else 0),
            model=_model(one, config.model),
            fallback=fallback,
        )


def _model(one: GonkaParticipant, wanted: str | None) -> str | None:
    """The model behind a participant's own name."""
    if wanted is not None and (wanted in one.models or not one.models):
        return wanted
    return one.models[0] if one.models else None
