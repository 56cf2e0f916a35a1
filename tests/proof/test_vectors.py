"""Public vectors of other implementations, and real payloads; read beside the project, if there."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from gonka_integrations.proof import ics23
from gonka_integrations.proof.cometbft import (
    PRECOMMIT,
    SignedHeader,
    Timestamp,
    ValidatorSet,
    vote_sign_bytes,
)
from gonka_integrations.proof.commits import check_signatures
from gonka_integrations.proof.errors import (
    BadSignature,
    MissingSignedHeader,
    NotEnoughTrust,
    ProofCheckError,
    ProofError,
    ProofSpecError,
)
from gonka_integrations.proof.json_dialects import (
    read_commit,
    read_header,
    read_proof_ops,
    read_signed_header,
    read_validators,
)
from gonka_integrations.proof.json_values import as_time
from gonka_integrations.proof.light import LightBlock, TrustedHeader, TrustPolicy, check_step
from gonka_integrations.proof.merkle import inner_hash, merkle_root
from gonka_integrations.proof.participants_proof import StateLayout
from gonka_integrations.proof.store_proof import prove_record
from gonka_integrations.proof.trust import Checkpoint
from gonka_integrations.proof.verification import Bundle, Rules, verify


@pytest.fixture
def vectors(shared: Path) -> Path:
    return shared / "vectors" / "proof"


def load(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text())


SPECS = {"iavl": ics23.IAVL_SPEC, "tendermint": ics23.SIMPLE_SPEC}


def test_ics23_existence_proofs_lead_to_the_roots_of_other_implementations(vectors: Path) -> None:
    for case in load(vectors, "ics23_existence.json")["cases"]:
        data = bytes.fromhex(case["proof"])
        if "nonexist" in case["name"]:
            with pytest.raises(ProofError):
                ics23.decode_commitment_proof(data)
            continue
        proof = ics23.decode_commitment_proof(data)
        assert ics23.existence_root(proof, SPECS[case["spec"]]).hex() == case["root"]
        assert (proof.key.hex(), proof.value.hex()) == (case["key"], case["value"])


def test_every_byte_of_an_ics23_proof_matters(vectors: Path) -> None:
    for case in load(vectors, "ics23_existence.json")["cases"]:
        if "nonexist" in case["name"]:
            continue
        data = bytes.fromhex(case["proof"])
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= 1
            try:
                proof = ics23.decode_commitment_proof(bytes(changed))
                root = ics23.existence_root(proof, SPECS[case["spec"]])
            except ProofCheckError:
                continue
            same = (root.hex(), proof.key.hex(), proof.value.hex())
            assert same != (case["root"], case["key"], case["value"]), position


def as_proof(fields: dict[str, Any]) -> ics23.ExistenceProof:
    def raw(value: str | None) -> bytes:
        return base64.b64decode(value or "")

    leaf = fields.get("leaf")
    return ics23.ExistenceProof(
        raw(fields.get("key")),
        raw(fields.get("value")),
        as_leaf(leaf) if leaf else None,
        tuple(
            ics23.InnerOp(op.get("hash", 0), raw(op.get("prefix")), raw(op.get("suffix")))
            for op in fields.get("path") or ()
        ),
    )


def as_leaf(leaf: dict[str, Any]) -> ics23.LeafOp:
    return ics23.LeafOp(
        leaf.get("hash", 0),
        leaf.get("prehash_key", 0),
        leaf.get("prehash_value", 0),
        leaf.get("length", 0),
        base64.b64decode(leaf.get("prefix") or ""),
    )


def test_ics23_specification_checks_agree(vectors: Path) -> None:
    for case in load(vectors, "ics23_ops.json")["check_against_spec"].values():
        inner = case["Spec"]["inner_spec"]
        spec = ics23.ProofSpec(
            "iavl",
            inner["child_size"],
            inner["min_prefix_length"],
            inner["max_prefix_length"],
            min_depth=case["Spec"].get("min_depth", 0),
            max_depth=case["Spec"].get("max_depth", 0) or 128,
        )
        proof = as_proof(case["Proof"])
        if case["Err"]:
            with pytest.raises(ProofCheckError):
                ics23.check_against_spec(proof, spec)
        else:
            ics23.check_against_spec(proof, spec)


def test_ics23_operations_give_the_same_hash_or_are_refused(vectors: Path) -> None:
    data = load(vectors, "ics23_ops.json")
    hashed = 0
    for case in data["leaf_op"].values():
        key, value = (base64.b64decode(case[name] or "") for name in ("Key", "Value"))
        try:
            found = as_leaf(case["Op"]).apply(key, value)
        except ProofError:
            # Neither tree of this chain hashes its leaves in this way.
            assert case["IsErr"] or as_leaf(case["Op"])[:4] != (1, 0, 1, 1)
        else:
            assert base64.b64encode(found).decode() == case["Expected"]
            hashed += 1
    assert hashed == 1
    for case in data["inner_op"].values():
        op = case["Op"]
        inner = ics23.InnerOp(
            op["hash"], *(base64.b64decode(op.get(name) or "") for name in ("prefix", "suffix"))
        )
        child = base64.b64decode(case["Child"] or "")
        if case["IsErr"]:
            with pytest.raises(ProofError):
                inner.apply(child)
        else:
            assert base64.b64encode(inner.apply(child)).decode() == case["Expected"]


def test_cometbft_hashes_and_sign_bytes(vectors: Path) -> None:
    data = load(vectors, "cometbft_unit.json")
    for case in data["header_hash"]:
        assert read_header(case["header"]).hash.hex().upper() == case["hash"]
    for case in data["vote_sign_bytes"]:
        found = vote_sign_bytes(
            case["chain_id"],
            as_time(case["timestamp"], "time"),
            kind=case["type"],
            height=case["height"],
            round_=case["round"],
            block_id=None,
        )
        assert found.hex() == case["sign_bytes"]
    for case in data["merkle"]:
        if case["op"] == "root":
            assert merkle_root([bytes.fromhex(x) for x in case["leaves"]]).hex() == case["want"]
        else:
            left, right = bytes.fromhex(case["left"]), bytes.fromhex(case["right"])
            assert inner_hash(left, right).hex() == case["want"]


def test_a_real_cometbft_038_node(vectors: Path) -> None:
    data = load(vectors, "cometbft_0_38_node.json")
    validators = ValidatorSet(read_validators(data["validators"]))
    signed = read_signed_header(data["commit_at_height_10"]["signed_header"])
    block = LightBlock.checked(data["chain_id"], signed, validators)
    assert block.power == 10
    for name in ("block_at_height_1", "block_at_height_10"):
        header = read_header(data[name]["block"]["header"])
        assert header.hash.hex().upper() == data[name]["block_id"]["hash"]
    last = read_commit(data["block_at_height_10"]["block"]["last_commit"])
    assert last.hash == signed.header.last_commit_hash


def test_a_flipped_bit_in_a_real_signature_is_refused(vectors: Path) -> None:
    data = load(vectors, "cometbft_0_38_node.json")
    validators = ValidatorSet(read_validators(data["validators"]))
    fields = data["commit_at_height_10"]["signed_header"]
    signature = fields["commit"]["signatures"][0]
    good = base64.b64decode(signature["signature"])
    for position in range(64):
        changed = bytearray(good)
        changed[position] ^= 1
        signature["signature"] = base64.b64encode(changed).decode()
        commit = read_commit(fields["commit"])
        with pytest.raises(BadSignature):
            check_signatures(data["chain_id"], commit, validators)


def test_light_client_verdicts_agree(vectors: Path) -> None:
    verdicts = {"SUCCESS": 0, "NOT_ENOUGH_TRUST": 0, "INVALID": 0}
    for case in load(vectors, "light_client_single_step.json")["cases"]:
        initial = case["initial"]
        header = read_header(initial["header"])
        period = int(initial["trusting_period"]) / 1e9
        policy = TrustPolicy(trusting_period=period, clock_drift=1.0)
        trusted = TrustedHeader(
            header.height,
            header.hash,
            header.time,
            header.next_validators_hash,
            ValidatorSet(read_validators(initial["next_validators"])),
        )
        for step in case["input"]:
            verdict, trusted = run_step(trusted, step, policy)
            assert verdict == step["verdict"], (case["name"], step["signed_header"]["header"])
            verdicts[verdict] += 1
    assert verdicts == {"SUCCESS": 19, "NOT_ENOUGH_TRUST": 17, "INVALID": 7}


def run_step(
    trusted: TrustedHeader, step: dict[str, Any], policy: TrustPolicy
) -> tuple[str, TrustedHeader]:
    signed = read_signed_header(step["signed_header"])
    now = as_time(step["now"], "now").unix
    try:
        validators = ValidatorSet(read_validators(step["validators"]))
        block = LightBlock.checked("test-chain", signed, validators)
        check_step(trusted, block, now, policy)
    except NotEnoughTrust:
        return "NOT_ENOUGH_TRUST", trusted
    except ProofCheckError:
        return "INVALID", trusted
    following = ValidatorSet(read_validators(step["next_validators"]))
    header = block.header
    return "SUCCESS", TrustedHeader(
        header.height, header.hash, header.time, header.next_validators_hash, following
    )


def test_the_bundle_of_a_gonka_test_network_verifies_end_to_end(vectors: Path) -> None:
    data = load(vectors, "gonka_real.json")["participants_bundle"]
    bundle = Bundle(
        payload=json.dumps(data["payload"]).encode(),
        commit=json.dumps(data["commit"]).encode(),
        validators=(json.dumps({"validators": data["validators"]}).encode(),),
    )
    found = verify(
        bundle,
        epoch=1,
        trusted=Checkpoint(60, "A67E3AB0CF8822CE1440E55DF06E33B63FB592126D5E20B202A810801FEC62F6"),
        now=Timestamp(1756991700).unix,
    )
    assert found.verified
    assert [one.inference_url for one in found] == [
        "http://genesis-api:9000",
        "http://join1-api:9010",
    ]


def test_mainnet_precommits_verify(vectors: Path) -> None:
    data = load(vectors, "gonka_real.json")["mainnet_precommits"]
    commit = read_commit(data)
    for signature, fields in zip(commit.signatures, data["signatures"], strict=True):
        validator = read_validators([{"pub_key": fields["pub_key"], "voting_power": 1}])[0]
        assert validator.address == signature.address
        alone = read_commit({**data, "signatures": [fields]})
        assert check_signatures(data["chain_id"], alone, ValidatorSet((validator,))) == 1
        with pytest.raises(BadSignature):
            check_signatures("another-chain", alone, ValidatorSet((validator,)))
    assert vote_sign_bytes(
        "gonka-mainnet",
        commit.signatures[0].timestamp,
        kind=PRECOMMIT,
        height=commit.height,
        round_=commit.round,
        block_id=commit.block_id,
    ) == commit.sign_bytes("gonka-mainnet", commit.signatures[0])


def test_the_documented_sample_is_as_inconsistent_as_expected(vectors: Path) -> None:
    """Its texts were renamed and its block is one too early; what was left alone still verifies."""
    data = load(vectors, "gonka_docs_sample.json")
    payload, expect = data["payload"], data["expect"]
    proof = prove_record(
        read_proof_ops(payload["proof_ops"]),
        "inference",
        b"ActiveParticipants/1/value/",
        bytes.fromhex(payload["active_participants_bytes"]),
    )
    assert proof.store_root.hex().upper() == expect["store_root"]
    assert proof.app_hash.hex().upper() == expect["proof_app_hash"]
    fields = payload["block"][0]["header"]
    header = read_header({**fields, "chain_id": expect["chain_id_that_verifies"]})
    assert header.hash.hex().upper() == expect["header_15_hash_recomputed_with_chain_id_prod_sim"]
    assert header.app_hash != proof.app_hash
    last = read_commit(payload["block"][0]["last_commit"])
    validators = ValidatorSet(read_validators(payload["validators"]))
    assert last.hash == header.last_commit_hash
    assert check_signatures("prod-sim", last, validators) == 1_000_000
    with pytest.raises(BadSignature):
        check_signatures("gonka-mainnet", last, validators)


def test_the_synthetic_bundle_of_another_generator_verifies(vectors: Path) -> None:
    data = load(vectors, "synthetic_bundle.json")
    signed = read_signed_header(data["commit"]["result"]["signed_header"])
    block = LightBlock.checked(
        "gonka-devnet", signed, ValidatorSet(read_validators(data["validators"]))
    )
    payload = data["payload"]
    proof = prove_record(
        read_proof_ops(payload["proof_ops"]),
        "inference",
        StateLayout().record_key(3),
        bytes.fromhex(payload["active_participants_bytes"]),
    )
    assert proof.app_hash == block.header.app_hash
    assert proof.version == 30
    found = verify(
        Bundle(
            json.dumps(payload).encode(),
            json.dumps(data["commit"]).encode(),
            (json.dumps({"validators": data["validators"]}).encode(),),
        ),
        epoch=3,
        trusted=Checkpoint(31, block.hash, "gonka-devnet"),
        now=block.header.time.unix + 60,
        rules=Rules(chain_id="gonka-devnet"),
    )
    assert found.verified
    assert len(found) + len(found.skipped) == len(payload["active_participants"]["participants"])


MAINNET_CHECKS = [
    "record",
    "list",
    "proofs",
    "payload header",
    "payload app hash",
    "payload validators",
    "payload last commit",
    "payload signatures",
]


@pytest.mark.parametrize(
    "name", ["participants_epoch56_mainnet.json", "derived_epoch56_v0215_shape.json"]
)
def test_mainnet_epoch_56_passes_all_its_content_allows_and_lacks_a_commit(
    shared: Path, name: str
) -> None:
    """In both dialects; the header's hash and the application hash are those of the real chain."""
    payload = (shared / "fixtures" / name).read_bytes()
    with pytest.raises(MissingSignedHeader, match="no commit for height 873437") as caught:
        verify(
            Bundle(payload),
            epoch=56,
            trusted=Checkpoint(873437, bytes(32)),
            now=1760778000.0,
        )
    lines = caught.value.evidence
    assert [line.check for line in lines if line.holds] == MAINNET_CHECKS
    assert [line.check for line in lines if not line.holds] == ["MissingSignedHeader"]
    text = "\n".join(map(str, lines))
    assert "86C55D0E" in text
    assert "CF522B64" in text
    assert "power 424196 of 424196" in text


def test_mainnet_epoch_56_is_of_no_other_chain(shared: Path) -> None:
    payload = (shared / "fixtures" / "participants_epoch56_mainnet.json").read_bytes()
    with pytest.raises(MissingSignedHeader) as caught:
        verify(
            Bundle(payload),
            epoch=56,
            trusted=Checkpoint(873437, bytes(32)),
            now=1760778000.0,
            rules=Rules(chain_id="gonka-testnet"),
        )
    failed = {line.check for line in caught.value.evidence if not line.holds}
    assert "payload header" in failed


def test_signed_header_is_a_plain_pair(vectors: Path) -> None:
    data = load(vectors, "cometbft_0_38_node.json")["commit_at_height_10"]
    signed = read_signed_header(data["signed_header"])
    assert signed == SignedHeader(signed.header, signed.commit)
    assert ProofSpecError.__mro__[1] is ProofError
