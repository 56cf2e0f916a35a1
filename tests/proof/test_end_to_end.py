"""Verified discovery over real HTTP, blocking and not."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_forgeries import EXPECTED

from gonka_integrations import EndpointDiscovery, GonkaConfig, GonkaSession, ParticipantSet
from gonka_integrations.core import discovery as discovery_module
from gonka_integrations.core.effects import Compute, Flow
from gonka_integrations.devnet import Devnet
from gonka_integrations.devnet.chain import SyntheticChain
from gonka_integrations.devnet.forged_chain import ForgedChain
from gonka_integrations.devnet.forgeries import CASES, EVIL_URL
from gonka_integrations.errors import GonkaConfigError, GonkaProofVerificationError
from gonka_integrations.proof import errors
from gonka_integrations.proof.fetching import ProofVerifier, as_flow
from gonka_integrations.proof.light import TrustedHeader
from gonka_integrations.proof.node_reader import Request, Steps
from gonka_integrations.proof.trust import Agreement, Checkpoint
from gonka_integrations.proof.trust_store import TrustStore

CHAIN_ID = "gonka-devnet"
DAY = 86400.0


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    """Four hosts that have taken part for three epochs of about a day."""
    with Devnet(hosts=4, gateways=0) as net:
        net.chain = SyntheticChain.of(net, guardians=0)
        for days_ago in (2, 1):
            net.clock_offset = -days_ago * DAY
            net.chain.observe()
            net.clock_offset = 1 - days_ago * DAY
            net.advance_epoch()
            net.chain.observe()
        net.clock_offset = 0.0
        net.chain.observe()
        yield net


def honest(net: Devnet) -> SyntheticChain:
    chain = net.chain
    assert isinstance(chain, SyntheticChain)
    return chain


def checkpoint(net: Devnet) -> Checkpoint:
    height = net.epochs.records[1].created_at + 1
    return Checkpoint(height, honest(net).header(height).hash, CHAIN_ID)


def discovery(net: Devnet, trust: Any) -> EndpointDiscovery:
    return EndpointDiscovery(
        net.source_urls, verify_proofs=True, trust=trust, retry_count=0, retry_delay=0
    )


Discover = Callable[..., ParticipantSet]


@pytest.fixture(params=["sync", "async"])
def discover(request: pytest.FixtureRequest) -> Discover:
    def blocking(found: EndpointDiscovery, epoch: int | str = "current") -> ParticipantSet:
        return found.discover_for_epoch(epoch)

    def awaited(found: EndpointDiscovery, epoch: int | str = "current") -> ParticipantSet:
        return asyncio.run(found.async_discover_for_epoch(epoch))

    return blocking if request.param == "sync" else awaited


def test_an_honest_network_is_proven_by_agreement(net: Devnet, discover: Discover) -> None:
    found = discover(discovery(net, f"agreement@{CHAIN_ID}"))
    assert found.verified
    assert {one.address for one in found} == {host.address for host in net.hosts}


def test_an_honest_network_is_proven_from_a_checkpoint(net: Devnet, discover: Discover) -> None:
    assert discover(discovery(net, checkpoint(net))).verified


@pytest.mark.parametrize("dialect", ["2025", "2026", "v0.2.15"])
def test_every_dialect_is_proven(net: Devnet, discover: Discover, dialect: Any) -> None:
    net.dialect = dialect
    honest(net).serve_state = False
    try:
        assert discover(discovery(net, checkpoint(net))).verified
    finally:
        net.dialect = "2026"
        honest(net).serve_state = True


@pytest.mark.parametrize("case", CASES)
def test_a_network_that_lies_is_refused(net: Devnet, discover: Discover, case: str) -> None:
    chain = honest(net)
    trust = checkpoint(net)
    net.chain = ForgedChain(chain, case)
    try:
        with pytest.raises(GonkaProofVerificationError) as caught:
            discover(
                discovery(net, trust), net.epoch if case != "old_epoch_as_current" else "current"
            )
    finally:
        net.chain = chain
    # Bisection meets a foreign chain at the height after the last honest header.
    foreign = errors.ValidatorSetMismatch if case == "whole_foreign_chain" else None
    assert type(caught.value) is (foreign or EXPECTED[case]), caught.value
    assert EVIL_URL not in str(caught.value) or case == "json_only"


def test_one_host_that_lies_is_passed_over(net: Devnet, discover: Discover) -> None:
    for case in ("json_only", "header_app_hash_swapped", "whole_foreign_chain"):
        net.hosts[0].chain = ForgedChain(honest(net), case)
        try:
            found = discover(discovery(net, checkpoint(net)))
        finally:
            net.hosts[0].chain = None
        assert found.verified
        assert EVIL_URL not in {one.inference_url for one in found}


def test_one_host_that_lies_ends_an_agreement(net: Devnet, discover: Discover) -> None:
    honest(net).serve_state = False
    net.hosts[0].chain = ForgedChain(honest(net), "whole_foreign_chain")
    try:
        with pytest.raises(errors.SourcesDisagree, match="one of them lies"):
            discover(discovery(net, f"agreement@{CHAIN_ID}"))
    finally:
        net.hosts[0].chain = None
        honest(net).serve_state = True


def test_a_chain_rpc_that_is_switched_off_proves_nothing(net: Devnet, discover: Discover) -> None:
    net.chain_api_enabled = False
    try:
        with pytest.raises(errors.MissingSignedHeader, match="Chain RPC Disabled"):
            discover(discovery(net, checkpoint(net)))
    finally:
        net.chain_api_enabled = True


def test_trust_is_kept_in_the_state_directory(net: Devnet, tmp_path: Path) -> None:
    discovery(net, f"agreement@{CHAIN_ID}").discover()
    file = tmp_path / "state" / "gonka-integrations" / f"trust-{CHAIN_ID}.json"
    assert file.stat().st_mode & 0o777 == 0o600


class NotingStore(TrustStore):
    """Notes the threads it is used in; it is asked first and told last, in between is the work."""

    def __init__(self, root: Checkpoint) -> None:
        super().__init__(None, root.root_id)
        self.threads: dict[str, set[int]] = {"asked": set(), "told": set()}

    def headers(self) -> tuple[TrustedHeader, ...]:
        self.threads["asked"].add(threading.get_ident())
        return super().headers()

    def remember(self, headers: Iterable[TrustedHeader], epoch: int = 0) -> None:
        self.threads["told"].add(threading.get_ident())
        super().remember(headers, epoch)


def test_checks_do_not_run_on_the_event_loop(net: Devnet) -> None:
    root = checkpoint(net)
    store = NotingStore(root)
    found = EndpointDiscovery(
        net.source_urls, verify_proofs=True, verifier=ProofVerifier(root, store=store)
    )
    assert asyncio.run(found.async_discover()).verified
    assert all(store.threads.values())
    assert threading.get_ident() not in set().union(*store.threads.values())


def test_each_step_of_a_verification_leaves_the_event_loop() -> None:
    """Also what is between two requests: every piece is work for a thread, none of it is here."""
    ran: list[str] = []

    def steps() -> Steps[str]:
        for turn in range(3):
            ran.append(f"before {turn}")
            yield Request("http://a.example", f"/{turn}")
        ran.append("after")
        return "proven"

    def fetch(source: str, path: str) -> Flow[bytes]:
        ran.append(f"fetch {path}")
        return b"{}"
        yield  # a flow without effects

    flow = as_flow(steps(), fetch)
    effect: Any = next(flow)
    for turn in range(3):
        assert isinstance(effect, Compute)
        assert f"before {turn}" not in ran  # asking for the work has not done it
        effect = flow.send(effect.function())
    assert "after" not in ran
    with pytest.raises(StopIteration) as stop:
        flow.send(effect.function())
    assert stop.value.value == "proven"


MAKERS: dict[str, Callable[..., object]] = {
    "discovery": lambda **given: EndpointDiscovery("http://a.example", **given),
    "session": lambda **given: GonkaSession(
        GonkaConfig(source_url="http://a.example", private_key="11" * 32, **given)
    ),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("trust", [None, "", "tofu", "checkpoint:5"])
def test_proofs_need_a_trust_root_and_say_so_before_anything_is_read(
    maker: str, trust: str | None
) -> None:
    with pytest.raises(GonkaConfigError, match=r"^trust: ") as caught:
        MAKERS[maker](verify_proofs=True, trust=trust)
    assert caught.value.field == "trust"


def test_no_proof_is_a_choice_that_is_logged_once(
    net: Devnet, caplog: pytest.LogCaptureFixture
) -> None:
    discovery_module._note_unproven.cache_clear()
    with caplog.at_level(logging.INFO, logger="gonka_integrations"):
        for _ in range(3):
            assert not EndpointDiscovery(net.source_url).discover().verified
    assert sum("without a proof" in line.message for line in caplog.records) == 1


def test_the_report_of_the_last_verification_can_be_read(net: Devnet) -> None:
    verifier = ProofVerifier(checkpoint(net))
    found = EndpointDiscovery(net.source_urls, verify_proofs=True, verifier=verifier)
    assert found.discover().verified
    assert all(line.holds is not False for line in verifier.report.lines)
    assert "checkpoint" in str(verifier.report)


def soak(epochs: int) -> None:
    """Participants change with each epoch; every set in use is a proven one."""
    with Devnet(hosts=9, gateways=0) as net:
        net.chain = SyntheticChain.of(net, guardians=0)
        config = GonkaConfig(
            private_key=net.private_key,
            source_url=net.source_urls[:3],
            verify_proofs=True,
            trust=Agreement(chain_id=CHAIN_ID),
            refresh_enabled=False,
        )
        session = GonkaSession(config)
        session.prepare()
        request = {"model": net.models[0], "messages": [{"role": "user", "content": "Hello"}]}
        out: list[int] = []
        for turn in range(epochs):
            for index in out:
                net.rejoin(index)
            out = [(3 * turn + offset) % len(net.hosts) for offset in range(3)]
            net.advance_epoch(leave=out)
            session.refresh()
            assert session.epoch == net.epoch
            inside = {host.address for host in net.participants}
            assert {one.address for one in session.participants()} == inside
            assert session.chat.complete(request).data["choices"]
        session.close()


def test_epochs_change_under_verification() -> None:
    soak(4)


@pytest.mark.slow
def test_two_hundred_epochs_change_under_verification() -> None:
    soak(200)
