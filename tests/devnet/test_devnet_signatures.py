"""The devnet's own reading of the signature rules, against vectors and with both libraries."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from devnet_wire import raw_signature

from gonka_integrations.devnet import signatures, texts
from gonka_integrations.devnet.ledger import ORDER, TestKey

VERIFIERS = ["cryptography", "coincurve"]


@pytest.fixture(params=VERIFIERS)
def verify(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`is_valid` on top of either library."""
    made: Any = signatures.verify_with_cryptography
    if request.param == "coincurve":
        made = signatures.coincurve_verifier(pytest.importorskip("coincurve"))
    monkeypatch.setattr(signatures, "_verifier", lambda: made)
    return signatures.is_valid


def body_of(vector: dict[str, Any]) -> bytes:
    body = vector["body"]
    if body["kind"] == "repeat":
        return body["unit"].encode() * body["count"]
    return bytes.fromhex(body["value"]) if body["kind"] == "hex" else body["value"].encode()


def test_vectors(shared: Path, verify: Any) -> None:
    vectors = json.loads((shared / "vectors" / "signing.json").read_text())["signing"]
    assert vectors
    for vector in vectors:
        key = bytes.fromhex(vector["public_key_hex"])
        digest = signatures.signed_digest(
            body_of(vector), vector["timestamp_ns"], vector["transfer_address"], "body_hash"
        )
        assert digest.hex() == vector["digest_hex"], vector["id"]
        assert verify(key, vector["signature_base64"], digest), vector["id"]


def test_signatures_that_are_refused(shared: Path, verify: Any) -> None:
    vectors = json.loads((shared / "vectors" / "signing.json").read_text())
    refused = vectors["refused_signatures"]
    by_id = {one["id"]: one for one in vectors["signing"]}
    assert refused["items"]
    for item in refused["items"]:
        # Some name a base of their own that is not among the vectors; no base accepts them.
        base = by_id.get(item.get("base_vector"), by_id[refused["base_vector"]])
        key, digest = bytes.fromhex(base["public_key_hex"]), bytes.fromhex(base["digest_hex"])
        assert verify(key, base["signature_base64"], digest)
        assert not verify(key, item["signature_base64"], digest), item["name"]


def test_bounds_of_r_and_s(verify: Any) -> None:
    key = TestKey.from_label("bounds")
    digest = bytes(range(32))
    raw = raw_signature(key.private_key, digest)

    def check(r: int, s: int) -> bool:
        text = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
        return bool(verify(key.public_key, text, digest))

    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    assert check(r, s)
    for bad in ((0, s), (r, 0), (ORDER, s), (r, ORDER - s), (r, ORDER), (r ^ 1, s), (r, s ^ 1)):
        assert not check(*bad)


def test_every_error_text_is_the_real_one(shared: Path) -> None:
    listed = json.loads((shared / "fixtures" / "endpoints" / "errors.json").read_text())["errors"]
    assert {one["id"] for one in listed} == set(texts.BY_ID)
    for one in listed:
        ours = texts.BY_ID[one["id"]]
        assert ours.status == one["status"], one["id"]
        assert ours.body.decode() == one["body"], one["id"]
        assert ours.content_type == one["content_type"], one["id"]
        assert dict(ours.headers) == one["headers"], one["id"]
