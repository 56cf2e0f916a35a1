"""Reads of the network as flows: what is asked, of whom, and what comes of it. No I/O here."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote

from ..errors import GonkaConfigError, GonkaDiscoveryError
from .addresses import require_address
from .effects import Compute
from .eligibility import usable
from .epochs import EpochInfo, decode_epoch
from .fetching import parse_json
from .participants import ParticipantSet, decode_participants
from .reads import Account, ChainParams, decode_account, decode_chain_params

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .effects import Flow
    from .fetching import Fetcher
    from .resolution import HostPolicy
    from .sources import Source, Sources

__all__ = ["Reader", "Verifier"]

_logger = logging.getLogger("gonka_integrations.discovery")

T = TypeVar("T")
_BRIEF = 5.0
_PARAMS = "/chain-api/productscience/inference/inference/params"


class Verifier(Protocol):
    """Proves a participant list."""

    def __call__(
        self,
        payload: bytes,
        *,
        epoch: int | None,
        source_url: str,
        sources: Sequence[str],
        fetch: Callable[[str, str], Flow[bytes]],
    ) -> Flow[ParticipantSet]:
        """The set that *payload* proves.

        Args:
            payload: Answer of ``GET /v1/epochs/{epoch}/participants``, byte for byte.
            epoch: The epoch asked for; None for the current one.
            source_url: Who gave it.
            sources: Every source, to ask others as well.
            fetch: ``fetch(source, path)`` is the flow of one more read; raises
                `GonkaDiscoveryError` where there is no answer.

        Raises:
            GonkaProofVerificationError: It proves nothing.
        """


class Reader:
    """Reads through several sources.

    Args:
        sources: Whom to ask.
        fetcher: How.
        policy: Which participants may be connected to.
        allow_private: Whether participants may be on private networks.
        verifier: Proves participant lists; None when they need no proof.
    """

    def __init__(
        self,
        sources: Sources,
        fetcher: Fetcher,
        policy: HostPolicy,
        *,
        allow_private: bool,
        verifier: Verifier | None,
    ) -> None:
        self.sources = sources
        self._fetcher = fetcher
        self._policy = policy
        self._allow_private = allow_private
        self._verifier = verifier
        self._allowed: frozenset[str] | None = None

    def read(self, path: str, decode: Callable[[Any, str], T], *, brief: bool = False) -> Flow[T]:
        """What *decode* makes of the JSON at *path*.

        Args:
            path: From the slash on.
            decode: Makes a value of decoded JSON and its source.
            brief: Whether to do without when it is not there within seconds.
        """
        fetcher = self._fetcher
        if brief:
            fetcher = replace(fetcher, timeout=min(fetcher.timeout, _BRIEF))

        def read(source: Source) -> Flow[T]:
            body = yield from fetcher.get(source.url, path)
            return decode(parse_json(body, source.url), source.url)

        return self.sources.ask(path, read, attempts=1 if brief else None)

    def epoch(self) -> Flow[EpochInfo]:
        """Where the chain is in its epoch."""
        return self.read("/v1/epochs/latest", decode_epoch)

    def chain_params(self, *, brief: bool = False) -> Flow[ChainParams]:
        """Parameters of the chain."""
        return self.read(_PARAMS, decode_chain_params, brief=brief)

    def account(self, address: str) -> Flow[Account]:
        """An account's balance and key."""
        return self.read(
            f"/v1/participants/{quote(require_address(address, 'address'))}",
            lambda payload, source: decode_account(payload, address, source),
        )

    def participants(self, epoch: int | str = "current") -> Flow[ParticipantSet]:
        """The participants of an epoch that may be sent signed requests."""
        wanted = _epoch(epoch)
        found: ParticipantSet = yield from self.sources.ask(
            f"participants of {wanted}", lambda source: self._participants(source, wanted)
        )
        allowed = yield from self._allow_list()
        private = self._allow_private or self._is_private(found.source_url)
        if not private:
            yield Compute(lambda: self._policy.look_up(found.participants))
        left = usable(found, allowed, lambda one: self._policy.refusal(one, allow_private=private))
        self._policy.tell(left.epoch_id, left.skipped)
        return left

    def _is_private(self, url: str) -> bool:
        return any(source.is_private for source in self.sources if source.url == url)

    def _participants(self, source: Source, wanted: int | str) -> Flow[ParticipantSet]:
        path = f"/v1/epochs/{wanted}/participants"
        body = yield from self._fetcher.get(source.url, path)
        if self._verifier is None:
            found = decode_participants(parse_json(body, source.url), source_url=source.url)
        else:
            found = yield from self._verifier(
                body,
                epoch=None if wanted == "current" else int(wanted),
                source_url=source.url,
                sources=self.sources.urls,
                fetch=self._fetcher.get,
            )
        if wanted not in ("current", found.epoch_id):
            raise GonkaDiscoveryError(
                f"{source.url} answers with epoch {found.epoch_id} when asked for {wanted}",
                source_url=source.url,
            )
        return replace(found, source_url=source.url)

    def _allow_list(self) -> Flow[frozenset[str] | None]:
        """The chain's allow-list; the last known one when it cannot be read.

        Hosts may switch the chain's API off, so not being able to read it must not stop traffic: a
        host that is not allowed says so itself.
        """
        try:
            params = yield from self.chain_params(brief=True)
        except GonkaDiscoveryError as error:
            _logger.info("The allowed transfer addresses could not be read: %s", error)
            return self._allowed
        self._allowed = params.allowed_transfer_addresses
        return self._allowed


def _epoch(epoch: int | str) -> int | str:
    if epoch == "current":
        return epoch
    number = int(epoch) if isinstance(epoch, str) and epoch.isdecimal() else epoch
    if type(number) is int and number >= 1:
        return number
    raise GonkaConfigError(
        f"epoch: expected 'current' or a number from 1 on, not {epoch!r}", field="epoch"
    )
