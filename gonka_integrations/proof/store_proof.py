"""The two-tree proof of one record of the chain's state.

An IAVL tree (the store) has the record as a leaf, and a simple Merkle tree of all stores has the
store's root as a leaf; the simple tree's root is the application hash, which the header of the
*next* block carries.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from .errors import ProofError, ProofKeyMismatch, ProofValueMismatch
from .ics23 import IAVL_SPEC, SIMPLE_SPEC, decode_commitment_proof, existence_root, iavl_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ProofOp", "RecordProof", "prove_record"]


class ProofOp(NamedTuple):
    """One operation of a `ProofOps` list."""

    type: str
    key: bytes
    data: bytes


class RecordProof(NamedTuple):
    """What two valid proofs establish."""

    app_hash: bytes
    store_root: bytes
    version: int  # height at which the record was written
    depths: tuple[int, int]


def prove_record(ops: Sequence[ProofOp], store: str, key: bytes, value: bytes) -> RecordProof:
    """Application hash of the state in which *store* holds *value* under *key*.

    Key and store are the caller's, never the proof's own.

    Raises:
        ProofError: Not exactly one existence proof per tree; `ProofSpecError`, `ProofKeyMismatch`
            and `ProofValueMismatch` for the failed step.
        MalformedPayload: A proof cannot be decoded.
    """
    types = [op.type for op in ops]
    if types != ["ics23:iavl", "ics23:simple"]:
        raise ProofError(f"proof operations: need ics23:iavl then ics23:simple, got {types[:4]}")
    record = decode_commitment_proof(ops[0].data, "store proof")
    stores = decode_commitment_proof(ops[1].data, "application proof")
    store_root = existence_root(record, IAVL_SPEC)
    for found in (ops[0].key, record.key):
        if found != key:
            raise ProofKeyMismatch(f"store proof: is for key {found[:64]!r}, not {key!r}")
    if record.value != value:
        raise ProofValueMismatch(
            f"store proof: proves a value with SHA-256 {_short(record.value)}, "
            f"the one shown has {_short(value)}"
        )
    app_hash = existence_root(stores, SIMPLE_SPEC)
    for found in (ops[1].key, stores.key):
        if found != store.encode():
            raise ProofKeyMismatch(f"application proof: is for store {found[:64]!r}, not {store!r}")
    if stores.value != store_root:
        raise ProofValueMismatch(
            f"store root: the store proof leads to {store_root.hex().upper()}, "
            f"the application proof is for {stores.value[:32].hex().upper()}"
        )
    version = iavl_numbers(record.leaf.prefix, layer=0, rest=(0,))[2] if record.leaf else 0
    return RecordProof(app_hash, store_root, version, (len(record.path), len(stores.path)))


def _short(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest().upper()[:16]
