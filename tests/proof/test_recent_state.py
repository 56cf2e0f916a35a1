"""A node that lies about the recent state proves nothing by it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from proof_chains import CHAIN_ID, Network, Node, drive, dump

from gonka_integrations.devnet.chain_json import proof_ops_json
from gonka_integrations.devnet.chain_records import encode_record, record_json, record_key
from gonka_integrations.devnet.forgery import EVIL_URL, Forgery
from gonka_integrations.proof.errors import ProofCheckError
from gonka_integrations.proof.report import Report
from gonka_integrations.proof.trust import Agreement, Checkpoint
from gonka_integrations.proof.trust_store import TrustStore
from gonka_integrations.proof.verifier import Verifier

SOURCE = "http://a.example"
INDEX_KEY = b"\x0c"
Change = Callable[[Network, dict[str, Any], bytes, int], None]


def other_record(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """The attacker's record with the genuine proofs."""
    if key != INDEX_KEY:
        evil = Forgery(network.chain, network.epoch).evil_record()
        response["value"] = base64.b64encode(encode_record(evil)).decode()


def other_tree(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """The attacker's record with proofs rebuilt for it."""
    other_record(network, response, key, height)
    if key != INDEX_KEY:
        evil = Forgery(network.chain, network.epoch).evil_chain()
        response["proofOps"] = proof_ops_json(evil.proof(height, key))


def other_key(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """The past epoch's record and proofs."""
    if key != INDEX_KEY:
        past = record_key(network.epoch - 1)
        response["value"] = base64.b64encode(network.chain.state(height).get(past) or b"").decode()
        response["proofOps"] = proof_ops_json(network.chain.proof(height, past))


def past_epoch(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """The number of the epoch as it was in a state before, with its true proofs."""
    if key == INDEX_KEY:
        then = network.book.records[network.epoch - 1].effective
        before = network.chain.state(then).get(key) or b""
        response["value"] = base64.b64encode(before).decode()
        response["proofOps"] = proof_ops_json(network.chain.proof(then, key))


def past_state(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """An answer that is of another height, and says so."""
    response["height"] = str(height - 1)


def no_epoch(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """The number of the epoch is no number."""
    if key == INDEX_KEY:
        response["value"] = base64.b64encode(b"now").decode()


def no_proof(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """A value alone."""
    response["proofOps"] = None


def no_value(network: Network, response: dict[str, Any], key: bytes, height: int) -> None:
    """A proof alone."""
    response["value"] = None


CASES: dict[Change, str] = {
    other_record: "ProofValueMismatch",
    other_tree: "AppHashMismatch",
    other_key: "ProofKeyMismatch",
    past_epoch: "AppHashMismatch",
    past_state: "WrongHeight",
    no_epoch: "MalformedPayload",
    no_proof: "MissingSignedHeader",
    no_value: "MissingSignedHeader",
}


class Liar(Node):
    """A node with one change in its answers to `abci_query`."""

    def __init__(self, network: Network, change: Change) -> None:
        super().__init__(network.chain)
        self._network = network
        self._change = change

    def answer(self, path: str) -> tuple[int, bytes]:
        status, body = super().answer(path)
        if "abci_query" not in path:
            return status, body
        fields = json.loads(body)
        key = bytes.fromhex(path.partition("data=0x")[2].partition("&")[0])
        height = int(path.partition("height=")[2].partition("&")[0])
        self._change(self._network, fields["result"]["response"], key, height)
        return status, dump(fields)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network([range(3), range(1, 4)])


@pytest.mark.parametrize("change", CASES, ids=lambda change: change.__name__)
def test_a_forged_state_is_refused_by_the_check_that_sees_it(
    network: Network, change: Change
) -> None:
    report = Report()
    trust = network.checkpoint(network.book.records[1].effective)
    verifier = Verifier(trust, [SOURCE], store=TrustStore(None, trust.root_id), clock=network.clock)
    honest = network.chain.payload(network.epoch)
    found = drive(
        verifier.steps(honest, source_url=SOURCE, report=report),
        {SOURCE: Liar(network, change)},
    )
    # The payload has proofs of its own, so the lie costs nothing but the better variant.
    assert found.verified
    assert EVIL_URL not in {one.inference_url for one in found}
    assert [line.check for line in report.lines if line.holds is None] == [CASES[change]]


@pytest.mark.parametrize("change", [other_record, other_tree])
@pytest.mark.parametrize("agree", [False, True])
def test_the_attackers_list_is_not_proven_by_a_forged_state(
    network: Network, change: Change, agree: bool
) -> None:
    """Payload and state say the same, and neither has a proof that holds."""
    trust: Agreement | Checkpoint = Agreement(chain_id=CHAIN_ID)
    if not agree:
        trust = network.checkpoint(network.book.records[1].effective)
    sources = [SOURCE, "http://b.example"]
    nodes: dict[str, Node] = {source: Liar(network, change) for source in sources}
    verifier = Verifier(trust, sources, store=TrustStore(None, trust.root_id), clock=network.clock)
    evil = Forgery(network.chain, network.epoch)
    evil.show_bytes(evil.evil_record())
    shown = {"active_participants": record_json(evil.evil_record())}
    for payload in (shown, evil.payload):
        with pytest.raises(ProofCheckError):
            drive(verifier.steps(payload, source_url=SOURCE), nodes)
