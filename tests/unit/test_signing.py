"""Signatures, against third-party vectors and with every curve implementation."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonka_integrations.core import curve
from gonka_integrations.core.keys import PrivateKey, Signer
from gonka_integrations.core.signing import (
    body_hash,
    decode_signature,
    sign_hash,
    sign_request,
    signed_digest,
)
from gonka_integrations.errors import GonkaClientError, GonkaConfigError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
HOST = "gonka10j92p70heuk0g9zhyylcpz0ftw8ed5ks46l2pw"
BODY = b'{"model":"MiniMaxAI/MiniMax-M2.7","messages":[{"role":"user","content":"Hello"}]}'
SIGNATURE = (
    "HMsUP1qxG/RjYzUZJBA1oyCLV08AZB1y6NNq8b/ds8tQMu4UHecIhq2GDyxkFK7MZbZfS3sZhC0TtTJtrr/fVQ=="
)
TIME = 1755900000123456789


@pytest.fixture(scope="session")
def vectors(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "vectors" / "signing.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(params=["coincurve", "ecdsa"])
def backend(request: pytest.FixtureRequest) -> str:
    if request.param == "coincurve":
        pytest.importorskip("coincurve")
    return str(request.param)


def body_of(vector: dict[str, Any]) -> bytes:
    body = vector["body"]
    match body["kind"]:
        case "utf8":
            return str(body["value"]).encode()
        case "hex":
            return bytes.fromhex(body["value"])
        case "repeat":
            return str(body["unit"]).encode() * int(body["count"])
        case _:
            return json.dumps(body["value"]).encode()


def test_a_known_request(backend: str) -> None:
    """The signature of the documented example, without any file beside the project."""
    key = PrivateKey.from_hex(KEY, backend=backend)
    assert sign_request(key, BODY, TIME, HOST) == SIGNATURE
    assert sign_hash(key, body_hash(BODY), TIME, HOST) == SIGNATURE


def test_every_signing_vector(vectors: dict[str, Any], backend: str) -> None:
    """Digest, signature and headers of each vector, byte for byte."""
    for vector in vectors["signing"]:
        key = PrivateKey.from_hex(vector["private_key_hex"], backend=backend)
        body = body_of(vector)
        timestamp, host = int(vector["timestamp_ns"]), vector["transfer_address"]
        assert body_hash(body) == vector["body_sha256_hex"], vector["id"]
        assert signed_digest(body_hash(body), timestamp, host).hex() == vector["digest_hex"]
        assert sign_request(key, body, timestamp, host) == vector["signature_base64"], vector["id"]
        assert key.address == vector["requester_address"]
        assert key.public_key.hex() == vector["public_key_hex"]


def test_signatures_the_network_refuses(vectors: dict[str, Any]) -> None:
    """Each refused form is refused here too, and none is what we make."""
    by_id = {vector["id"]: vector for vector in vectors["signing"]}
    refused = vectors["refused_signatures"]
    for item in refused["items"]:
        vector = by_id.get(item.get("base_vector", refused["base_vector"]))
        signature = decode_signature(item["signature_base64"])
        if signature is None or vector is None:
            assert signature is None
            continue
        key = bytes.fromhex(vector["public_key_hex"])
        assert not curve.verify(key, bytes.fromhex(vector["digest_hex"]), signature), item["name"]
        assert item["signature_base64"] != vector["signature_base64"]


def test_our_own_signatures_verify(backend: str) -> None:
    key = PrivateKey.from_hex(KEY, backend=backend)
    digest = signed_digest(body_hash(BODY), TIME, HOST)
    signature = decode_signature(sign_request(key, BODY, TIME, HOST))
    assert signature is not None
    assert curve.verify(key.public_key, digest, signature)
    assert not curve.verify(key.public_key, hashlib.sha256(digest).digest(), signature)
    assert not curve.verify(b"\x02" + bytes(32), digest, signature)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, curve.ORDER - 1), st.binary(max_size=300), st.integers(1, 2**63))
def test_both_curves_give_the_same_bytes(scalar: int, body: bytes, timestamp: int) -> None:
    pytest.importorskip("coincurve")
    native, pure = (
        PrivateKey.from_hex(f"{scalar:064x}", backend=name) for name in ("coincurve", "ecdsa")
    )
    signature = sign_request(native, body, timestamp, HOST)
    assert signature == sign_request(pure, body, timestamp, HOST)
    assert native == pure
    assert len(signature) == 88


@pytest.mark.parametrize("timestamp", [-1, 0, 1.5, True, None, "1755900000123456789"])
def test_timestamps_that_are_refused(timestamp: Any) -> None:
    with pytest.raises(GonkaConfigError, match="timestamp") as caught:
        sign_request(PrivateKey.from_hex(KEY), BODY, timestamp, HOST)
    assert caught.value.field == "timestamp"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (None, "NoneType"),
        ("", "begin with"),
        ("cosmos10j92p70heuk0g9zhyylcpz0ftw8ed5ks46l2pw", "begin with"),
        (HOST.upper(), "lower case"),
        ("gonka10j92P70HEUK0G9ZHYYLCPZ0FTW8ED5KS46L2PW", "lower case"),
        (f" {HOST}", "white space"),
        (HOST[:-1], "44 characters"),
        (HOST[:-1] + "q", "checksum"),
        (HOST[:-1] + "b", "checksum"),
    ],
)
def test_transfer_addresses_that_are_refused(address: Any, reason: str) -> None:
    with pytest.raises(GonkaConfigError, match=reason) as caught:
        sign_request(PrivateKey.from_hex(KEY), BODY, TIME, address)
    assert caught.value.field == "transfer_address"


@pytest.mark.parametrize("body", [None, 5, {}, ["x"]])
def test_bodies_that_are_refused(body: Any) -> None:
    with pytest.raises(GonkaConfigError, match="body"):
        sign_request(PrivateKey.from_hex(KEY), body, TIME, HOST)


@pytest.mark.parametrize("body", [bytearray(BODY), memoryview(BODY), BODY.decode()])
def test_other_spellings_of_the_same_bytes(body: Any) -> None:
    assert sign_request(PrivateKey.from_hex(KEY), body, TIME, HOST) == SIGNATURE


def test_invalid_inputs_of_the_vectors(vectors: dict[str, Any]) -> None:
    """Every input that must be refused is; the one that must be taken is taken."""
    literals = {"-1": -1, "1.5": 1.5, "True": True, "None": None, "5": 5}
    for item in vectors["invalid_inputs"]:
        value = item["value"]
        if item["field"] in ("timestamp", "body"):
            value = literals.get(value, bytearray(b"{}"))
        arguments = {"private_key": KEY, "timestamp": TIME, "transfer_address": HOST, "body": BODY}
        arguments[item["field"]] = value
        if item["expect"] == "accept":
            assert _sign(**arguments)
            continue
        with pytest.raises(GonkaConfigError) as caught:
            _sign(**arguments)
        assert caught.value.field == item["field"], item["name"]


def _sign(private_key: Any, timestamp: Any, transfer_address: Any, body: Any) -> str:
    return sign_request(PrivateKey.from_hex(private_key), body, timestamp, transfer_address)


class Device:
    """A signer outside of the process."""

    def __init__(self, answer: Any) -> None:
        self.address = PrivateKey.from_hex(KEY).address
        self.answer = answer

    def sign(self, digest: bytes) -> bytes:
        return self.answer(digest)  # type: ignore[no-any-return]


def test_a_device_may_sign_and_its_high_s_is_lowered() -> None:
    """Key services return either s; the chain takes the low one."""
    key = PrivateKey.from_hex(KEY)

    def high(digest: bytes) -> bytes:
        signature = key.sign(digest)
        s = curve.ORDER - int.from_bytes(signature[32:], "big")
        return signature[:32] + s.to_bytes(32, "big")

    assert isinstance(Device(high), Signer)
    assert sign_request(Device(high), BODY, TIME, HOST) == SIGNATURE


@pytest.mark.parametrize("answer", [b"short", bytes(65), None, "text"])
def test_a_device_that_returns_something_else(answer: Any) -> None:
    with pytest.raises(GonkaClientError, match="64 bytes"):
        sign_request(Device(lambda digest: answer), BODY, TIME, HOST)


@pytest.mark.parametrize("text", ["", "=", "Bearer " + SIGNATURE, SIGNATURE[:-2], "é", "AAAA"])
def test_decoding_other_forms(text: str) -> None:
    assert decode_signature(text) is None


def test_decoding_our_form() -> None:
    assert decode_signature(SIGNATURE) == base64.b64decode(SIGNATURE)
