"""Every way to forge a list is refused, by the check that is meant to see it."""

from __future__ import annotations

import json
import re

import pytest
from proof_chains import RULES, Network, bundle_of, with_payload

from gonka_integrations.devnet.forgeries import CASES, EVIL_URL, forge
from gonka_integrations.errors import GonkaProofVerificationError
from gonka_integrations.proof import errors
from gonka_integrations.proof.report import Report
from gonka_integrations.proof.verification import verify

EXPECTED: dict[str, type[errors.ProofCheckError]] = {
    "json_only": errors.ParticipantsMismatch,
    "bytes_and_json": errors.ProofValueMismatch,
    "iavl_rebuilt": errors.ProofValueMismatch,
    "both_proofs_rebuilt": errors.AppHashMismatch,
    "header_app_hash_swapped": errors.HeaderHashMismatch,
    "commit_repointed": errors.BadSignature,
    "whole_foreign_chain": errors.NotEnoughTrust,
    "foreign_validators_same_header": errors.ValidatorSetMismatch,
    "two_thirds_not_more": errors.InsufficientPower,
    "nil_votes": errors.InsufficientPower,
    "copied_signatures": errors.BadSignature,
    "swapped_signatures": errors.CommitError,
    "extra_signature": errors.CommitError,
    "power_inflated": errors.ValidatorSetMismatch,
    "validators_page_cut": errors.ValidatorSetMismatch,
    "payload_block_only": errors.WrongHeight,
    "commit_of_H": errors.WrongHeight,
    "commit_of_H_plus_2": errors.WrongHeight,
    "no_commit": errors.MissingSignedHeader,
    "other_chain_id": errors.WrongChain,
    "chain_id_renamed": errors.HeaderHashMismatch,
    "old_epoch_for_new": errors.EpochMismatch,
    "old_epoch_as_current": errors.StaleEpoch,
    "proof_of_other_epoch": errors.ProofKeyMismatch,
    "epoch_id_zero": errors.EpochMismatch,
    "other_store": errors.ProofKeyMismatch,
    "leaf_op_no_prehash": errors.ProofSpecError,
    "inner_prefix_padded": errors.ProofSpecError,
    "batch_proof": errors.ProofError,
    "ops_reversed": errors.ProofError,
    "other_op_type": errors.ProofError,
    "no_proof_ops": errors.MalformedPayload,
    "bytes_not_hex": errors.MalformedPayload,
    "bytes_truncated_field": errors.MalformedPayload,
}
CURRENT = {"old_epoch_as_current"}
HASH = "[0-9A-F]{64}"
SET = rf"^validator set \d+: \d validators hash to {HASH}, the header says {HASH}"
HEADER = rf"^header hash: header \d+ hashes to {HASH}, the commit signs {HASH}$"
VOTE = rf"^commit \d+: signature \d of validator [0-9A-F]{{40}} .* over block {HASH}$"
OPS = "^proof operations: need ics23:iavl then ics23:simple, got "
# Which check failed, and the two values it was between.
SAYS: dict[str, str] = {
    "json_only": rf"participants\[0\]\.inference_url: JSON says '{EVIL_URL}', .* say 'http://198",
    "bytes_and_json": r"^store proof: .* with SHA-256 (\w{16}), the one .* (?!\1)\w{16}$",
    "iavl_rebuilt": rf"^store root: .* leads to {HASH}, the application proof is for {HASH}$",
    "both_proofs_rebuilt": rf"^app hash: the proofs lead to {HASH}, header \d+ says {HASH}$",
    "header_app_hash_swapped": HEADER,
    "commit_repointed": VOTE,
    "whole_foreign_chain": r"^overlap: power 0 of 3300 trusted .* more than 1/3 is needed$",
    "foreign_validators_same_header": SET,
    "two_thirds_not_more": "^commit .* power 2200 of 3300 has signed, more than two thirds",
    "nil_votes": "^commit .* power 2200 of 3300 has signed, more than two thirds",
    "copied_signatures": VOTE,
    "swapped_signatures": "^commit .* signature 0: is by [0-9A-F]{40}, the set has [0-9A-F]{40}",
    "extra_signature": "^commit .* 4 signatures for 3 validators$",
    "power_inflated": SET,
    "validators_page_cut": SET,
    "payload_block_only": r"^commit: is for height \d+7, header is \d+8$",
    "commit_of_H": r"^signed header: is of height \d+7, not \d+8$",
    "commit_of_H_plus_2": r"^signed header: is of height \d+9, not \d+8$",
    "no_commit": r"^signed header: there is no commit for height \d+8; .* is for height \d+7",
    "other_chain_id": "^chain id: header is of 'gonka-othernet', not of 'gonka-devnet'$",
    "chain_id_renamed": HEADER,
    "old_epoch_for_new": "^epoch: the bytes are of epoch 2, not of 3$",
    "old_epoch_as_current": r"^freshness: header \d+ of epoch 1 is 46\.0 h old, more than 30\.0$",
    "proof_of_other_epoch": r"^store proof: is for key b'Act.*x02/', not b'Act.*x03/'$",
    "epoch_id_zero": "^epoch: the bytes are of epoch 0, not of 3$",
    "other_store": "^application proof: is for store b'bank', not 'inference'$",
    "leaf_op_no_prehash": r"^iavl proof: leaf operation \(1, 0, 0, 1\) .* is not \(1, 0, 1, 1\)",
    "inner_prefix_padded": "^iavl proof: inner operation 1: prefix of 80 bytes is not in 4…45$",
    "batch_proof": r"^store proof: one existence proof is needed, got \['batch'\]$",
    "ops_reversed": OPS + r"\['ics23:simple', 'ics23:iavl'\]$",
    "other_op_type": OPS + r"\['ics23:smt', 'ics23:simple'\]$",
    "no_proof_ops": "^payload: has no proof_ops, so there is no proof of this list$",
    "bytes_not_hex": "^active_participants_bytes: 'zz.*' is not hexadecimal$",
    "bytes_truncated_field": r"^active_participants_bytes: cut off .* at byte \d+$",
}


@pytest.fixture(scope="module")
def network() -> Network:
    # Three validators of equal power: two of them are exactly two thirds.
    return Network([range(3)] * 3)


def test_there_are_34_cases_and_each_has_an_expectation() -> None:
    assert len(CASES) == 34
    assert set(CASES) == set(EXPECTED) == set(SAYS)


def test_the_honest_answer_is_proven(network: Network) -> None:
    report = Report()
    found = verify(
        network.bundle(),
        epoch=network.epoch,
        trusted=network.trusted(network.book.records[2].effective),
        now=network.clock.now,
        rules=RULES,
        report=report,
    )
    assert found.verified
    assert found.epoch_id == 3
    assert [one.address for one in found] == [one.address for one in network.book.current.members]
    assert [line.check for line in report.lines] == [
        "record",
        "list",
        "proofs",
        "header",
        "app hash",
        "trust",
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_forged_answer_is_refused(network: Network, case: str) -> None:
    forgery = forge(case, network.chain, network.epoch)
    with pytest.raises(GonkaProofVerificationError) as caught:
        verify(
            bundle_of(forgery),
            epoch=None if case in CURRENT else network.epoch,
            trusted=network.trusted(network.book.records[1].effective),
            now=network.clock.now,
            rules=RULES,
        )
    assert type(caught.value) is EXPECTED[case], caught.value
    last = caught.value.evidence[-1]
    assert (last.holds, last.check) == (False, EXPECTED[case].__name__)
    assert last.detail == str(caught.value)
    assert re.search(SAYS[case], last.detail), last.detail


def test_messages_name_the_two_values(network: Network) -> None:
    """Whoever reads the message can compare it with an explorer."""
    forgery = forge("both_proofs_rebuilt", network.chain, network.epoch)
    with pytest.raises(errors.AppHashMismatch) as caught:
        verify(
            bundle_of(forgery),
            epoch=network.epoch,
            trusted=network.trusted(network.height),
            now=network.clock.now,
            rules=RULES,
        )
    text = str(caught.value)
    assert network.chain.header(network.height).app_hash.hex().upper() in text
    assert forgery.evil_chain().state(network.height - 1).app_hash.hex().upper() in text
    assert str(network.height) in text


def test_two_thirds_is_exactly_two_thirds(network: Network) -> None:
    forgery = forge("two_thirds_not_more", network.chain, network.epoch)
    with pytest.raises(errors.InsufficientPower, match="power 2200 of 3300 has signed"):
        verify(
            bundle_of(forgery),
            epoch=network.epoch,
            trusted=network.trusted(network.height),
            now=network.clock.now,
            rules=RULES,
        )


def test_the_forged_lists_do_carry_the_attackers_url(network: Network) -> None:
    """Or the tests above would prove nothing."""
    for case in ("json_only", "bytes_and_json", "commit_repointed", "whole_foreign_chain"):
        payload = forge(case, network.chain, network.epoch).payload
        shown = {one["inference_url"] for one in payload["active_participants"]["participants"]}
        assert shown == {EVIL_URL}
        in_bytes = EVIL_URL.encode().hex() in payload["active_participants_bytes"]
        assert in_bytes == (case != "json_only")


def test_a_foreign_chain_is_consistent_in_itself(network: Network) -> None:
    """Only what it is anchored in gives it away."""
    bundle = bundle_of(forge("whole_foreign_chain", network.chain, network.epoch))
    foreign = forge("whole_foreign_chain", network.chain, network.epoch).foreign_chain()
    from gonka_integrations.proof.trust import Checkpoint

    pinned = Checkpoint(network.height, foreign.header(network.height).hash, "gonka-devnet")
    found = verify(bundle, epoch=None, trusted=pinned, now=network.clock.now, rules=RULES)
    assert {one.inference_url for one in found} == {EVIL_URL}
    with pytest.raises(errors.TrustMismatch):
        verify(
            bundle,
            epoch=None,
            trusted=network.checkpoint(network.height),
            now=network.clock.now,
            rules=RULES,
        )


def test_exclusions_can_only_shrink_the_list(network: Network) -> None:
    shut_out = network.book.current.members[0].address

    def exclude(payload: dict[str, object]) -> None:
        payload["excluded_participants"] = [
            {"address": shut_out, "reason": "downtime"},
            {"address": "gonka1stranger", "reason": "downtime", "inference_url": EVIL_URL},
        ]

    found = verify(
        with_payload(network.bundle(), exclude),
        epoch=network.epoch,
        trusted=network.trusted(network.height),
        now=network.clock.now,
        rules=RULES,
    )
    assert shut_out in found.excluded
    assert EVIL_URL not in {one.inference_url for one in found}
    assert len(found) == 3


def test_other_fields_of_the_json_are_not_looked_at(network: Network) -> None:
    def change(payload: dict[str, object]) -> None:
        payload.update(addresses=["??"], validators=[], block=None, something_new={"x": 1})

    bundle = with_payload(network.bundle(), change)
    trusted = network.trusted(network.height)
    found = verify(bundle, epoch=None, trusted=trusted, now=network.clock.now, rules=RULES)
    assert found.verified
    assert "??" in json.loads(bundle.payload)["addresses"]
