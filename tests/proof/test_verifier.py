"""Verification that fetches: routes, sources, trust roots, bisection, memory."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from proof_chains import CHAIN_ID, EPOCH_SECONDS, Clock, Network, Node, drive, members

from gonka_integrations.core.participants import ParticipantSet
from gonka_integrations.devnet.forged_chain import ForgedChain
from gonka_integrations.proof import errors
from gonka_integrations.proof.light import TrustPolicy, check_clock, check_fresh, check_step
from gonka_integrations.proof.report import Report
from gonka_integrations.proof.trust import Agreement, Checkpoint
from gonka_integrations.proof.trust_store import TrustStore
from gonka_integrations.proof.verifier import Verifier

SOURCES = ("http://a.example", "http://b.example:8000", "https://c.example")


class World:
    """Three sources of one network, and a verifier that asks them."""

    def __init__(self, network: Network, trust: Any = None, path: Path | None = None) -> None:
        self.network = network
        self.trust = trust or Agreement(chain_id=CHAIN_ID)
        self.path = path
        self.nodes = {url: Node(network.chain) for url in SOURCES}
        self.report = Report()
        self.renew()

    def renew(self, sources: tuple[str, ...] = SOURCES) -> None:
        """A verifier as of another process, or with other sources."""
        store = TrustStore(self.path, self.trust.root_id)
        clock = self.network.clock
        self.verifier = Verifier(self.trust, sources, store=store, clock=clock)

    def prove(
        self, epoch: int | None = None, *, shown: int | None = None, source: str = SOURCES[0]
    ) -> ParticipantSet:
        chain = self.nodes[source].chain
        wanted = shown or epoch or self.network.epoch
        fields = chain.proof_fields(wanted)
        payload = {"active_participants": self.network.chain.payload(wanted)["active_participants"]}
        self.report = Report()
        steps = self.verifier.steps(
            {**payload, **fields}, epoch, source_url=source, report=self.report
        )
        return drive(steps, self.nodes)

    def prove_forged(self, source: str = SOURCES[0]) -> ParticipantSet:
        """Prove the very payload that a forging source shows."""
        payload = self.nodes[source].chain.forgery(self.network.epoch).payload
        return drive(self.verifier.steps(payload, source_url=source), self.nodes)

    def state_off(self) -> None:
        self.network.chain.serve_state = False

    @property
    def asked(self) -> int:
        return sum(len(node.asked) for node in self.nodes.values())

    def checks(self) -> list[str]:
        return [line.check for line in self.report.lines if line.holds]


@pytest.fixture
def world() -> World:
    return World(Network([range(4)] * 2, guardians=3))


# -- routes -----------------------------------------------------------------------------------


def test_the_recent_state_is_proven_first(world: World) -> None:
    found = world.prove()
    assert found.verified
    assert found.epoch_id == 2
    assert world.checks() == [
        "header",
        "proofs",
        "app hash",
        "proofs",
        "app hash",
        "trust root",
        "epoch",
        "record",
        "list",
    ]
    assert "participants" not in " ".join(world.nodes[SOURCES[0]].asked)
    text = str(world.report)
    assert "holds the number of the current epoch" in text
    assert "holds the record of epoch 2" in text
    assert f"shown by {SOURCES[0]}" in text


def test_without_state_proofs_the_payloads_own_are_used(world: World) -> None:
    world.state_off()
    assert world.prove().verified
    assert world.checks() == [
        "record",
        "list",
        "proofs",
        "header",
        "trust root",
        "app hash",
        "freshness",
    ]


def test_a_source_without_state_proofs_is_not_asked_again_for_an_hour(world: World) -> None:
    world.state_off()
    world.prove()
    before = world.asked
    world.prove()
    assert world.asked == before + 1  # one commit; its validators are known
    world.network.clock.now += 3700
    world.prove()
    assert any("abci_query" in path for path in world.nodes[SOURCES[0]].asked[-3:])


def test_a_past_epoch_is_proven_by_the_recent_state(world: World) -> None:
    """Also when the payload has no proofs, as newer nodes answer for past epochs."""
    active = world.network.chain.payload(1)["active_participants"]
    found = drive(world.verifier.steps({"active_participants": active}, 1), world.nodes)
    assert (found.epoch_id, found.verified) == (1, True)


def test_around_an_epoch_change_the_payload_may_be_ahead_of_the_recent_state(world: World) -> None:
    world.prove()
    network = world.network
    network.clock.now += EPOCH_SECONDS
    network.book.begin(3, members(range(1, 5)))
    found = world.prove(shown=3)
    assert found.epoch_id == 3
    assert found.verified
    assert [line.check for line in world.report.lines if line.holds is None] == ["epoch"]


def test_a_payload_of_the_past_epoch_is_stale_when_the_state_says_so(world: World) -> None:
    with pytest.raises(errors.StaleEpoch, match="of epoch 1, the chain is in 2"):
        world.prove(shown=1)


def test_a_replay_within_a_day_is_stale_for_who_has_seen_the_next_epoch(world: World) -> None:
    world.state_off()
    world.prove()
    with pytest.raises(errors.StaleEpoch, match="epoch 2 was proven before"):
        world.prove(shown=1)


def test_a_list_that_differs_from_the_proven_state_is_refused(world: World) -> None:
    payload = world.network.chain.payload(2)
    listed = payload["active_participants"]["participants"]
    listed[1] = {**listed[1], "inference_url": "http://203.0.113.66"}
    with pytest.raises(errors.ParticipantsMismatch, match=r"participants\[1\].inference_url"):
        drive(world.verifier.steps(payload), world.nodes)


def test_an_old_state_is_not_a_recent_one(world: World) -> None:
    world.network.clock.now += 20 * 60
    world.network.chain.observe = lambda: world.network.height + 10  # type: ignore[method-assign]
    found = world.prove()
    assert found.verified
    skipped = [line.detail for line in world.report.lines if line.holds is None]
    assert len(skipped) == 3
    assert "minutes old" in skipped[0]


# -- sources ----------------------------------------------------------------------------------


def test_sources_that_are_down_are_passed_over(world: World) -> None:
    world.nodes[SOURCES[0]].down = True
    assert world.prove().verified


def test_a_lying_source_is_passed_over_once_there_is_trust(world: World) -> None:
    world.state_off()
    world.prove()
    world.nodes[SOURCES[0]].chain = ForgedChain(world.network.chain, "header_app_hash_swapped")
    honest = world.network.chain.payload(2)
    found = drive(world.verifier.steps(honest, source_url=SOURCES[0]), world.nodes)
    assert found.verified


def test_when_nobody_shows_the_commit_the_evidence_says_what_the_payload_has(world: World) -> None:
    for node in world.nodes.values():
        node.down = True
    with pytest.raises(errors.MissingSignedHeader, match="no source shows the commit") as caught:
        world.prove()
    holding = [line.check for line in caught.value.evidence if line.holds]
    assert holding[:3] == ["record", "list", "proofs"]
    assert "payload signatures" in holding


def test_nothing_falls_back_to_an_unproven_list() -> None:
    network = Network([range(4)] * 2)
    world = pinned(1, network)
    for case in ("whole_foreign_chain", "no_commit", "no_proof_ops", "json_only"):
        forged = ForgedChain(network.chain, case)
        for node in world.nodes.values():
            node.chain = forged
        with pytest.raises(errors.ProofCheckError):
            world.prove_forged()


# -- agreement --------------------------------------------------------------------------------


def test_one_source_that_shows_another_header_is_an_error(world: World) -> None:
    world.state_off()
    world.nodes[SOURCES[2]].chain = ForgedChain(world.network.chain, "whole_foreign_chain")
    with pytest.raises(errors.SourcesDisagree, match=r"c\.example shows"):
        world.prove()
    assert world.verifier.store.headers() == ()


def test_a_lie_of_the_first_source_is_one_too(world: World) -> None:
    world.state_off()
    world.nodes[SOURCES[0]].chain = ForgedChain(world.network.chain, "whole_foreign_chain")
    with pytest.raises(errors.TrustMismatch):
        world.prove_forged()


def test_too_few_sources_are_an_error(world: World) -> None:
    world.renew(SOURCES[:1])
    with pytest.raises(errors.TrustError, match=r"1 independent sources show .* 2 are"):
        world.prove()
    world.renew(("http://a.example", "http://a.example:9000"))
    world.nodes["http://a.example:9000"] = Node(world.network.chain)
    with pytest.raises(errors.TrustError, match="1 independent"):
        world.prove()
    world.renew(SOURCES)
    world.nodes[SOURCES[1]].down = world.nodes[SOURCES[2]].down = True
    with pytest.raises(errors.TrustError, match="connection refused"):
        world.prove()


def test_a_higher_threshold_needs_more_sources() -> None:
    world = World(Network([range(3)]), Agreement(4, chain_id=CHAIN_ID))
    with pytest.raises(errors.TrustError, match=r"3 independent sources .* 4 are needed"):
        world.prove()


def test_the_agreed_header_is_remembered_between_processes(tmp_path: Path) -> None:
    world = World(Network([range(4)] * 2), path=tmp_path / "trust.json")
    world.prove()
    for url in SOURCES[1:]:
        world.nodes[url].down = True
    world.renew()
    world.network.clock.now += 600
    assert world.prove().verified
    assert "remembered" in str(world.report)


# -- checkpoint -------------------------------------------------------------------------------


def pinned(height_of_epoch: int, network: Network, **changes: Any) -> World:
    height = network.book.records[height_of_epoch].effective + 3
    hash_ = changes.get("hash", network.chain.header(height).hash)
    return World(network, Checkpoint(height, hash_, CHAIN_ID))


def test_a_checkpoint_alone_is_enough_with_one_source() -> None:
    world = pinned(1, Network([range(4)] * 2))
    world.renew(SOURCES[:1])
    assert world.prove().verified
    assert "checkpoint" in str(world.report)


def test_a_checkpoint_with_another_hash_is_an_error() -> None:
    world = pinned(1, Network([range(4)] * 2), hash=bytes(32))
    with pytest.raises(errors.TrustMismatch, match="the checkpoint says 0000"):
        world.prove()


def test_a_checkpoint_above_what_is_to_be_proven_is_an_error() -> None:
    network = Network([range(4)] * 2)
    network.clock.now += 3600
    network.chain.observe()
    height = network.height + 200
    world = World(network, Checkpoint(height, network.chain.header(height).hash, CHAIN_ID))
    assert world.prove().verified  # the recent state is above it
    world.renew()
    world.state_off()
    with pytest.raises(errors.NotMonotonic, match="is above header"):
        world.prove()


def test_an_old_checkpoint_has_expired_and_says_how_to_renew() -> None:
    network = Network([range(4)])
    world = pinned(1, network)
    network.clock.now += 6 * 86400
    with pytest.raises(errors.TrustExpired, match=r"6\.0 days old.*newer checkpoint"):
        world.prove()


def test_what_descends_from_a_checkpoint_keeps_it_young(tmp_path: Path) -> None:
    network = Network([range(4)])
    world = pinned(1, network)
    world.path = tmp_path / "trust.json"
    world.renew()
    for epoch in range(2, 9):
        network.clock.now += EPOCH_SECONDS
        network.book.begin(epoch, members(range(4)))
        network.clock.now += 60
        world.renew()
        assert world.prove().epoch_id == epoch


# -- the way from the root to the header ------------------------------------------------------


def test_bisection_follows_sets_that_rotate_fully() -> None:
    """From epoch to epoch nobody stays, so each change has to be found."""
    network = Network([range(number, number + 3) for number in range(0, 15, 3)])
    world = pinned(1, network)
    assert world.prove().verified
    commits = [path for path in world.nodes[SOURCES[0]].asked if "commit" in path]
    sets = [path for path in world.nodes[SOURCES[0]].asked if "validators" in path]
    assert 8 < len(commits) < 100
    assert len(sets) == 5  # each set is asked for once
    before = world.asked
    assert world.prove().verified
    assert world.asked - before < 6


def test_an_overlap_of_more_than_a_third_needs_one_step() -> None:
    world = pinned(1, Network([range(6), range(2, 8), range(3, 9)]))
    assert world.prove().verified
    assert "in 1 step" in str(world.report)


def test_a_foreign_chain_is_found_out_by_bisection() -> None:
    """Its validators are not those that the last honest header announces."""
    network = Network([range(4)] * 2)
    world = pinned(1, network)
    forged = ForgedChain(network.chain, "whole_foreign_chain")
    for node in world.nodes.values():
        node.chain = forged
    with pytest.raises(errors.ValidatorSetMismatch, match="announces"):
        world.prove_forged()


def test_headers_that_one_source_has_pruned_come_from_another() -> None:
    network = Network([range(3), range(3, 6)])
    world = pinned(1, network)

    class Pruned(Node):
        def answer(self, path: str) -> tuple[int, bytes]:
            height = int(path.partition("height=")[2].partition("&")[0] or 10**9)
            if "abci" not in path and height < network.height - 100:
                return 500, b'{"error":"height is not available, lowest height is"}'
            return super().answer(path)

    world.nodes[SOURCES[0]] = Pruned(network.chain)
    assert world.prove().verified


def test_a_clock_that_is_behind_sees_headers_from_the_future(world: World) -> None:
    slow = Clock()
    slow.now = world.network.clock.now - 600
    world.verifier = Verifier(world.trust, SOURCES, store=TrustStore(None, "x"), clock=slow)
    with pytest.raises(errors.HeaderFromFuture, match="ahead of the local clock"):
        world.prove()


def test_ten_seconds_of_drift_are_allowed(world: World) -> None:
    chain = world.network.chain
    at = chain.header(chain.observe() - 1).time.unix
    near = Clock()
    near.now = at - 9.0
    world.verifier = Verifier(world.trust, SOURCES, store=TrustStore(None, "x"), clock=near)
    assert world.prove().verified


@pytest.mark.parametrize(("ahead", "error"), [(9.9, None), (10.0, errors.HeaderFromFuture)])
def test_the_limit_of_drift(ahead: float, error: type[Exception] | None) -> None:
    network = Network([range(3)])
    block = network.block(network.height)
    with pytest.raises(error) if error else nullcontext():
        check_clock(block, block.header.time.unix - ahead, TrustPolicy())


@pytest.mark.parametrize(("days", "error"), [(4.999, None), (5.0, errors.TrustExpired)])
def test_the_limit_of_trust(days: float, error: type[Exception] | None) -> None:
    network = Network([range(3)])
    trusted = network.trusted(network.height)
    with pytest.raises(error) if error else nullcontext():
        check_fresh(trusted, trusted.time.unix + days * 86400, TrustPolicy())


@pytest.mark.parametrize(
    ("stay", "error"), [(range(2, 5), errors.NotEnoughTrust), (range(1, 4), None)]
)
def test_a_third_that_has_stayed_is_not_enough(stay: range, error: type[Exception] | None) -> None:
    """One of three is exactly a third; two are more."""
    network = Network([range(3), stay])
    trusted = network.trusted(network.book.records[1].effective + 3)
    with pytest.raises(error) if error else nullcontext():
        later = network.block(network.book.records[2].effective + 3)
        check_step(trusted, later, network.clock.now)


def test_all_pages_of_a_large_set_are_read() -> None:
    """A node shows 100 at most."""
    network = Network([range(130)])
    network.chain.signers.most = 130
    world = pinned(1, network)
    assert world.prove().verified
    pages = {path for path in world.nodes[SOURCES[0]].asked if "validators" in path}
    assert {path.partition("&page=")[2] for path in pages} == {"1", "2"}
    assert "130 validators" in str(world.report)


def test_expired_memory_is_an_error_unless_it_may_be_renewed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = Network([range(4)])
    path = tmp_path / "trust.json"
    world = World(network, path=path)
    world.prove()
    network.clock.now += 8 * 86400
    world.renew()
    with pytest.raises(errors.TrustExpired) as caught:
        world.prove()
    assert str(path) in str(caught.value)
    assert "renew_expired=True" in str(caught.value)
    world.trust = Agreement(chain_id=CHAIN_ID, renew_expired=True)
    world.renew()
    with caplog.at_level(logging.WARNING):
        assert world.prove().verified
    assert "Agreeing anew" in caplog.text


def test_a_chain_that_was_started_anew_conflicts_with_the_memory(tmp_path: Path) -> None:
    """As every run of a development network does; the message says which file to remove."""
    path = tmp_path / "trust.json"
    World(Network([range(4)]), path=path).prove()
    world = World(Network([range(1, 5)]), path=path)
    with pytest.raises(errors.TrustMismatch, match=r"trust\.json; remove it to start anew"):
        world.prove()


def test_requests_are_bounded(world: World) -> None:
    """A source that leads a verifier on and on is left."""

    class Endless(Node):
        def answer(self, path: str) -> tuple[int, bytes]:
            status, body = super().answer(path)
            if "validators" in path:
                body = b'{"result": {"total": "9999", "validators": []}}'
            return status, body

    for url in SOURCES:
        world.nodes[url] = Endless(world.network.chain)
    with pytest.raises(errors.ProofCheckError):
        world.prove()
    assert world.asked < 100
