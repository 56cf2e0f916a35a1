"""Answers that are made to exhaust memory or time are refused before they do."""

from __future__ import annotations

import base64
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from proof_chains import RULES, Network, dump

from gonka_integrations.proof.errors import MalformedPayload
from gonka_integrations.proof.json_values import MAX_BODY_BYTES
from gonka_integrations.proof.participants_proof import MAX_PARTICIPANTS
from gonka_integrations.proof.verification import Bundle, verify
from gonka_integrations.proof.wire import bytes_field

MIB = 1 << 20


@pytest.fixture(scope="module")
def network() -> Network:
    return Network([range(3)])


def with_value(bundle: Bundle, **changed: Any) -> Bundle:
    return replace(bundle, payload=dump({**json.loads(bundle.payload), **changed}))


def nested(bundle: Bundle) -> Bundle:
    """Deeper than any stack."""
    return replace(bundle, payload=b"[" * MIB)


def long_number(bundle: Bundle) -> Bundle:
    """A number that takes long to be read as one."""
    return replace(bundle, payload=b'{"x":' + b"9" * MIB + b"}")


def long_body(bundle: Bundle) -> Bundle:
    return replace(bundle, payload=b" " * (MAX_BODY_BYTES + 1))


def long_commit(bundle: Bundle) -> Bundle:
    return replace(bundle, commit=b" " * (MAX_BODY_BYTES + 1))


def many_participants(bundle: Bundle) -> Bundle:
    """Each of two bytes, and more than there can be."""
    record = bytes_field(1, b"", always=True) * (MAX_PARTICIPANTS + 1)
    return with_value(bundle, active_participants_bytes=record.hex())


def many_fields(bundle: Bundle) -> Bundle:
    """Of one participant: a million empty models."""
    record = bytes_field(1, bytes_field(5, b"", always=True) * MIB)
    return with_value(bundle, active_participants_bytes=record.hex())


def long_field(bundle: Bundle) -> Bundle:
    """Says that it goes on for as long as can be said."""
    return with_value(bundle, active_participants_bytes="0affffffffffffffff7f")


def many_steps(bundle: Bundle) -> Bundle:
    """A proof of a tree of 100,000 levels."""
    proof = bytes_field(1, bytes_field(4, b"", always=True) * 100_000)
    ops = json.loads(bundle.payload)["proof_ops"]["ops"]
    ops[0]["data"] = base64.b64encode(proof).decode()
    return with_value(bundle, proof_ops={"ops": ops})


def many_ops(bundle: Bundle) -> Bundle:
    ops = json.loads(bundle.payload)["proof_ops"]["ops"]
    return with_value(bundle, proof_ops={"ops": ops * 5000})


def many_validators(bundle: Bundle) -> Bundle:
    shown = json.loads(bundle.validators[0])["validators"]
    return replace(bundle, validators=(dump({"validators": shown * 4000}),))


def many_signatures(bundle: Bundle) -> Bundle:
    commit = json.loads(bundle.commit or b"")
    commit["signed_header"]["commit"]["signatures"] *= 4000
    return replace(bundle, commit=dump(commit))


CASES: list[Callable[[Bundle], Bundle]] = [
    nested,
    long_number,
    long_body,
    long_commit,
    many_participants,
    many_fields,
    long_field,
    many_steps,
    many_ops,
    many_validators,
    many_signatures,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_it_is_refused_within_a_few_times_its_own_size(
    network: Network, case: Callable[[Bundle], Bundle]
) -> None:
    bundle = case(network.bundle())
    size = len(bundle.payload) + len(bundle.commit or b"") + sum(map(len, bundle.validators))
    trusted = network.trusted(network.height)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedPayload):
            verify(bundle, epoch=1, trusted=trusted, now=network.clock.now, rules=RULES)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10 * size + 4 * MIB
