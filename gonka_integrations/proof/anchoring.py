"""Anchoring a header in a trust root, with whatever must be fetched for it.

A header that is final by its own account may still be of an attacker's chain. It is anchored when
it is reached from a checkpoint, or from a header that several sources agreed on before; on the way
more headers are fetched wherever too few of the trusted validators have signed (bisection).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from .anchor import check_pin, is_trusted
from .errors import (
    MissingSignedHeader,
    NotEnoughTrust,
    NotMonotonic,
    ProofCheckError,
    SourcesDisagree,
    TrustError,
    TrustExpired,
    TrustMismatch,
)
from .light import LightBlock, TrustedHeader, TrustPolicy, check_clock, check_fresh, check_step
from .trust import Agreement, Checkpoint, TrustRoot, host_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .node_reader import NodeReader, Steps
    from .report import Report
    from .trust_store import TrustStore

__all__ = ["Anchor", "Asking"]

_logger = logging.getLogger("gonka_integrations.proof.anchoring")
_MAX_STEPS: Final = 256


class Asking(NamedTuple):
    """Whom one verification asks, and when.

    Attributes:
        source: Base URL of the node that showed the header.
        reader: Reads and checks blocks.
        now: UNIX time in seconds.
        report: Receives the evidence.
    """

    source: str
    reader: NodeReader
    now: float
    report: Report


class Anchor:
    """One trust root and what descends from it.

    Args:
        root: The trust root.
        sources: Base URLs that can be asked, of different operators for an agreement.
        policy: Periods and levels of trust.
        store: Remembers what was anchored.
    """

    def __init__(
        self, root: TrustRoot, sources: Sequence[str], policy: TrustPolicy, store: TrustStore
    ) -> None:
        self._root = root
        self._sources = tuple(sources)
        self._policy = policy
        self._store = store

    def steps(self, block: LightBlock, asking: Asking) -> Steps[None]:
        """Anchor *block*, and remember it.

        Raises:
            TrustError, ValidatorSetMismatch: It does not descend from the trust root.
            MissingSignedHeader: A header in between is not served.
        """
        check_clock(block, asking.now, self._policy)
        start = yield from self._start(block, asking)
        if start is None or self._is_trusted(start, block):
            self._store.remember([TrustedHeader.of(block)])
            return
        path = yield from self._bisect(start, block, asking)
        self._store.remember([TrustedHeader.of(one) for one in path])
        asking.report.add("trust", f"reached from trusted header {start} in {_count(path)}")

    def _start(self, block: LightBlock, asking: Asking) -> Steps[TrustedHeader | None]:
        """The trusted header to begin at; None when sources have agreed on *block* itself."""
        remembered = self._store.headers()
        below = [header for header in remembered if header.height <= block.height]
        if below:
            try:
                check_fresh(below[-1], asking.now, self._policy)
            except TrustExpired as error:
                if not (isinstance(self._root, Agreement) and self._root.renew_expired):
                    raise self._expired(error) from None
                _logger.warning("Agreeing anew on a trusted header: %s", error)
                self._store.forget()
            else:
                asking.report.add(
                    "trust root", f"remembered header {below[-1]}, {self._root.root_id}"
                )
                return below[-1]
        elif remembered:
            raise NotMonotonic(
                f"order: header {block.height} is below all remembered ones, "
                f"the lowest of which is {remembered[0]}{self._memory()}"
            )
        if isinstance(self._root, Agreement):
            yield from self._agree(block, self._root.threshold, asking)
            return None
        return (yield from self._pinned(self._root, block, asking))

    def _is_trusted(self, start: TrustedHeader, block: LightBlock) -> bool:
        try:
            return is_trusted(start, block)
        except TrustMismatch as error:
            raise TrustMismatch(f"{error}{self._memory()}") from None

    def _expired(self, error: TrustExpired) -> TrustExpired:
        agrees = isinstance(self._root, Agreement)
        hint = "; or let sources agree anew: Agreement(renew_expired=True)" if agrees else ""
        return TrustExpired(f"{error}{hint}{self._memory()}")

    def _memory(self) -> str:
        """Where headers are remembered, and what a person can do about them."""
        if self._store.path is None:
            return ""
        return f" (remembered in {self._store.path}; remove it to start anew from the trust root)"

    def _pinned(self, root: Checkpoint, block: LightBlock, asking: Asking) -> Steps[TrustedHeader]:
        """The checkpoint's header, fetched and compared."""
        if root.height > block.height:
            raise NotMonotonic(
                f"checkpoint: {root.height} is above header {block.height}, which is to be "
                "proven; take a checkpoint at or below it"
            )
        first = block
        if root.height != block.height:
            first = yield from self._block(root.height, asking)
        check_pin(root, first)
        trusted = TrustedHeader.of(first)
        check_fresh(trusted, asking.now, self._policy)
        self._store.remember([trusted])
        asking.report.add("trust root", f"checkpoint {trusted}")
        return trusted

    def _agree(self, block: LightBlock, threshold: int, asking: Asking) -> Steps[None]:
        """Ask the other sources for the header at the same height; each must show the same one.

        Raises:
            SourcesDisagree: One shows another header.
            TrustError: Too few show it at all.
        """
        source = asking.source
        agreeing = {host_of(source): source}
        silent: list[str] = []
        for other in self._sources:
            if host_of(other) in agreeing:
                continue
            try:
                signed = yield from asking.reader.signed_header(other, block.height)
            except ProofCheckError as error:
                silent.append(f"{other}: {str(error)[:200]}")
                continue
            if signed.header.hash != block.hash:
                raise SourcesDisagree(
                    f"agreement: at height {block.height} {source} shows header "
                    f"{block.hash.hex().upper()}, {other} shows {signed.header.hash.hex().upper()};"
                    " one of them lies, so find out which and leave it out, or give a checkpoint"
                )
            agreeing[host_of(other)] = other
        if len(agreeing) < threshold:
            raise TrustError(
                f"agreement: {len(agreeing)} independent sources show header {block.height}, "
                f"{threshold} are needed; give more source URLs of different operators, or a "
                f"checkpoint ({'; '.join(silent) or 'no other source is configured'})"
            )
        names = ", ".join(sorted(agreeing))
        asking.report.add(
            "trust root", f"{len(agreeing)} sources agree on header {block.height}: {names}"
        )

    def _bisect(
        self, trusted: TrustedHeader, target: LightBlock, asking: Asking
    ) -> Steps[list[LightBlock]]:
        """Blocks that lead from *trusted* to *target*, which is the last of them."""
        path: list[LightBlock] = []
        pending = [target]
        for _ in range(_MAX_STEPS):
            candidate = pending[-1]
            try:
                check_step(trusted, candidate, asking.now, self._policy)
            except NotEnoughTrust:
                middle = (trusted.height + candidate.height) // 2
                pending.append((yield from self._block(middle, asking)))
                continue
            path.append(pending.pop())
            trusted = TrustedHeader.of(candidate)
            if not pending:
                return path
        raise TrustError(
            f"bisection: header {target.height} is not reached from {trusted} in {_MAX_STEPS} "
            "steps; renew the trust root with a newer checkpoint"
        )

    def _block(self, height: int, asking: Asking) -> Steps[LightBlock]:
        """A block of the source at hand, or of another one when that has pruned it."""
        try:
            return (yield from asking.reader.light_block(asking.source, height))
        except MissingSignedHeader as error:
            for other in self._sources:
                if other == asking.source:
                    continue
                try:
                    return (yield from asking.reader.light_block(other, height))
                except MissingSignedHeader:
                    continue
            raise error from None


def _count(path: Sequence[LightBlock]) -> str:
    return f"{len(path)} step" + ("s" if len(path) != 1 else "")
