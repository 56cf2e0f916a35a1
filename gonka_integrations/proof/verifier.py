"""Verified discovery: from a payload and some sources to a proven participant set."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .anchoring import Anchor
from .commits import require_ed25519
from .report import Report
from .routes import Run
from .trust import TrustRoot, parse_trust
from .trust_store import TrustStore, default_store_path
from .verification import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..core.participants import ParticipantSet
    from .node_reader import Steps

__all__ = ["Verifier"]

_STATELESS_SECONDS: Final = 3600.0


class Verifier:
    """Proves participant sets for one chain and trust root.

    Nothing it returns is unproven: what fails, fails with a `ProofCheckError`. Safe to use from
    several threads; each verification is a generator of its own.

    Args:
        trust: See `trust.parse_trust`; also says which chain.
        sources: Base URLs of nodes, without ``/v1``; asked in this order.
        rules: What is accepted; their chain is the trust root's.
        store: Where trusted headers are kept; None for the trust root's file, or the usual one.
        clock: UNIX time in seconds.

    Raises:
        GonkaConfigError: *trust* is no trust root, or the package that checks signatures is
            missing.
    """

    def __init__(
        self,
        trust: object,
        sources: Iterable[str],
        *,
        rules: Rules | None = None,
        store: TrustStore | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        require_ed25519()
        self.root: TrustRoot = parse_trust(trust)
        self.sources = tuple(_base(url) for url in sources)
        self.rules = replace(rules or Rules(), chain_id=self.root.chain_id)
        self.store = store or _store_of(self.root)
        self.anchor = Anchor(self.root, self.sources, self.rules.policy, self.store)
        self.clock = clock
        self._stateless: dict[str, float] = {}

    def steps(
        self,
        payload: bytes | Mapping[str, Any],
        epoch: int | None = None,
        *,
        source_url: str = "",
        report: Report | None = None,
    ) -> Steps[ParticipantSet]:
        """Prove the participants that *payload* lists; a generator of requests.

        The recent state is proven where a source serves it, else the payload's own proofs. A
        source that cannot or will not prove is passed over for the next one; what it said is in
        the evidence.

        Args:
            payload: Answer of `/v1/epochs/{epoch}/participants`, as bytes or decoded.
            epoch: The epoch asked for; None for the current one.
            source_url: Where the payload came from; asked first.
            report: Receives the chain of evidence.

        Raises:
            ProofCheckError: The list is not proven; the most telling reason, with the evidence.
            GonkaNoParticipantsError: It is proven, and nobody in it can be used.
        """
        first = _base(source_url) if source_url else ""
        order = [first] * bool(first) + [url for url in self.sources if url != first]
        run = Run(self, order, epoch, report or Report())
        with run.report.attached():
            return (yield from run.prove(payload, source_url))

    def serves_state(self, source: str) -> bool:
        """Whether *source* may serve proofs of the recent state; asked again after an hour."""
        return self.clock() >= self._stateless.get(source, 0.0)

    def note_stateless(self, source: str) -> None:
        """Do not ask *source* for the recent state for an hour."""
        self._stateless[source] = self.clock() + _STATELESS_SECONDS


def _base(url: str) -> str:
    return url.rstrip("/").removesuffix("/v1")


def _store_of(root: TrustRoot) -> TrustStore:
    path = Path(root.store).expanduser() if root.store else default_store_path(root.chain_id)
    return TrustStore(path, root.root_id)
