"""The two kinds of multiplexer that participants are registered into."""

from __future__ import annotations

import logging
import weakref
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import GonkaRegistrationError
from .multiplexer import Multiplexer
from .pinned_client import PinnedClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..config import GonkaConfig
    from .endpoints import Endpoint
    from .participants import GonkaParticipant

__all__ = ["Entry", "Target", "require_multiplexer", "target_for"]

_logger = logging.getLogger("gonka_integrations.registrar")


@dataclass(frozen=True, slots=True)
class Entry:
    """A participant as it is registered.

    Attributes:
        name: Its own name: prefix and address.
        participant: Who it is.
        endpoint: Where requests go.
        model: The model behind its own name, None when none is known.
        fallback: Whether it serves only when others cannot.
    """

    name: str
    participant: GonkaParticipant
    endpoint: Endpoint
    model: str | None
    fallback: bool


class Target(Protocol):
    """A multiplexer as the registrar sees it.

    Attributes:
        entries: What is registered, by its own name.
    """

    entries: Mapping[str, Entry]

    def put(self, entries: Mapping[str, Entry]) -> None:
        """Makes *entries* what is registered."""


def target_for(multiplexer: Any, config: GonkaConfig) -> Target:
    """A target for *multiplexer*, which is held weakly."""
    if isinstance(multiplexer, Multiplexer):
        return _OwnTarget(multiplexer)
    return _PublishedTarget(multiplexer, config)


def require_multiplexer(multiplexer: Any) -> None:
    """Makes sure that participants can be registered into *multiplexer*.

    Raises:
        GonkaRegistrationError: It is of neither kind.
    """
    published = ("_weighted_models", "_fallback_models")
    if isinstance(multiplexer, Multiplexer) or all(
        isinstance(getattr(multiplexer, name, None), list) for name in published
    ):
        return
    raise GonkaRegistrationError(
        "multiplexer: expected gonka_integrations.Multiplexer or multiplexer_llm.Multiplexer "
        f"(0.4 or later), not {type(multiplexer).__name__}"
    )


class _OwnTarget:
    """`Multiplexer`: any number of participants under one model name."""

    def __init__(self, multiplexer: Multiplexer) -> None:
        self._multiplexer = weakref.ref(multiplexer)
        self.entries: Mapping[str, Entry] = {}

    def put(self, entries: Mapping[str, Entry]) -> None:
        multiplexer = self._multiplexer()
        if multiplexer is not None:
            leaving = _left(self.entries, entries)
            multiplexer.exchange(leaving, [_named(entry) for entry in entries.values()])
        self.entries = dict(entries)


class _PublishedTarget:
    """``multiplexer_llm.Multiplexer``: one name for each participant, asynchronous clients only.

    It sends the registered name as the model, ignores the caller's, and takes nothing out again. So
    each name leads to a multiplexer of ours, which knows the participant and its model behind it,
    and the lists are replaced as wholes. One model is served: the chosen one, or the one that most
    of the weight serves, since callers could not choose.
    """

    def __init__(self, multiplexer: Any, config: GonkaConfig) -> None:
        self._multiplexer = weakref.ref(multiplexer)
        self._wanted = config.model
        # Trying another participant is the outer multiplexer's work.
        self._inner = Multiplexer(config.replace(max_retries=0))
        self.entries: Mapping[str, Entry] = {}

    def put(self, entries: Mapping[str, Entry]) -> None:
        multiplexer = self._multiplexer()
        if multiplexer is None:
            return
        served = self._serving_one_model(entries.values())
        leaving = _left(self.entries, served)
        self._inner.exchange((), [_only_named(entry) for entry in served.values()])
        self._fill(multiplexer, served)
        self._inner.exchange(leaving, ())
        self.entries = served

    def _serving_one_model(self, entries: Iterable[Entry]) -> dict[str, Entry]:
        entries = list(entries)
        model = self._wanted or _heaviest_model(entries)
        if model is None and entries:
            raise GonkaRegistrationError(
                "model: the participants do not say what they serve; give the model's name"
            )
        serving = [
            replace(entry, model=model)
            for entry in entries
            if not entry.participant.models or model in entry.participant.models
        ]
        if entries and not serving:
            raise GonkaRegistrationError(f"model: no participant serves {model!r}")
        if len(serving) < len(entries):
            _logger.warning(
                "%d of %d participants are left out: multiplexer_llm ignores the model that is "
                "asked for, so only those that serve %s are registered",
                len(entries) - len(serving),
                len(entries),
                model,
            )
        return {entry.name: entry for entry in serving}

    def _fill(self, multiplexer: Any, entries: Mapping[str, Entry]) -> None:
        """Brings its lists to *entries*: replaced whole, as an event loop may be reading them."""
        for name, fallback in (("_weighted_models", False), ("_fallback_models", True)):
            kept = []
            for model in getattr(multiplexer, name):
                entry = entries.get(model.model_name)
                if model.model_name not in self.entries:
                    kept.append(model)
                elif entry is not None and entry.fallback == fallback:
                    model.weight = _weight(entry)
                    model.max_concurrent = entry.endpoint.max_concurrent
                    kept.append(model)
            setattr(multiplexer, name, kept)
        there = {
            model.model_name
            for model in (*multiplexer._weighted_models, *multiplexer._fallback_models)
        }
        for entry in entries.values():
            if entry.name not in there:
                add = multiplexer.add_fallback_model if entry.fallback else multiplexer.add_model
                client = PinnedClient(self._inner)
                add(
                    client,
                    _weight(entry),
                    entry.name,
                    entry.endpoint.base_url,
                    entry.endpoint.max_concurrent,
                )


def _left(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[Endpoint]:
    staying = {entry.endpoint.identity for entry in after.values()}
    return [entry.endpoint for entry in before.values() if entry.endpoint.identity not in staying]


def _named(entry: Entry) -> Endpoint:
    """The endpoint under its models' names and its own."""
    endpoint = entry.endpoint
    own = {entry.name: entry.model} if entry.model else {}
    models = None if endpoint.models is None else endpoint.models | frozenset(own)
    return replace(endpoint, models=models, model_map={**endpoint.model_map, **own})


def _only_named(entry: Entry) -> Endpoint:
    """The endpoint under its own name alone."""
    return replace(
        entry.endpoint,
        models=frozenset({entry.name}),
        model_map={entry.name: entry.model or entry.name},
        tier=0,
    )


def _weight(entry: Entry) -> int:
    return max(1, entry.participant.weight)


def _heaviest_model(entries: Iterable[Entry]) -> str | None:
    weights: Counter[str] = Counter()
    for entry in entries:
        for model in entry.participant.models:
            weights[model] += _weight(entry)
    return max(weights, key=lambda model: (weights[model], model), default=None)
