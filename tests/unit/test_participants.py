"""Participants: every shape that nodes have served, and nothing that breaks on others."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gonka_integrations.core.eligibility import usable
from gonka_integrations.core.participants import (
    GonkaParticipant,
    ParticipantSet,
    decode_participants,
)
from gonka_integrations.errors import (
    GonkaConfigError,
    GonkaDiscoveryError,
    GonkaNoParticipantsError,
)

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = "http://node:8000"
A = "gonka1xwu5ku9m6s60ptgpjftxn0klx35cx26ck7n0nk"
B = "gonka10j92p70heuk0g9zhyylcpz0ftw8ed5ks46l2pw"
C = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


def host(index: Any = A, **fields: Any) -> dict[str, Any]:
    return {
        "index": index,
        "validator_key": "Y+s=",
        "weight": 10,
        "inference_url": "http://host.example:8000/",
        "models": ["m"],
        **fields,
    }


def payload(*hosts: Any, **fields: Any) -> dict[str, Any]:
    active = {"participants": list(hosts), "epoch_id": 7, "created_at_block_height": 100}
    return {"active_participants": active, **fields}


def decode(value: Any) -> ParticipantSet:
    return decode_participants(value, source_url=SOURCE)


@pytest.mark.parametrize(
    ("name", "excluded"),
    [
        ("participants_epoch56_mainnet", 0),
        ("derived_epoch56_with_excluded", 1),
        ("derived_epoch56_v0215_shape", 1),
    ],
)
def test_mainnets_epoch_56(shared: Path, name: str, excluded: int) -> None:
    found = decode(json.loads((shared / "fixtures" / f"{name}.json").read_text()))
    assert (found.epoch_id, found.created_at_block_height) == (56, 873436)
    assert found.effective_block_height == 873438
    assert (len(found), len(found.excluded), found.skipped) == (26, excluded, ())
    assert found[0] == GonkaParticipant(
        address="gonka14cu38xpsd8pz5zdkkzwf0jwtpc0vv309ake364",
        inference_url="http://69.48.159.157:8000",
        weight=37778,
        models=("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "Qwen/Qwen3-32B-FP8"),
        validator_key="Y+sAwFpAU50lwxqskBwChJFj7yjpTcB3m8oEsgXyVrI=",
        epoch_id=56,
    )
    assert len(usable(found)) == 26 - excluded


def test_the_shape_of_2025(shared: Path) -> None:
    """Block as a list, no epoch_id, no exclusions; its edited address cannot be signed for."""
    found = decode(json.loads((shared / "fixtures/participants_docs_sample.json").read_text()))
    assert (found.epoch_id, len(found), found.excluded) == (1, 1, frozenset())
    with pytest.raises(GonkaNoParticipantsError, match="not spelt right"):
        usable(found)


def test_other_nodes_answers(shared: Path) -> None:
    folder = shared / "fixtures" / "endpoints"
    without_proof = json.loads((folder / "participants_without_proof.json").read_text())
    assert decode(without_proof).models == ("MiniMaxAI/MiniMax-M2.7",)
    empty = json.loads((folder / "participants_queryapi_golden.json").read_text())
    with pytest.raises(GonkaNoParticipantsError, match="the list is empty") as caught:
        decode(empty)
    assert caught.value.source_url == SOURCE
    with pytest.raises(GonkaDiscoveryError, match="no active_participants"):
        decode(json.loads((folder / "participants_registry.json").read_text()))


def test_integers_may_be_text_or_missing() -> None:
    text = {
        "active_participants": {
            "participants": [host(weight="12")],
            "epoch_id": "7",
            "effective_block_height": "102",
        }
    }
    found = decode(text)
    assert (found.epoch_id, found[0].weight, found.effective_block_height) == (7, 12, 102)
    assert found.created_at_block_height == 0
    light = host()
    del light["weight"], light["models"], light["validator_key"]
    one = decode(payload(light))[0]
    assert (one.weight, one.models, one.validator_key) == (0, (), None)


@pytest.mark.parametrize("exclusions", [None, [], "absent"])
def test_absent_exclusions(exclusions: Any) -> None:
    value = payload(host())
    if exclusions != "absent":
        value["excluded_participants"] = exclusions
    assert decode(value).excluded == frozenset()


def test_exclusions_hold_back_traffic_only() -> None:
    entries = [
        {"address": A, "reason": "downtime"},
        "odd",
        {"reason": "no address"},
        {"address": 5},
    ]
    found = decode(payload(host(A), host(B), excluded_participants=entries))
    assert found.excluded == {A}
    assert len(found) == 2
    left = usable(found)
    assert [one.address for one in left] == [B]
    assert left.skipped == ((A, "the chain excluded it in this epoch"),)


@pytest.mark.parametrize(
    ("broken", "name", "reason"),
    [
        (None, "participants[0]", "not an object"),
        ([], "participants[0]", "not an object"),
        (host(5), "participants[0]", "no account address"),
        (host(""), "participants[0]", "no account address"),
        (host("x" * 500), "x" * 80, "no account address"),
        (host(inference_url=None), A, "no inference_url"),
        (host(inference_url="  "), A, "no inference_url"),
        (host(inference_url="ftp://h"), A, "not an http"),
        (host(inference_url="http://" + "h" * 3000), A, "not an http"),
        (host(weight=-1), A, "weight"),
        (host(weight="x"), A, "weight"),
        (host(weight=1.5), A, "weight"),
        (host(weight=True), A, "weight"),
        (host(weight=10**400), A, "weight"),
        (host(models="m"), A, "models"),
        (host(models=[1]), A, "models"),
        (host(B), B, "listed twice"),
    ],
)
def test_a_broken_participant_costs_only_itself(broken: Any, name: str, reason: str) -> None:
    good = host(B)
    hosts = [good, broken] if reason == "listed twice" else [broken, good]
    found = decode(payload(*hosts))
    assert [one.address for one in found] == [B]
    assert len(found.skipped) == 1
    assert found.skipped[0][0] == name
    assert reason in found.skipped[0][1]


def test_nobody_who_makes_sense() -> None:
    with pytest.raises(GonkaNoParticipantsError, match="all 2 are unusable: it is not an object"):
        decode(payload(None, 5))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is nothing"),
        ([], "is a list"),
        ("x", "is text"),
        (5, "is a number"),
        ({}, "no active_participants"),
        ({"active_participants": []}, "is a list"),
        ({"active_participants": {"participants": [host()]}}, "names no epoch"),
        ({"active_participants": {"participants": [host()], "epoch_id": -1}}, "names no epoch"),
        ({"active_participants": {"participants": [host()], "epoch_id": "x"}}, "epoch_id"),
        ({"active_participants": {"participants": [host()], "epoch_id": 1.0}}, "epoch_id"),
        ({"active_participants": {"participants": {}, "epoch_id": 1}}, "participants"),
        (payload(host(), excluded_participants="x"), "excluded_participants"),
    ],
)
def test_a_broken_answer_names_source_and_reason(value: Any, reason: str) -> None:
    with pytest.raises(GonkaDiscoveryError, match=SOURCE) as caught:
        decode(value)
    assert not isinstance(caught.value, GonkaNoParticipantsError)
    assert caught.value.source_url == SOURCE
    assert reason in str(caught.value)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "index": SCALARS | st.sampled_from([A, B, C]),
        "weight": SCALARS | st.integers(0, 99).map(str),
        "inference_url": SCALARS | st.sampled_from(["http://h:1", "https://h/"]),
        "models": SCALARS | st.lists(st.text(max_size=3) | st.none(), max_size=3),
        "validator_key": SCALARS,
    },
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
ANSWER = st.fixed_dictionaries(
    {},
    optional={
        "active_participants": JSON
        | st.fixed_dictionaries(
            {},
            optional={
                "participants": JSON | st.lists(ENTRY | JSON, max_size=4),
                "epoch_id": SCALARS | st.integers(1, 99) | st.integers(1, 99).map(str),
                "epoch_group_id": SCALARS,
                "created_at_block_height": SCALARS,
            },
        ),
        "excluded_participants": JSON | st.lists(st.fixed_dictionaries({"address": SCALARS})),
        "block": JSON,
    },
)


@given(ANSWER | JSON)
def test_any_json_gives_a_set_or_a_typed_error(value: Any) -> None:
    before = copy.deepcopy(value)
    try:
        found = decode(value)
    except GonkaDiscoveryError as error:
        assert error.source_url == SOURCE  # noqa: PT017 - either way is right
    else:
        assert found.epoch_id > 0
        assert all(one.inference_url.startswith("http") for one in found)
        assert len({one.address for one in found}) == len(found) > 0
        hash(found)
    assert repr(value) == repr(before)


def test_who_may_be_sent_signed_requests() -> None:
    found = decode(payload(host(A), host(B), host(C, models=[])))
    assert [one.address for one in usable(found)] == [A, B]
    assert [one.address for one in usable(found, frozenset({B, C}))] == [B]
    assert len(usable(found, frozenset())) == 2
    refused = usable(found, None, lambda one: "no" if one.address == A else None)
    assert [one.address for one in refused] == [B]
    assert dict(refused.skipped)[A] == "no"
    with pytest.raises(GonkaNoParticipantsError, match="allowed_transfer_addresses"):
        usable(found, frozenset({"gonka1other"}))


def test_models_that_nobody_names_are_unknown() -> None:
    assert len(usable(decode(payload(host(A, models=[]), host(B, models=None))))) == 2


def test_a_set_is_a_sequence() -> None:
    found = decode(payload(host(A), host(B, models=["m", "n"])))
    assert found.models == ("m", "n")
    assert list(found) == list(found.participants)
    assert found[-1].address == B
    assert found[:1] == found.participants[:1]
    assert found[0] in found


def test_participants_made_by_hand() -> None:
    one = GonkaParticipant(address=A, inference_url="https://h/", models=["m"])  # type: ignore[arg-type]
    assert one.models == ("m",)
    assert one.base_url == "https://h/v1"
    assert GonkaParticipant(A, "https://h/v1").base_url == "https://h/v1"
    assert one.index == A
    for fields in ({"address": ""}, {"inference_url": ""}, {"weight": -1}):
        with pytest.raises(GonkaConfigError) as caught:
            GonkaParticipant(**{"address": A, "inference_url": "https://h", **fields})
        assert caught.value.field in fields
