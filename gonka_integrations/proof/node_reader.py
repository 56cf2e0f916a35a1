"""What has to be asked of nodes, as generators that yield requests and do no I/O.

A driver sends each request and hands back status and body; it is the same for blocking and for
asynchronous code (see `fetching`). No answer is trusted: each is decoded in bounds and checked.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

from .cometbft import Validator, ValidatorSet
from .errors import MissingSignedHeader, NotServed, TrustError, WrongHeight
from .json_dialects import MAX_VALIDATORS, read_proof_ops, read_signed_header, read_validators
from .json_values import as_integer, as_object, excerpt, from_base64, load_json
from .light import LightBlock
from .verification import unwrap

if TYPE_CHECKING:
    from .store_proof import ProofOp

__all__ = ["Answer", "NodeReader", "Request", "StateAnswer", "Steps"]

_T = TypeVar("_T")
_OK: Final = 200
_NOT_OFFERED: Final = (404, 405, 410, 501)
_PAGE: Final = 100  # most validators that a node puts on a page
_MAX_COMMIT_BYTES: Final = 8 << 20
_MAX_PAGE_BYTES: Final = 1 << 20
_MAX_STATE_BYTES: Final = 64 << 20  # twice the record in base64: value and proof
_MAX_STATUS_BYTES: Final = 1 << 20
_LAG: Final = 2  # blocks behind the head, whose next header is there for certain


class Request(NamedTuple):
    """A GET to make: base URL of the node, and the path from the slash on."""

    source: str
    path: str


class Answer(NamedTuple):
    """What came back: status 0 with the reason as body when there was no answer."""

    status: int
    body: bytes


Steps: TypeAlias = Generator[Request, tuple[int, bytes], _T]


class StateAnswer(NamedTuple):
    """What `abci_query` says about one key at one height."""

    value: bytes
    ops: tuple[ProofOp, ...]


class NodeReader:
    """Reads what one verification needs, remembering validator sets by their hash.

    Args:
        chain_id: The chain that headers must be of.
        budget: Most requests made before giving up.
    """

    def __init__(self, chain_id: str, budget: int = 600) -> None:
        self._chain_id = chain_id
        self._budget = budget
        self._sets: dict[bytes, ValidatorSet] = {}

    def know(self, validators: ValidatorSet) -> None:
        """Remember a set, so that it need not be asked for."""
        self._sets[validators.hash] = validators

    def light_block(self, source: str, height: int) -> Steps[LightBlock]:
        """The checked block at *height*, as *source* shows it.

        Raises:
            MissingSignedHeader: The source does not serve it.
            ProofCheckError: What it serves is not a final block of this chain.
        """
        signed = yield from self.signed_header(source, height)
        expected = signed.header.validators_hash
        validators = self._sets.get(expected)
        if validators is None:
            validators = yield from self._validators(source, height)
        block = LightBlock.checked(self._chain_id, signed, validators)
        self.know(validators)
        return block

    def signed_header(self, source: str, height: int) -> Steps[Any]:
        """The signed header at *height*, decoded and not checked."""
        path = f"/chain-rpc/commit?height={height}"
        result = yield from self._get(source, path, f"commit {height}", _MAX_COMMIT_BYTES)
        signed = read_signed_header(as_object(result, "commit").get("signed_header"))
        if signed.header.height != height:
            raise WrongHeight(
                f"signed header: {source} shows height {signed.header.height} for {height}"
            )
        return signed

    def _validators(self, source: str, height: int) -> Steps[ValidatorSet]:
        """All pages of the set at *height*; whether it is whole, its hash will say."""
        found: list[Validator] = []
        total = 1
        page = 0
        while len(found) < total:
            page += 1
            path = f"/chain-rpc/validators?height={height}&per_page={_PAGE}&page={page}"
            result = yield from self._get(source, path, f"validators {height}", _MAX_PAGE_BYTES)
            fields = as_object(result, "validators")
            shown = read_validators(fields.get("validators"))
            total = as_integer(fields.get("total", 0), "validators.total", 0, MAX_VALIDATORS)
            found.extend(shown)
            if not shown:
                break
        return ValidatorSet(tuple(found))

    def latest_height(self, source: str) -> Steps[int]:
        """Height of a recent state whose next header is there, by the source's own account."""
        result = yield from self._get(source, "/chain-rpc/status", "status", _MAX_STATUS_BYTES)
        sync = as_object(as_object(result, "status").get("sync_info"), "status.sync_info")
        return as_integer(sync.get("latest_block_height"), "latest_block_height", _LAG + 1) - _LAG

    def state(self, source: str, store: str, key: bytes, height: int) -> Steps[StateAnswer]:
        """Value and proofs of *key* in the state after *height*.

        Raises:
            MissingSignedHeader: The source does not serve state proofs, or the key is not there.
        """
        path = (
            f"/chain-rpc/abci_query?path=%22/store/{store}/key%22&data=0x{key.hex()}"
            f"&height={height}&prove=true"
        )
        result = yield from self._get(source, path, "abci_query", _MAX_STATE_BYTES)
        fields = as_object(as_object(result, "abci_query").get("response"), "response")
        ops = fields.get("proofOps", fields.get("proof_ops"))
        if fields.get("code", 0) != 0 or not fields.get("value") or ops is None:
            raise MissingSignedHeader(
                f"recent state: {source} has no proof of key {key.hex()} at height {height} "
                f"({excerpt(fields.get('log', ''))})"
            )
        if as_integer(fields.get("height"), "response.height") != height:
            raise WrongHeight(f"recent state: {source} answers for another height than {height}")
        return StateAnswer(from_base64(fields["value"], "response.value"), read_proof_ops(ops))

    def _get(self, source: str, path: str, what: str, limit: int) -> Steps[Any]:
        """The result of a JSON-RPC call.

        Raises:
            MissingSignedHeader: No answer, or a refusal.
            MalformedPayload: An answer that is no JSON, or too long.
            TrustError: The budget of requests is spent.
        """
        self._budget -= 1
        if self._budget < 0:
            raise TrustError(
                "bisection: too many requests; the trust root is too far back or a source leads "
                "astray, so renew the trust root with a newer checkpoint"
            )
        status, body = yield Request(source, path)
        if status != _OK:
            kind = NotServed if status in _NOT_OFFERED else MissingSignedHeader
            raise kind(f"{what}: {source} answered {status or 'nothing'} ({excerpt(body)})")
        return unwrap(load_json(body, what, limit=limit), what)
