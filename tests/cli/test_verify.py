"""`gonka verify`: the chain of evidence, and refusal of what is not proven."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gonka_integrations.devnet import Devnet
from gonka_integrations.devnet.chain import SyntheticChain
from gonka_integrations.devnet.forged_chain import ForgedChain

from .conftest import Gonka

pytest.importorskip("cryptography")


@pytest.fixture
def proven() -> Iterator[Devnet]:
    with Devnet(hosts=3, gateways=0, proofs=True) as net:
        yield net


def test_evidence_line_by_line(gonka: Gonka, proven: Devnet) -> None:
    ran = gonka("verify", *proven.source_urls[:2], "--trust", f"agreement@{proven.chain_id}")
    assert ran.code == 0, ran.out + ran.err
    assert "Proven: 3 participants" in ran.out
    assert "2 sources agree" in ran.out
    assert "FAIL" not in ran.out


def test_evidence_as_json(gonka: Gonka, proven: Devnet) -> None:
    trust = f"agreement:3@{proven.chain_id}"
    told = gonka("verify", "--json", *proven.source_urls, "--trust", trust).json
    assert told["verified"]
    assert all(line["holds"] for line in told["evidence"])


def checkpoint(net: Devnet) -> str:
    height = net.epochs.current.created_at + 1
    assert isinstance(net.chain, SyntheticChain)
    net.chain.observe()
    return f"checkpoint:{height}:{net.chain.header(height).hash.hex()}@{net.chain_id}"


def test_a_checkpoint_is_enough_with_one_source(gonka: Gonka, proven: Devnet) -> None:
    ran = gonka("verify", proven.source_url, "--trust", checkpoint(proven))
    assert ran.code == 0, ran.out + ran.err
    shown = [line.split()[1] for line in ran.out.splitlines() if line.startswith("ok ")]
    assert shown == [
        *("header", "proofs", "app", "proofs", "app", "trust", "epoch", "record", "list"),
    ]


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("json_only", "ParticipantsMismatch"),
        ("both_proofs_rebuilt", "AppHashMismatch"),
        ("whole_foreign_chain", "TrustMismatch"),
        ("no_commit", "MissingSignedHeader"),
    ],
)
def test_a_forged_network_fails_at_the_check_that_sees_it(
    gonka: Gonka, proven: Devnet, case: str, error: str
) -> None:
    trust = checkpoint(proven)
    assert isinstance(proven.chain, SyntheticChain)
    proven.chain = ForgedChain(proven.chain, case)
    ran = gonka("verify", *proven.source_urls, "--trust", trust)
    assert ran.code == 1
    failed = [line for line in ran.out.splitlines() if line.startswith("FAIL")]
    assert failed[-1].split()[1] == error
    assert "not proven" in ran.err
    assert "Proven" not in ran.out


def test_another_chain_is_refused(gonka: Gonka, proven: Devnet) -> None:
    ran = gonka("verify", *proven.source_urls[:2])
    assert ran.code == 1
    assert "gonka-mainnet" in ran.err
    assert "FAIL" in ran.out


def test_a_network_without_proofs_is_refused(gonka: Gonka, devnet: Devnet) -> None:
    ran = gonka("verify", *devnet.source_urls[:2], "--json")
    assert ran.code == 1
    assert ran.json["verified"] is False


def test_one_source_cannot_agree(gonka: Gonka, proven: Devnet) -> None:
    ran = gonka("verify", proven.source_url, "--trust", f"agreement@{proven.chain_id}")
    assert ran.code == 1
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("trust", ["faith", "checkpoint:x:y", "checkpoint:5:00"])
def test_a_wrong_trust_root_is_2(gonka: Gonka, proven: Devnet, trust: str) -> None:
    assert gonka("verify", proven.source_url, "--trust", trust).code == 2


@pytest.mark.parametrize("command", ["participants", "bench", "doctor"])
def test_every_command_uses_proven_lists_only_where_the_environment_asks_for_proofs(
    gonka: Gonka, proven: Devnet, command: str
) -> None:
    environment = {
        "GONKA_VERIFY_PROOF": "1",
        "GONKA_TRUST": checkpoint(proven),
        "GONKA_SOURCE_URL": proven.source_url,
        "GONKA_PRIVATE_KEY": proven.private_key,
    }
    ran = gonka(command, **environment)
    assert ran.code == 0, ran.out + ran.err
    assert "not verified" not in ran.out
    assert isinstance(proven.chain, SyntheticChain)
    proven.chain = ForgedChain(proven.chain, "header_app_hash_swapped")
    ran = gonka(command, **environment)
    assert ran.code == 1
    assert "hashes to" in ran.out + ran.err
    assert gonka(command, **{**environment, "GONKA_TRUST": ""}).code == 2
