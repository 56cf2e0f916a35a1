"""A switch that makes nodes lie: every way to forge a participant list, by name.

    net.chain = ForgedChain(SyntheticChain.of(net), "header_app_hash_swapped")
    net.hosts[0].chain = ForgedChain(net.chain, "json_only")     # one host lies, the others do not

Each case of `CASES` changes an honest answer as an attacker could who controls the nodes that are
asked, but not the validators' keys; `nil_votes` and `two_thirds_not_more` stand for validators who
did not sign. A verifier has to refuse every one of them.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..proof.json_dialects import read_header
from ..proof.store_proof import ProofOp
from ..proof.wire import bytes_field
from . import forged_commits as commits
from .chain_json import base64_text
from .chain_records import encode_record, record_key
from .forgery import EVIL_URL, Forgery
from .state_trees import encode_proof

if TYPE_CHECKING:
    from collections.abc import Callable

    from .chain import SyntheticChain

__all__ = ["CASES", "EVIL_URL", "Forgery", "forge"]


# -- the list ---------------------------------------------------------------------------------


def _json_only(f: Forgery) -> None:
    """The JSON list is the attacker's; bytes and proofs are genuine."""
    f.show_list(f.evil_record())


def _bytes_and_json(f: Forgery) -> None:
    """The bytes are the attacker's too; the proofs are the genuine record's."""
    f.show_bytes(f.evil_record())


def _iavl_rebuilt(f: Forgery) -> None:
    """The store proof is rebuilt for the attacker's record."""
    f.show_bytes(f.evil_record())
    forged = f.evil_chain().proof(f.height - 1, record_key(f.epoch))
    honest = f.chain.proof(f.height - 1, record_key(f.epoch))
    f.show_ops(forged[0], honest[1])


def _both_proofs_rebuilt(f: Forgery) -> None:
    """Both proofs are rebuilt; they lead to an application hash that no header has."""
    f.show_bytes(f.evil_record())
    f.show_ops(*f.evil_chain().proof(f.height - 1, record_key(f.epoch)))


def _header_app_hash_swapped(f: Forgery) -> None:
    """The true header with the forged application hash; the commit is for the true header."""
    _both_proofs_rebuilt(f)
    app_hash = f.evil_chain().state(f.height - 1).app_hash.hex().upper()
    f.header["app_hash"] = app_hash
    f.payload["block"]["header"]["app_hash"] = app_hash


def _commit_repointed(f: Forgery) -> None:
    """The commit's block id is changed to the forged header's."""
    _header_app_hash_swapped(f)
    f.commit["block_id"]["hash"] = read_header(f.header).hash.hex().upper()


def _whole_foreign_chain(f: Forgery) -> None:
    """Everything is consistent, and of a chain with the attacker's own validators."""
    f.show_chain(f.foreign_chain())


# -- the epoch --------------------------------------------------------------------------------


def _old_epoch_for_new(f: Forgery) -> None:
    """A true answer of the epoch before."""
    f.show_epoch(f.epoch - 1)


def _old_epoch_as_current(f: Forgery) -> None:
    """A true answer of two epochs before: more than a day old."""
    f.show_epoch(max(1, f.epoch - 2))


def _proof_of_other_epoch(f: Forgery) -> None:
    """The proofs are those of the epoch before."""
    f.show_ops(*f.chain.proof(f.height - 1, record_key(f.epoch - 1)))


def _epoch_id_zero(f: Forgery) -> None:
    """A record from before records had an epoch."""
    zero = replace(f.record, epoch_id=0)
    f.show_bytes(zero)


# -- the proofs -------------------------------------------------------------------------------


def _other_store(f: Forgery) -> None:
    """The application proof is for another store."""
    first, _ = f.chain.proof(f.height - 1, record_key(f.epoch))
    f.show_ops(first, ProofOp("ics23:simple", b"bank", f.chain.state(f.height).root_proof("bank")))


def _leaf_op_no_prehash(f: Forgery) -> None:
    """The leaf hashes the value itself."""
    key = record_key(f.epoch)
    leaf, steps = f.chain.state(f.height - 1).store_path(key)
    _show_store_proof(f, encode_proof(key, leaf.value, leaf.head, steps, prehash=0))


def _inner_prefix_padded(f: Forgery) -> None:
    """An inner operation has more in its prefix than a node has."""
    key = record_key(f.epoch)
    leaf, steps = f.chain.state(f.height - 1).store_path(key)
    prefix, suffix = steps[0]
    padded = [(prefix + bytes(40), suffix), *steps[1:]]
    _show_store_proof(f, encode_proof(key, leaf.value, leaf.head, padded))


def _batch_proof(f: Forgery) -> None:
    """A batch of one proof."""
    single = base64.b64decode(f.ops[0]["data"])  # is also the encoding of a batch's entry
    _show_store_proof(f, bytes_field(3, bytes_field(1, single)))


def _show_store_proof(f: Forgery, data: bytes) -> None:
    f.ops[0]["data"] = base64_text(data)


def _ops_reversed(f: Forgery) -> None:
    """The proofs are in the wrong order."""
    f.ops.reverse()


def _other_op_type(f: Forgery) -> None:
    """A proof of a tree that the chain does not have."""
    f.ops[0]["type"] = "ics23:smt"


def _no_proof_ops(f: Forgery) -> None:
    """A list without proofs, as newer nodes give for past epochs."""
    del f.payload["proof_ops"]


def _bytes_not_hex(f: Forgery) -> None:
    """The bytes are no hexadecimal text."""
    f.payload["active_participants_bytes"] = "zz" + f.payload["active_participants_bytes"][2:]


def _bytes_truncated_field(f: Forgery) -> None:
    """The bytes end inside a field."""
    f.payload["active_participants_bytes"] = encode_record(f.record)[:-1].hex()


CASES: Final[dict[str, Callable[[Forgery], None]]] = {
    "json_only": _json_only,
    "bytes_and_json": _bytes_and_json,
    "iavl_rebuilt": _iavl_rebuilt,
    "both_proofs_rebuilt": _both_proofs_rebuilt,
    "header_app_hash_swapped": _header_app_hash_swapped,
    "commit_repointed": _commit_repointed,
    "whole_foreign_chain": _whole_foreign_chain,
    "foreign_validators_same_header": commits.foreign_validators_same_header,
    "two_thirds_not_more": commits.two_thirds_not_more,
    "nil_votes": commits.nil_votes,
    "copied_signatures": commits.copied_signatures,
    "swapped_signatures": commits.swapped_signatures,
    "extra_signature": commits.extra_signature,
    "power_inflated": commits.power_inflated,
    "validators_page_cut": commits.validators_page_cut,
    "payload_block_only": commits.payload_block_only,
    "commit_of_H": commits.commit_of_h,
    "commit_of_H_plus_2": commits.commit_of_h_plus_2,
    "no_commit": commits.no_commit,
    "other_chain_id": commits.other_chain_id,
    "chain_id_renamed": commits.chain_id_renamed,
    "old_epoch_for_new": _old_epoch_for_new,
    "old_epoch_as_current": _old_epoch_as_current,
    "proof_of_other_epoch": _proof_of_other_epoch,
    "epoch_id_zero": _epoch_id_zero,
    "other_store": _other_store,
    "leaf_op_no_prehash": _leaf_op_no_prehash,
    "inner_prefix_padded": _inner_prefix_padded,
    "batch_proof": _batch_proof,
    "ops_reversed": _ops_reversed,
    "other_op_type": _other_op_type,
    "no_proof_ops": _no_proof_ops,
    "bytes_not_hex": _bytes_not_hex,
    "bytes_truncated_field": _bytes_truncated_field,
}


def forge(case: str, chain: SyntheticChain, epoch: int) -> Forgery:
    """The answer of *case* to who asks for *epoch*.

    Raises:
        KeyError: No such case.
    """
    forgery = Forgery(chain, epoch)
    CASES[case](forgery)
    return forgery
