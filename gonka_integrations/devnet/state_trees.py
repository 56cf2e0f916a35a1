"""The chain's state as real nodes commit to it: an IAVL tree in a simple Merkle tree of stores.

Hashes and proofs follow cosmos/iavl v1 (`node.go`, `proof_ics23.go`) and cosmos-sdk `store`
(`rootmulti/proof.go`, `internal/maps`), so that whatever verifies mainnet verifies this.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..proof.merkle import inner_hash, leaf_hash
from ..proof.wire import bytes_field, uvarint, varint_field, zigzag

if TYPE_CHECKING:
    from collections.abc import Mapping

STORES = ("acc", "authz", "bank", "collateral", "distribution", "gov", "inference", "staking")
STORE = "inference"


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sized(data: bytes) -> bytes:
    return uvarint(len(data)) + data


@dataclass(frozen=True)
class Node:
    """A node of an immutable IAVL tree; a leaf when it has no children.

    Attributes:
        key: Of a leaf its key, of an inner node the smallest key on the right.
        version: Height at which the node was written.
    """

    key: bytes
    value: bytes
    version: int
    left: Node | None = None
    right: Node | None = None
    height: int = 0
    size: int = 1

    @cached_property
    def head(self) -> bytes:
        """Height, size and version: what a node's hash begins with."""
        return zigzag(self.height) + zigzag(self.size) + zigzag(self.version)

    @cached_property
    def hash(self) -> bytes:
        """SHA-256 of the head and the key with the hashed value, or the children's hashes."""
        if self.left is None or self.right is None:
            return _sha256(self.head + _sized(self.key) + _sized(_sha256(self.value)))
        return _sha256(self.head + _sized(self.left.hash) + _sized(self.right.hash))


def _inner(left: Node, right: Node, key: bytes, version: int) -> Node:
    height = 1 + max(left.height, right.height)
    return Node(key, b"", version, left, right, height, left.size + right.size)


def put(node: Node | None, key: bytes, value: bytes, version: int) -> Node:
    """The tree with *key* set to *value* at height *version*; *node* stays as it is."""
    if node is None:
        return Node(key, value, version)
    if node.left is None or node.right is None:
        leaf = Node(key, value, version)
        if key == node.key:
            return leaf
        low, high = (leaf, node) if key < node.key else (node, leaf)
        return _inner(low, high, high.key, version)
    if key < node.key:
        return _balanced(put(node.left, key, value, version), node.right, node.key, version)
    return _balanced(node.left, put(node.right, key, value, version), node.key, version)


def _balanced(left: Node, right: Node, key: bytes, version: int) -> Node:
    """The inner node over two subtrees, rotated as an AVL tree wants it."""
    tilt = left.height - right.height
    if tilt > 1 and left.left is not None and left.right is not None:
        outer, middle = left.left, left.right
        if outer.height < middle.height and middle.left is not None and middle.right is not None:
            low = _inner(outer, middle.left, left.key, version)
            return _inner(low, _inner(middle.right, right, key, version), middle.key, version)
        return _inner(outer, _inner(middle, right, key, version), left.key, version)
    if tilt < -1 and right.left is not None and right.right is not None:
        middle, outer = right.left, right.right
        if outer.height < middle.height and middle.left is not None and middle.right is not None:
            high = _inner(middle.right, outer, right.key, version)
            return _inner(_inner(left, middle.left, key, version), high, middle.key, version)
        return _inner(_inner(left, middle, key, version), outer, right.key, version)
    return _inner(left, right, key, version)


@dataclass(frozen=True)
class State:
    """The state that one height commits to."""

    root: Node
    others: tuple[tuple[str, bytes], ...]  # roots of the other stores

    @property
    def stores(self) -> Mapping[str, bytes]:
        """Root of every store, by name."""
        return {**dict(self.others), STORE: self.root.hash}

    @cached_property
    def app_hash(self) -> bytes:
        """What the next header carries."""
        return _simple_root(self._store_leaves())

    def _store_leaves(self) -> list[bytes]:
        stores = self.stores
        return [_sized(n.encode()) + _sized(_sha256(stores[n])) for n in sorted(stores)]

    def get(self, key: bytes) -> bytes | None:
        """Value of *key* in the inference store."""
        leaf = _path(self.root, key)[-1]
        return leaf.value if leaf.key == key else None

    def store_path(self, key: bytes) -> tuple[Node, list[tuple[bytes, bytes]]]:
        """Leaf of *key* in the inference store, and the steps from it to the root.

        Raises:
            KeyError: The store does not hold *key*.
        """
        path = _path(self.root, key)
        if path[-1].key != key:
            raise KeyError(key)
        steps = [_step(parent, child) for parent, child in itertools.pairwise(path)]
        return path[-1], steps[::-1]

    def store_proof(self, key: bytes) -> bytes:
        """ICS-23 proof, encoded, that the inference store holds *key*."""
        leaf, steps = self.store_path(key)
        return encode_proof(key, leaf.value, leaf.head, steps)

    def root_proof(self, store: str = STORE) -> bytes:
        """ICS-23 proof, encoded, that the application holds *store*."""
        names = sorted(self.stores)
        steps = _simple_path(self._store_leaves(), names.index(store))
        return encode_proof(store.encode(), self.stores[store], b"\x00", steps)


def _path(node: Node, key: bytes) -> list[Node]:
    """From the root to the leaf where *key* is or would be."""
    path = [node]
    while node.left is not None and node.right is not None:
        node = node.left if key < node.key else node.right
        path.append(node)
    return path


def _step(parent: Node, child: Node) -> tuple[bytes, bytes]:
    left, right = parent.left, parent.right
    if left is None or right is None:
        raise ValueError("a leaf has no children")
    if child is left:
        return parent.head + b"\x20", b"\x20" + right.hash
    return parent.head + _sized(left.hash) + b"\x20", b""


def _split(count: int) -> int:
    """Largest power of two below *count*."""
    return 1 << (count - 1).bit_length() - 1


def _simple_root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    middle = _split(len(leaves))
    return inner_hash(_simple_root(leaves[:middle]), _simple_root(leaves[middle:]))


def _simple_path(leaves: list[bytes], index: int) -> list[tuple[bytes, bytes]]:
    if len(leaves) == 1:
        return []
    middle = _split(len(leaves))
    if index < middle:
        sibling = _simple_root(leaves[middle:])
        return [*_simple_path(leaves[:middle], index), (b"\x01", sibling)]
    sibling = _simple_root(leaves[:middle])
    return [*_simple_path(leaves[middle:], index - middle), (b"\x01" + sibling, b"")]


def encode_proof(
    key: bytes,
    value: bytes,
    leaf_prefix: bytes,
    steps: list[tuple[bytes, bytes]],
    *,
    prehash: int = 1,
) -> bytes:
    """A `CommitmentProof` with one existence proof.

    Args:
        key: Key of the leaf.
        value: Its value.
        leaf_prefix: What the leaf's hash begins with.
        steps: Prefix and suffix of each inner operation, from the leaf on.
        prehash: How the value is hashed before: 1 is SHA-256, 0 not at all.
    """
    leaf = b"".join(
        (
            varint_field(1, 1),  # SHA-256
            varint_field(3, prehash),
            varint_field(4, 1),  # with lengths as varints
            bytes_field(5, leaf_prefix),
        )
    )
    path = b"".join(
        bytes_field(4, varint_field(1, 1) + bytes_field(2, prefix) + bytes_field(3, suffix))
        for prefix, suffix in steps
    )
    proof = bytes_field(1, key) + bytes_field(2, value) + bytes_field(3, leaf) + path
    return bytes_field(1, proof)
