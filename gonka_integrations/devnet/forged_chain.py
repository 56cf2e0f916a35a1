"""The forgeries as a chain that nodes serve."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .chain_rpc import page_of
from .forgeries import forge

if TYPE_CHECKING:
    from .chain import SyntheticChain
    from .forgery import Forgery

__all__ = ["ForgedChain"]


class ForgedChain:
    """Serves one case of `forgeries.CASES` in place of an honest chain.

    Headers of other heights are honest, so that a verifier can follow the chain up to the forged
    one. The recent state is not served.

    Args:
        chain: The honest chain.
        case: Name of the case.
    """

    def __init__(self, chain: SyntheticChain, case: str) -> None:
        self.honest = chain
        self.case = case
        self._made: dict[int, Forgery] = {}
        self._lock = threading.Lock()

    def forgery(self, epoch: int) -> Forgery:
        """What is shown to who asks for *epoch*."""
        with self._lock:
            if epoch not in self._made:
                self._made[epoch] = forge(self.case, self.honest, epoch)
            return self._made[epoch]

    def proof_fields(self, epoch: int) -> dict[str, Any]:
        """The forged payload; null where the forgery leaves a field out."""
        shown = self.forgery(epoch).payload
        return {"proof_ops": None, **shown}

    def rpc(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """The forged commit and validators at the forged height; else the honest answer."""
        if path == "abci_query":
            return None
        forgery = self.forgery(self.honest.book.current_id)
        if int(query.get("height") or 0) != forgery.height:
            return self.honest.rpc(path, query)
        envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": -1}
        if path == "commit":
            if forgery.signed is None:
                return None
            return {**envelope, "result": {"signed_header": forgery.signed, "canonical": True}}
        if path == "validators":
            shown = forgery.validators
            return {**envelope, "result": page_of(shown, forgery.height, query)}
        return self.honest.rpc(path, query)
