"""No byte of what a verification rests on can change."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from proof_chains import RULES, Network, bundle_of, dump

from gonka_integrations.core.participants import ParticipantSet
from gonka_integrations.devnet.forgery import Forgery
from gonka_integrations.errors import GonkaDiscoveryError
from gonka_integrations.proof.verification import Bundle, verify

# What of an answer is a hint: not proven, and not used for a decision.
HINTS = ("validators", "block", "addresses", "excluded_participants")
# What of a validator and of an envelope is not part of what is proven.
UNUSED = ("proposer_priority", "canonical")


class Subject:
    """An honest bundle as JSON values, and what it proves."""

    def __init__(self) -> None:
        network = Network([range(3), range(1, 4)])
        self.now = network.clock.now
        self.epoch = network.epoch
        self.trusted = network.trusted(network.book.records[1].effective)
        self.bundle = bundle_of(Forgery(network.chain, network.epoch))
        payload = json.loads(self.bundle.payload)
        self.parts: dict[str, Any] = {
            "payload": {name: payload[name] for name in payload if name not in HINTS},
            "commit": json.loads(self.bundle.commit or b""),
            "validators": json.loads(self.bundle.validators[0]),
        }
        self.raw = {name: dump(part) for name, part in self.parts.items()}
        self.truth = self.verify(self.bundle)

    def verify(self, bundle: Bundle) -> ParticipantSet:
        return verify(bundle, epoch=self.epoch, trusted=self.trusted, now=self.now, rules=RULES)

    def verify_parts(self, **changed: Any) -> ParticipantSet:
        """Verify the parts, of which some are changed."""
        raw = {**self.raw, **{name: dump(part) for name, part in changed.items()}}
        return self.verify(Bundle(raw["payload"], raw["commit"], (raw["validators"],)))


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in UNUSED:
                yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from leaves(inner, (*path, position))
    elif value is not None:
        yield path, value


def encodings(value: Any) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    """How the bytes behind a JSON value are got at, and put back."""
    if isinstance(value, str) and re.fullmatch(r"([0-9a-f]{2})+|([0-9A-F]{2})+", value):
        upper = value == value.upper()
        return bytes.fromhex, lambda data: data.hex().upper() if upper else data.hex()
    if isinstance(value, str) and len(value) > 8 and re.fullmatch(r"[A-Za-z0-9+/]+=*", value):
        return base64.b64decode, lambda data: base64.b64encode(data).decode()
    if isinstance(value, str):
        return str.encode, lambda data: data.decode("latin-1")
    return (
        lambda number: number.to_bytes(8, "big"),
        lambda data: int.from_bytes(data, "big", signed=True),
    )


def refused(subject: Subject, path: tuple[Any, ...], value: Any) -> bool:
    """Whether the bundle is refused once the value at *path* is another."""
    name, *steps = path
    part = copy.deepcopy(subject.parts[name])
    inner: Any = part
    for step in steps[:-1]:
        inner = inner[step]
    inner[steps[-1]] = value
    try:
        subject.verify_parts(**{name: part})
    except GonkaDiscoveryError:
        return True
    return False


def flips_accepted(subject: Subject, mask: int) -> tuple[list[tuple[Any, int]], int]:
    """Flips behind which the bundle is still proven, and how many were tried."""
    flips = 0
    accepted: list[tuple[Any, int]] = []
    for path, value in leaves(subject.parts):
        decode, encode = encodings(value)
        data = decode(value)
        for position in range(len(data)):
            flipped = flip(data, position, mask)
            flips += 1
            if not refused(subject, path, encode(flipped)):
                accepted.append((path, position))
    return accepted, flips


def test_every_flipped_byte_of_what_is_proven_is_refused(
    subject: Subject, record_property: Callable[[str, object], None]
) -> None:
    """Every byte behind every JSON value: record, proofs, header, commit, validators."""
    assert subject.verify_parts().participants == subject.truth.participants
    accepted, flips = flips_accepted(subject, 0x01)
    record_property("single-byte flips refused", flips)
    assert flips > 3000
    assert accepted == []


@pytest.mark.slow
@pytest.mark.parametrize("mask", [0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF])
def test_every_other_flip_of_what_is_proven_is_refused(
    subject: Subject, mask: int, record_property: Callable[[str, object], None]
) -> None:
    accepted, flips = flips_accepted(subject, mask)
    record_property("single-byte flips refused", flips)
    assert accepted == []


def test_every_json_value_matters(subject: Subject) -> None:
    """Null or of another kind: refused, except for addresses, which follow from the keys."""
    accepted = {
        (path[-1], repr(other))
        for path, _ in leaves(subject.parts)
        for other in (None, [], {}, True, 1.5, "x" * 70, -1)
        if not refused(subject, path, other)
    }
    assert {name for name, _ in accepted} <= {"address"}


def flips_of_text(subject: Subject, mask: int, step: int) -> Iterator[Bundle]:
    bundle = subject.bundle
    commit = bundle.commit or b""
    for position in range(0, len(bundle.payload), step):
        yield Bundle(flip(bundle.payload, position, mask), commit, bundle.validators)
    for position in range(0, len(commit), step):
        yield Bundle(bundle.payload, flip(commit, position, mask), bundle.validators)
    page = bundle.validators[0]
    for position in range(0, len(page), step):
        yield Bundle(bundle.payload, commit, (flip(page, position, mask),))


def flip(data: bytes, position: int, mask: int) -> bytes:
    flipped = bytearray(data)
    flipped[position] ^= mask
    return bytes(flipped)


def check_text_flips(subject: Subject, mask: int, step: int) -> tuple[int, int]:
    refused_count = total = 0
    for bundle in flips_of_text(subject, mask, step):
        total += 1
        try:
            found = subject.verify(bundle)
        except GonkaDiscoveryError:
            refused_count += 1
        else:
            # The flip hit a hint, a name that nobody reads, or white space.
            assert found.verified
            assert found.participants == subject.truth.participants
    return refused_count, total


def test_flipped_bytes_of_the_answers_text_prove_nothing_else(subject: Subject) -> None:
    refused_count, total = check_text_flips(subject, 0x01, 7)
    assert refused_count > total // 3


@pytest.mark.slow
@pytest.mark.parametrize("mask", [0x01, 0x04, 0x20, 0x80, 0xFF])
def test_every_flipped_byte_of_the_answers_text_proves_nothing_else(
    subject: Subject, mask: int
) -> None:
    refused_count, total = check_text_flips(subject, mask, 1)
    assert refused_count > total // 3
