"""Participants of the network: values, and decoding of every shape that nodes have served.

Source: ``GET /v1/epochs/{epoch}/participants`` (decentralized-api ``get_participants_handler.go``,
inference-chain ``activeparticipants.proto``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from ..errors import GonkaConfigError, GonkaNoParticipantsError
from .json_fields import Fields, integer_of

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GonkaParticipant", "ParticipantSet", "decode_participants"]

_MAX_ADDRESS = 128
_MAX_URL = 2048
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class GonkaParticipant:
    """A host of the network.

    Attributes:
        address: Account address, gonka1…; requests to the host are signed for it.
        inference_url: URL of the node, without ``/v1`` and without a trailing slash.
        weight: Its share of the network's work, 0 and up.
        models: Models it serves in the epoch; empty when not known.
        validator_key: Base64 of its Ed25519 consensus key.
        epoch_id: The epoch it was listed in, 0 when not known.
    """

    address: str
    inference_url: str
    weight: int = 1
    models: tuple[str, ...] = ()
    validator_key: str | None = None
    epoch_id: int = 0

    def __post_init__(self) -> None:
        if type(self.models) is not tuple:
            object.__setattr__(self, "models", tuple(self.models))
        if not self.address or not self.inference_url:
            name = "inference_url" if self.address else "address"
            raise GonkaConfigError(f"{name}: a participant needs one", field=name)
        if self.weight < 0:
            raise GonkaConfigError("weight: it cannot be below 0", field="weight")

    @property
    def index(self) -> str:
        """The network's name for `address`."""
        return self.address

    @property
    def base_url(self) -> str:
        """URL for an OpenAI client: with ``/v1``."""
        return self.inference_url.rstrip("/").removesuffix("/v1") + "/v1"


@dataclass(frozen=True, slots=True)
class ParticipantSet(Sequence[GonkaParticipant]):
    """The participants of one epoch; as a sequence, `participants`.

    Attributes:
        epoch_id: The epoch.
        participants: Those that can be used.
        excluded: Addresses that the chain excluded during the epoch.
        skipped: Who is not among `participants`, and why.
        created_at_block_height: Height whose state holds the list; 0 when not said.
        effective_block_height: Height from which on it is in force; 0 when not said.
        verified: Whether the chain's proof of the list has been checked.
        source_url: Who said so.
    """

    epoch_id: int
    participants: tuple[GonkaParticipant, ...]
    excluded: frozenset[str] = frozenset()
    skipped: tuple[tuple[str, str], ...] = ()
    created_at_block_height: int = 0
    effective_block_height: int = 0
    verified: bool = False
    source_url: str = ""

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that somebody serves, sorted."""
        return tuple(sorted({model for one in self.participants for model in one.models}))

    @overload
    def __getitem__(self, index: int) -> GonkaParticipant: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[GonkaParticipant]: ...
    def __getitem__(self, index: int | slice) -> GonkaParticipant | Sequence[GonkaParticipant]:
        return self.participants[index]

    def __len__(self) -> int:
        return len(self.participants)


def decode_participants(payload: object, *, source_url: str) -> ParticipantSet:
    """The set that a node's answer describes; nothing in it is proven.

    Integers may be numbers or text, ``epoch_id`` may be missing beside ``epoch_group_id``,
    exclusions may be missing or null, proofs and blocks are not looked at. A participant that makes
    no sense costs only itself its place.

    Args:
        payload: Decoded JSON.
        source_url: Where it came from.

    Raises:
        GonkaDiscoveryError: It is no such answer; says what is wrong.
        GonkaNoParticipantsError: Nobody is in it, or nobody who makes sense.
    """
    answer = Fields(payload, "the answer", source_url)
    if not answer.has("active_participants"):
        raise answer.wrong("has no active_participants")
    active = answer.object("active_participants")
    epoch = active.integer("epoch_id") or active.integer("epoch_group_id")
    if epoch <= 0:
        raise active.wrong("names no epoch")
    entries = active.items("participants")
    found, skipped = _decoded(entries, epoch)
    if not found:
        why = (
            f"all {len(entries)} are unusable: {skipped[0][1]}" if skipped else "the list is empty"
        )
        raise GonkaNoParticipantsError(
            f"{source_url} names no participant of epoch {epoch}: {why}", source_url=source_url
        )
    return ParticipantSet(
        epoch_id=epoch,
        participants=found,
        excluded=_excluded(answer),
        skipped=skipped,
        created_at_block_height=active.integer("created_at_block_height"),
        effective_block_height=active.integer("effective_block_height"),
        source_url=source_url,
    )


def _decoded(
    entries: Iterable[Any], epoch: int
) -> tuple[tuple[GonkaParticipant, ...], tuple[tuple[str, str], ...]]:
    found: dict[str, GonkaParticipant] = {}
    skipped: list[tuple[str, str]] = []
    for position, entry in enumerate(entries):
        one = _participant(entry, epoch)
        if isinstance(one, str):
            skipped.append((_name(entry, position), one))
        elif one.address in found:
            skipped.append((one.address, "it is listed twice"))
        else:
            found[one.address] = one
    return tuple(found.values()), tuple(skipped)


def _participant(entry: Any, epoch: int) -> GonkaParticipant | str:
    """The participant, or what is wrong with it."""
    if not isinstance(entry, dict):
        return "it is not an object"
    address, url = entry.get("index"), entry.get("inference_url")
    weight = integer_of(entry.get("weight") or 0)
    models = entry.get("models") or []
    flaw = _flaw_of_address(address) or _flaw_of_url(url) or _flaw_of_models(models)
    if flaw is not None or weight is None or weight < 0:
        return flaw or "its weight is no number of 0 or more"
    key = entry.get("validator_key")
    return GonkaParticipant(
        address=str(address),
        inference_url=str(url).strip().rstrip("/"),
        weight=weight,
        models=tuple(models),
        validator_key=key if isinstance(key, str) and key else None,
        epoch_id=epoch,
    )


def _flaw_of_address(address: object) -> str | None:
    if isinstance(address, str) and 0 < len(address) <= _MAX_ADDRESS:
        return None
    return "its index is no account address"


def _flaw_of_url(url: object) -> str | None:
    if not isinstance(url, str) or not url.strip():
        return "it has no inference_url"
    if len(url) <= _MAX_URL and url.strip().lower().startswith(("http://", "https://")):
        return None
    return "its inference_url is not an http(s) URL"


def _flaw_of_models(models: object) -> str | None:
    if isinstance(models, list) and all(isinstance(model, str) for model in models):
        return None
    return "its models are no list of names"


def _name(entry: Any, position: int) -> str:
    name = entry.get("index") if isinstance(entry, dict) else None
    return name[:_SHOWN] if isinstance(name, str) and name else f"participants[{position}]"


def _excluded(answer: Fields) -> frozenset[str]:
    entries = answer.items("excluded_participants")
    addresses = (entry.get("address") for entry in entries if isinstance(entry, dict))
    return frozenset(address for address in addresses if isinstance(address, str))
