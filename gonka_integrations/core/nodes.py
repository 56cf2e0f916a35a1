"""What a node says about itself. Source: decentralized-api ``identity_handler.go``."""

from __future__ import annotations

from dataclasses import dataclass

from .json_fields import Fields

__all__ = ["NodeIdentity", "Versions", "decode_identity", "decode_versions"]


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who a node says it is.

    Attributes:
        address: Its account.
        block: Latest height it knew.
        timestamp: RFC 3339, UTC.
        signature: Base64 by its warm key over the compact JSON of the data.
        warm_key_address: The key that signs, when said.
        delegates: Pairs of URL and address that take requests in its place.
    """

    address: str
    block: int = 0
    timestamp: str = ""
    signature: str = ""
    warm_key_address: str | None = None
    delegates: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Versions:
    """Software of a node; "" where it does not say.

    Attributes:
        api: Version of the node API. From 0.2.14 on it does no classic inference.
        node: Version of the chain node.
        ml_nodes: Pairs of node id and version; empty does not mean that there are none.
    """

    api: str = ""
    node: str = ""
    ml_nodes: tuple[tuple[str, str], ...] = ()


def decode_identity(payload: object, source_url: str | None = None) -> NodeIdentity:
    """Who ``/v1/identity`` says that a node is; its signature is not checked.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    answer = Fields(payload, "the identity", source_url)
    data = answer.object("data")
    if not data.text("address"):
        raise data.wrong("has no address")
    delegates = [
        (url, address) for url, address in data.pairs("delegate_ta") if isinstance(address, str)
    ]
    return NodeIdentity(
        address=data.text("address"),
        block=data.integer("block"),
        timestamp=data.text("timestamp"),
        signature=answer.text("signature"),
        warm_key_address=data.text("warm_key_address") or None,
        delegates=tuple(delegates),
    )


def decode_versions(payload: object, source_url: str | None = None) -> Versions:
    """Software from ``/v1/versions``.

    Raises:
        GonkaDiscoveryError: It is no such answer.
    """
    answer = Fields(payload, "the versions", source_url)
    return Versions(
        api=answer.object("api_version").text("version"),
        node=answer.object("node_version").text("version"),
        ml_nodes=tuple(
            (entry.text("node_id"), entry.text("version")) for entry in answer.objects("mlnodes")
        ),
    )
