"""Mutated answers: a typed error or the true list, within bounds of time and memory."""

from __future__ import annotations

import json
import resource
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proof_chains import CHAIN_ID, RULES, Network, Node, bundle_of, drive, dump

from gonka_integrations.core.participants import ParticipantSet
from gonka_integrations.devnet.forgery import Forgery
from gonka_integrations.errors import GonkaDiscoveryError
from gonka_integrations.proof.errors import ProofCheckError
from gonka_integrations.proof.ics23 import decode_commitment_proof
from gonka_integrations.proof.json_values import as_integer, as_time, from_base64, from_hex
from gonka_integrations.proof.participants_proof import decode_record
from gonka_integrations.proof.trust import Agreement
from gonka_integrations.proof.trust_store import TrustStore
from gonka_integrations.proof.verification import Bundle, verify
from gonka_integrations.proof.verifier import Verifier
from gonka_integrations.proof.wire import read_fields

NETWORK = Network([range(4), range(1, 5)])
TRUSTED = NETWORK.trusted(NETWORK.book.records[1].effective)
BUNDLE = bundle_of(Forgery(NETWORK.chain, NETWORK.epoch))
PARTS = {
    "payload": json.loads(BUNDLE.payload),
    "commit": json.loads(BUNDLE.commit or b""),
    "validators": json.loads(BUNDLE.validators[0]),
}
TRUTH = NETWORK.book.current.members
LIMIT_SECONDS = 0.1
LIMIT_BYTES = 4 << 20


def prove(bundle: Bundle) -> ParticipantSet | None:
    """The proven set, or None for a typed error; anything else is a failure of the test."""
    try:
        return verify(bundle, epoch=None, trusted=TRUSTED, now=NETWORK.clock.now, rules=RULES)
    except GonkaDiscoveryError:
        return None


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found.extend(paths(inner, (*path, name)))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            found.extend(paths(inner, (*path, position)))
    return found


PATHS = [path for path in paths(PARTS) if len(path) > 1]  # inside of an answer
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(["", "0", "-1", "9" * 19, "9" * 400, "00", "AA==", "\ud800", "0x", "1e3"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)


@st.composite
def structural(draw: st.DrawFn) -> Bundle:
    """Some JSON values replaced, left out, copied from elsewhere, or slightly changed."""
    parts = json.loads(json.dumps(PARTS))
    for _ in range(draw(st.integers(1, 3))):
        mutate(draw, parts, draw(st.sampled_from(PATHS)))
    return Bundle(dump(parts["payload"]), dump(parts["commit"]), (dump(parts["validators"]),))


def mutate(draw: Callable[[Any], Any], parts: Any, path: tuple[Any, ...]) -> None:
    inner = parts
    for step in path[:-1]:
        try:
            inner = inner[step]
        except (LookupError, TypeError):
            return
    last = path[-1]
    how = draw(st.sampled_from(["replace", "drop", "copy", "text", "grow"]))
    try:
        old = inner[last]
        if how == "replace":
            inner[last] = draw(ANYTHING)
        elif how == "drop":
            del inner[last]
        elif how == "copy":
            inner[last] = look_up(parts, draw(st.sampled_from(PATHS)))
        elif how == "grow" and isinstance(old, list):
            inner[last] = old * draw(st.integers(0, 5))
        elif isinstance(old, str) and old:
            at = draw(st.integers(0, len(old) - 1))
            new = draw(st.sampled_from("09afAF+/=gZ -"))
            inner[last] = old[:at] + new + old[at + draw(st.integers(0, 2)) :]
        elif isinstance(old, int):
            inner[last] = old + draw(st.integers(-3, 3))
    except (LookupError, TypeError):
        return


def look_up(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return None
    return json.loads(json.dumps(value))


@st.composite
def textual(draw: st.DrawFn) -> Bundle:
    """The answers' text cut, changed, doubled or mixed up."""
    texts = {
        "payload": BUNDLE.payload,
        "commit": BUNDLE.commit or b"",
        "validators": BUNDLE.validators[0],
    }
    name = draw(st.sampled_from(sorted(texts)))
    data = bytearray(texts[name])
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        how = draw(st.sampled_from(["flip", "insert", "cut", "splice"]))
        if how == "flip":
            data[at] ^= draw(st.integers(1, 255))
        elif how == "insert":
            data[at:at] = draw(st.binary(max_size=6))
        elif how == "cut":
            del data[at : at + draw(st.integers(1, 64))]
        else:
            other = draw(st.integers(0, len(data) - 1))
            data[at:at] = data[other : other + 32]
    texts[name] = bytes(data)
    return Bundle(texts["payload"], texts["commit"], (texts["validators"],))


def check(bundle: Bundle) -> None:
    found = prove(bundle)
    if found is not None:
        check_set(found)


def check_set(found: ParticipantSet) -> None:
    assert found.verified
    shown = [(one.address, one.inference_url, one.weight, one.models) for one in found]
    assert shown == [(one.address, one.inference_url, one.weight, one.models) for one in TRUTH]


def test_the_unchanged_bundle_is_proven() -> None:
    assert prove(BUNDLE) is not None


QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@QUICK
@given(structural())
def test_changed_values(bundle: Bundle) -> None:
    check(bundle)


@QUICK
@given(textual())
def test_changed_text(bundle: Bundle) -> None:
    check(bundle)


@QUICK
@given(structural())
def test_a_payload_alone_is_never_proven(bundle: Bundle) -> None:
    """Also what it says of itself is noted without trouble."""
    assert prove(Bundle(bundle.payload)) is None


class Changing(Node):
    """A node, one of whose answers is changed."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        super().__init__(NETWORK.chain)
        self._draw = draw
        self._turn = draw(st.integers(0, 8))

    def answer(self, path: str) -> tuple[int, bytes]:
        status, body = super().answer(path)
        if len(self.asked) - 1 != self._turn or status != 200:
            return status, body
        value = json.loads(body)
        inside = paths(value)
        for _ in range(self._draw(st.integers(1, 3))):
            mutate(self._draw, value, self._draw(st.sampled_from(inside)))
        return self._draw(st.sampled_from([status, 200, 404, 500, 0])), dump(value)


@QUICK
@given(st.data(), st.booleans(), st.booleans())
def test_changed_answers_of_nodes(data: st.DataObject, agree: bool, state: bool) -> None:
    """A verification that fetches: whatever a node answers, a typed error or the true list."""
    NETWORK.chain.serve_state = state
    first = NETWORK.book.records[1].created_at + 1
    trust = Agreement(chain_id=CHAIN_ID) if agree else NETWORK.checkpoint(first)
    sources = ("http://a.example", "http://b.example")
    nodes = {sources[0]: Changing(data.draw), sources[1]: Node(NETWORK.chain)}
    verifier = Verifier(trust, sources, store=TrustStore(None, trust.root_id), clock=NETWORK.clock)
    try:
        found = drive(verifier.steps(NETWORK.chain.payload(NETWORK.epoch)), nodes)
    except GonkaDiscoveryError:
        return
    finally:
        NETWORK.chain.serve_state = True
    check_set(found)


@QUICK
@given(st.binary(max_size=300))
def test_bytes_are_decoded_or_refused(data: bytes) -> None:
    for decode in (
        decode_record,
        decode_commitment_proof,
        lambda value: read_fields(value, "message"),
    ):
        try:
            decode(data)
        except ProofCheckError:
            continue


@QUICK
@given(ANYTHING)
def test_values_are_decoded_or_refused(value: Any) -> None:
    for decode in (as_integer, as_time, from_hex, from_base64):
        try:
            decode(value, "value")
        except ProofCheckError:
            continue


def timed(bundle: Bundle) -> tuple[float, ParticipantSet | None]:
    """Seconds of the thread's own time, and what was proven."""
    begun = time.thread_time()
    found = prove(bundle)
    return time.thread_time() - begun, found


def memory_of(bundle: Bundle) -> int:
    """Most memory that one verification has had at once, bytes."""
    tracemalloc.start()
    try:
        prove(bundle)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_memory() -> int:
    """Most memory that the process has had, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [structural(), textual()], ids=["values", "text"])
def test_fifty_thousand_mutated_answers(
    strategy: st.SearchStrategy[Bundle], record_property: Callable[[str, object], None]
) -> None:
    """Both together are 100,000; their figures are printed at the end of the run.

    The time is the thread's own, not the clock's: what else the machine does is not in it.
    """
    slowest, worst = 0.0, BUNDLE
    tried = proven = most = 0

    @settings(
        max_examples=50_000,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(strategy)
    def run(bundle: Bundle) -> None:
        nonlocal slowest, worst, tried, proven, most
        spent, found = timed(bundle)
        if spent > slowest:
            # A record is timed again: the collector of hypothesis' own heap may have been in it.
            spent = min(spent, timed(bundle)[0], timed(bundle)[0])
        if spent > slowest:
            slowest, worst = spent, bundle
        if tried % 100 == 0:  # tracing takes longer than the verification
            most = max(most, memory_of(bundle))
        tried += 1
        if found is not None:
            proven += 1
            check(bundle)

    before = peak_memory()
    run()
    most = max(most, memory_of(worst), memory_of(BUNDLE))
    record_property("mutated answers", tried)
    record_property("proven all the same", proven)
    record_property("slowest verification, ms of CPU", round(slowest * 1000, 1))
    record_property("most memory of one, KiB", most // 1024)
    record_property("growth of the process, MiB", round((peak_memory() - before) / 1024, 1))
    assert tried >= 50_000
    assert slowest < LIMIT_SECONDS
    assert most < LIMIT_BYTES


def test_half_a_surrogate_pair_is_no_text() -> None:
    """It can be parsed from JSON, but not be encoded for a hash."""
    parts = json.loads(json.dumps(PARTS))
    parts["payload"]["block"]["header"]["chain_id"] = "\ud800"
    parts["commit"]["signed_header"]["header"]["chain_id"] = "\ud800"
    assert prove(Bundle(dump(parts["payload"]))) is None
    assert prove(Bundle(BUNDLE.payload, dump(parts["commit"]), BUNDLE.validators)) is None
