"""A synthetic chain beside the local network: what it serves can be proven, and proves the hosts.

Own validator keys, true trees, headers and signed commits. Validators are the participants of the
epoch and a few guardians, so sets rotate with the epochs.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from ..proof.cometbft import BlockId, Header
from ..proof.store_proof import ProofOp
from .chain_blocks import LINKED, BlockTimes, Signers, digest, record_at, usual_absent
from .chain_json import commit_json, header_json, proof_ops_json, validators_json
from .chain_records import EFFECTIVE_EPOCH_KEY, encode_record, record_json, record_key
from .chain_rpc import answer
from .state_trees import STORE, STORES, Node, State, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..proof.cometbft import Commit, ValidatorSet
    from .chain_json import BlockDialect
    from .epochs import EpochBook, EpochRecord
    from .network import Devnet

_FILLER = 200  # other records in the store, so that proofs have a depth
_FIRST_PAGE = 30  # validators that a node puts into its payload
_REMEMBERED = 2048


class SyntheticChain:
    """The chain of a network.

    Args:
        book: Epochs and height.
        clock_ns: Block time, UNIX nanoseconds.
        chain_id: Its name.
        seed: Seed of the network's keys.
        guardians: Validators besides the participants; 0 lets sets rotate fully.
        dialect: JSON dialect of the block in payloads.

    Attributes:
        serve_state: Whether `abci_query` is answered.
    """

    def __init__(
        self,
        book: EpochBook,
        clock_ns: Callable[[], int],
        *,
        chain_id: str = "gonka-devnet",
        seed: object = 0,
        guardians: int = 3,
        dialect: Callable[[], BlockDialect] = lambda: "comet",
    ) -> None:
        self.book = book
        self.chain_id = chain_id
        self.seed = seed
        self.clock_ns = clock_ns
        self.signers = Signers(seed, guardians)
        self.serve_state = True
        self._dialect = dialect
        self._lock = threading.RLock()
        self._times = BlockTimes()
        self._states: list[tuple[int, State]] = []
        self._applied = 0  # last epoch whose record is in the state
        self._sets: dict[int, ValidatorSet] = {}
        self._headers: dict[int, Header] = {}
        self._commits: dict[int, Commit] = {}
        self._fields: dict[tuple[int, BlockDialect], dict[str, Any]] = {}

    @classmethod
    def of(cls, net: Devnet, *, guardians: int = 3) -> SyntheticChain:
        """The chain of a local network; set it as `net.chain`."""
        return cls(
            net.epochs,
            net.block_time_ns,
            chain_id=net.chain_id,
            seed=net.seed,
            guardians=guardians,
            dialect=lambda: "proto" if net.dialect == "v0.2.15" else "comet",
        )

    def take_times(self, other: SyntheticChain) -> None:
        """Make blocks at the times at which *other* made them."""
        self._times = copy.deepcopy(other._times)

    # -- what nodes serve -----------------------------------------------------------------------

    def proof_fields(self, epoch: int) -> dict[str, Any]:
        """Fields of the participants payload that prove *epoch*."""
        with self._lock:
            self.observe()
            dialect = self._dialect()
            if (epoch, dialect) not in self._fields:
                self._fields[epoch, dialect] = self._proof_fields(self.book.records[epoch], dialect)
            return self._fields[epoch, dialect]

    def _proof_fields(self, record: EpochRecord, dialect: BlockDialect) -> dict[str, Any]:
        height = record.created_at
        first = self.validator_set(height).validators[:_FIRST_PAGE]
        return {
            "active_participants_bytes": encode_record(record).hex(),
            "proof_ops": proof_ops_json(self.proof(height, record_key(record.epoch_id))),
            "validators": validators_json(first, dialect),
            "block": {
                "header": header_json(self.header(height + 1), dialect),
                "data": {"txs": None},
                "evidence": {"evidence": None},
                "last_commit": commit_json(self.commit(height), dialect),
            },
        }

    def payload(self, epoch: int) -> dict[str, Any]:
        """The participants payload of *epoch*, with the list that is proven."""
        record = self.book.records[epoch]
        return {"active_participants": record_json(record), **self.proof_fields(epoch)}

    def rpc(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """Answer of `/chain-rpc/{path}`; None when there is none."""
        with self._lock:
            return answer(self, path, query)

    # -- heights --------------------------------------------------------------------------------

    def observe(self) -> int:
        """Let time pass; returns the latest height."""
        with self._lock:
            for epoch_id in sorted(self.book.records):
                if epoch_id > self._applied:
                    self._apply(self.book.records[epoch_id])
            self._times.see(self.book.height, self.clock_ns())
            return self._times.latest

    def _apply(self, record: EpochRecord) -> None:
        """Write an epoch's record at its height, and the epoch's number when it takes effect."""
        if not self._states:
            self._states.append((0, self._first_state(record)))
        root = self._states[-1][1].root
        written = put(root, record_key(record.epoch_id), encode_record(record), record.created_at)
        number = record.epoch_id.to_bytes(8, "big")
        effective = put(written, EFFECTIVE_EPOCH_KEY, number, record.effective)
        self._states.append((record.created_at, self._state(written, record.created_at)))
        self._states.append((record.effective, self._state(effective, record.effective)))
        self._sets[record.epoch_id] = self.signers.validator_set(record)
        self._applied = record.epoch_id

    def _first_state(self, record: EpochRecord) -> State:
        height = record.created_at
        root: Node | None = None
        for index in range(_FILLER):
            key = b"Participant/value/" + digest("filler", index)[:8].hex().encode() + b"/"
            root = put(root, key, digest("value", index), height - 1 - index % 7)
        # The first epoch is in force as soon as it is written: there is none before it.
        number = record.epoch_id.to_bytes(8, "big")
        return self._state(put(root, EFFECTIVE_EPOCH_KEY, number, height - 1), 0)

    def _state(self, root: Node, height: int) -> State:
        others = tuple((name, digest(name, height)) for name in STORES if name != STORE)
        return State(root, others)

    def state(self, height: int) -> State:
        """State after the block at *height*."""
        return next(state for begun, state in reversed(self._states) if begun <= height)

    def proof(self, height: int, key: bytes, store: str = STORE) -> tuple[ProofOp, ...]:
        """Both proofs of *key* in the state after *height*.

        Raises:
            KeyError: The state does not have it.
        """
        state = self.state(height)
        return (
            ProofOp("ics23:iavl", key, state.store_proof(key)),
            ProofOp("ics23:simple", store.encode(), state.root_proof(store)),
        )

    # -- blocks ---------------------------------------------------------------------------------

    def validator_set(self, height: int) -> ValidatorSet:
        """Validators that make the block at *height*."""
        return self._sets[record_at(self.book.records, height).epoch_id]

    def header(self, height: int) -> Header:
        """Header of the block at *height*."""
        found = self._headers.get(height)
        if found is None:
            _bound(self._headers)
            found = self._headers[height] = self._make_header(height)
        return found

    def _make_header(self, height: int) -> Header:
        validators = self.validator_set(height)
        linked = height % LINKED != 0
        last = self.header(height - 1) if linked else None
        last_id = (
            BlockId(last.hash, 1, digest("parts", last.hash.hex()))
            if last
            else BlockId(digest("block", height - 1), 1, digest("parts", height - 1))
        )
        # A commit is costly; only the blocks that payloads show name the true one before them.
        shown = linked and any(one.created_at + 1 == height for one in self.book.records.values())
        return Header(
            version_block=11,
            version_app=0,
            chain_id=self.chain_id,
            height=height,
            time=self._times.at(height),
            last_block_id=last_id,
            last_commit_hash=self.commit(height - 1).hash if shown else digest("commit", height),
            data_hash=digest("data", height),
            validators_hash=validators.hash,
            next_validators_hash=self.validator_set(height + 1).hash,
            consensus_hash=digest("consensus"),
            app_hash=self.state(height - 1).app_hash,
            last_results_hash=digest("results", height - 1),
            evidence_hash=digest("evidence"),
            proposer_address=validators.validators[height % len(validators)].address,
        )

    def commit(self, height: int) -> Commit:
        """Precommits for the block at *height*."""
        found = self._commits.get(height)
        if found is None:
            _bound(self._commits)
            validators = self.validator_set(height)
            found = self._commits[height] = self.signers.commit(
                self.header(height),
                validators,
                chain_id=self.chain_id,
                absent=usual_absent(height, len(validators)),
            )
        return found


def _bound(made: dict[int, Any]) -> None:
    """Forget what was made before when it is much: the same comes out again."""
    if len(made) >= _REMEMBERED:
        made.clear()
