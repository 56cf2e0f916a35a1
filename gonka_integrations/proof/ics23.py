"""ICS-23 existence proofs: decoding, specification checks and the root they lead to.

Specifications as in cosmos/ics23 go/v0.11 (`IavlSpec`, `TendermintSpec`); beyond them, an inner
operation must carry exactly one sibling hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from .errors import ProofError, ProofSpecError
from .wire import DELIMITED, VARINT, read_fields, read_zigzag, single, uvarint

__all__ = [
    "IAVL_SPEC",
    "SIMPLE_SPEC",
    "ExistenceProof",
    "InnerOp",
    "LeafOp",
    "ProofSpec",
    "check_against_spec",
    "decode_commitment_proof",
    "existence_root",
    "iavl_numbers",
]

_SHA256: Final = 1
_VAR_PROTO: Final = 1
_LEAF_RULE: Final = (_SHA256, 0, _SHA256, _VAR_PROTO)  # hash, prehash key, prehash value, length
_HASH_SIZE: Final = 32
_SIBLING: Final = b"\x20"  # the length byte that IAVL writes before each child hash


class LeafOp(NamedTuple):
    """How a leaf is hashed: enum numbers of ics23's `HashOp` and `LengthOp`."""

    hash: int = 0
    prehash_key: int = 0
    prehash_value: int = 0
    length: int = 0
    prefix: bytes = b""

    def apply(self, key: bytes, value: bytes) -> bytes:
        """SHA-256(prefix ‖ len ‖ key ‖ 32 ‖ SHA-256(value)), the one rule both trees use."""
        if (self.hash, self.prehash_key, self.prehash_value, self.length) != (
            _SHA256,
            0,
            _SHA256,
            _VAR_PROTO,
        ):
            raise ProofSpecError(f"leaf operation: {self[:4]} is not SHA-256 over a hashed value")
        if not key or not value:
            raise ProofError("leaf operation: needs a key and a value")
        digest = hashlib.sha256(value).digest()
        return hashlib.sha256(
            self.prefix + uvarint(len(key)) + key + uvarint(len(digest)) + digest
        ).digest()


class InnerOp(NamedTuple):
    """One step towards the root."""

    hash: int = 0
    prefix: bytes = b""
    suffix: bytes = b""

    def apply(self, child: bytes) -> bytes:
        """SHA-256(prefix ‖ child ‖ suffix)."""
        if self.hash != _SHA256:
            raise ProofSpecError(f"inner operation: hash {self.hash} is not SHA-256")
        if not child:
            raise ProofError("inner operation: needs a child hash")
        return hashlib.sha256(self.prefix + child + self.suffix).digest()


@dataclass(frozen=True, slots=True)
class ExistenceProof:
    """That *key* has *value* in a tree."""

    key: bytes
    value: bytes
    leaf: LeafOp | None
    path: tuple[InnerOp, ...]


@dataclass(frozen=True, slots=True)
class ProofSpec:
    """What a tree's operations may look like (sizes in bytes)."""

    name: str
    child_size: int
    min_prefix: int
    max_prefix: int
    leaf_prefix: bytes = b"\x00"
    min_depth: int = 0
    max_depth: int = 128


IAVL_SPEC: Final = ProofSpec("iavl", child_size=33, min_prefix=4, max_prefix=12)
SIMPLE_SPEC: Final = ProofSpec("simple", child_size=32, min_prefix=1, max_prefix=1)

_PROOF_KINDS: Final = {1: "exist", 2: "nonexist", 3: "batch", 4: "compressed"}


def decode_commitment_proof(data: bytes, what: str = "proof") -> ExistenceProof:
    """Decode an ics23 `CommitmentProof` that is one existence proof.

    Raises:
        MalformedPayload: The bytes are no such message.
        ProofError: It is a non-existence, batch or compressed proof.
    """
    fields = read_fields(data, what, limit=4)
    if [number for number, _, _ in fields] != [1]:
        kinds = [_PROOF_KINDS.get(number, f"field {number}") for number, _, _ in fields]
        raise ProofError(f"{what}: one existence proof is needed, got {kinds or 'nothing'}")
    body = fields[0][2]
    if not isinstance(body, bytes):
        raise ProofError(f"{what}: the existence proof is not a message")
    parts = read_fields(body, what, limit=300)
    path = tuple(_inner_op(value, what) for number, _, value in parts if number == 4)  # noqa: PLR2004
    kinds_of = {1: DELIMITED, 2: DELIMITED, 3: DELIMITED}
    rest = single([part for part in parts if part[0] != 4], kinds_of, what)  # noqa: PLR2004
    return ExistenceProof(
        key=cast("bytes", rest.get(1, b"")),
        value=cast("bytes", rest.get(2, b"")),
        leaf=_leaf_op(cast("bytes", rest[3]), what) if 3 in rest else None,  # noqa: PLR2004
        path=path,
    )


def _leaf_op(data: bytes, what: str) -> LeafOp:
    kinds = {1: VARINT, 2: VARINT, 3: VARINT, 4: VARINT, 5: DELIMITED}
    found = single(read_fields(data, what, limit=5), kinds, f"{what}: leaf operation")
    rule = [cast("int", found.get(number, 0)) for number in (1, 2, 3, 4)]
    return LeafOp(rule[0], rule[1], rule[2], rule[3], cast("bytes", found.get(5, b"")))


def _inner_op(data: int | bytes, what: str) -> InnerOp:
    if not isinstance(data, bytes):
        raise ProofError(f"{what}: an inner operation is not a message")
    kinds = {1: VARINT, 2: DELIMITED, 3: DELIMITED}
    found = single(read_fields(data, what, limit=3), kinds, f"{what}: inner operation")
    return InnerOp(
        cast("int", found.get(1, 0)),
        cast("bytes", found.get(2, b"")),
        cast("bytes", found.get(3, b"")),
    )


def check_against_spec(proof: ExistenceProof, spec: ProofSpec) -> None:
    """The checks of ics23's `CheckAgainstSpec`.

    Raises:
        ProofSpecError: An operation is not one of this tree's.
    """
    leaf = proof.leaf
    if leaf is None:
        raise ProofSpecError(f"{spec.name} proof: has no leaf operation")
    if leaf[:4] != _LEAF_RULE or not leaf.prefix.startswith(spec.leaf_prefix):
        raise ProofSpecError(
            f"{spec.name} proof: leaf operation {leaf[:4]} with prefix {leaf.prefix.hex()} "
            f"is not {_LEAF_RULE} with prefix {spec.leaf_prefix.hex()}"
        )
    depth = len(proof.path)
    if not spec.min_depth <= depth <= spec.max_depth:
        raise ProofSpecError(
            f"{spec.name} proof: depth {depth} is not in {spec.min_depth}…{spec.max_depth}"
        )
    if spec.name == IAVL_SPEC.name:
        iavl_numbers(leaf.prefix, layer=0, rest=(0,))
    for layer, inner in enumerate(proof.path, start=1):
        _check_inner(inner, spec, layer)


def _check_inner(inner: InnerOp, spec: ProofSpec, layer: int) -> None:
    where = f"{spec.name} proof: inner operation {layer}"
    if inner.hash != _SHA256:
        raise ProofSpecError(f"{where}: hash {inner.hash} is not SHA-256")
    if inner.prefix.startswith(spec.leaf_prefix):
        raise ProofSpecError(f"{where}: prefix {inner.prefix[:8].hex()} is a leaf's")
    longest = spec.max_prefix + spec.child_size
    if not spec.min_prefix <= len(inner.prefix) <= longest:
        raise ProofSpecError(
            f"{where}: prefix of {len(inner.prefix)} bytes is not in {spec.min_prefix}…{longest}"
        )
    if len(inner.suffix) not in (0, spec.child_size):
        raise ProofSpecError(f"{where}: suffix of {len(inner.suffix)} bytes is not one child")
    if spec.name == IAVL_SPEC.name:
        iavl_numbers(inner.prefix, layer=layer, rest=(1, 1 + spec.child_size))


def iavl_numbers(prefix: bytes, *, layer: int, rest: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, size and version of an IAVL node, which its operation's prefix begins with."""
    numbers = []
    position = 0
    for _ in range(3):
        number, position = read_zigzag(prefix, position, f"iavl proof: node at layer {layer}")
        numbers.append(number)
    height, size, version = numbers
    if min(numbers) < 0 or height < layer:
        raise ProofSpecError(f"iavl proof: height {height} at layer {layer} cannot be")
    if len(prefix) - position not in rest:
        raise ProofSpecError(
            f"iavl proof: {len(prefix) - position} bytes behind the numbers at layer {layer}, not "
            + " or ".join(map(str, rest))
        )
    return height, size, version


def _check_siblings(proof: ExistenceProof, spec: ProofSpec) -> None:
    """Each inner operation has one sibling: left of the child in the prefix, or right of it."""
    for layer, inner in enumerate(proof.path, start=1):
        own, sibling = inner.prefix, inner.suffix
        if not sibling:
            own, sibling = inner.prefix[: -spec.child_size], inner.prefix[-spec.child_size :]
        if spec.name == SIMPLE_SPEC.name:
            good = own == b"\x01" and len(sibling) == _HASH_SIZE
        elif inner.suffix:
            good = own.endswith(_SIBLING) and sibling.startswith(_SIBLING)
        else:
            good = own.endswith(_SIBLING) and sibling.endswith(_SIBLING)
        good = good and len(own) <= spec.max_prefix
        if not good:
            raise ProofSpecError(f"{spec.name} proof: layer {layer} has not exactly one sibling")


def existence_root(proof: ExistenceProof, spec: ProofSpec) -> bytes:
    """Root of the tree that *proof* describes, after the specification checks.

    Raises:
        ProofSpecError: An operation is not one of this tree's.
        ProofError: Key or value is empty.
    """
    check_against_spec(proof, spec)
    _check_siblings(proof, spec)
    node = cast("LeafOp", proof.leaf).apply(proof.key, proof.value)
    for inner in proof.path:
        node = inner.apply(node)
    return node
