"""What is remembered, and where."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
from pathlib import Path

import pytest
from proof_chains import Network

from gonka_integrations.proof.cometbft import Timestamp, Validator, ValidatorSet
from gonka_integrations.proof.errors import TrustError
from gonka_integrations.proof.light import TrustedHeader
from gonka_integrations.proof.trust_store import TrustStore, default_store_path

SET = ValidatorSet((Validator(bytes(32), 7), Validator(b"\x01" * 32, 5)))


def header(height: int, hours: float = 0.0) -> TrustedHeader:
    time = Timestamp(1_790_000_000 + int(hours * 3600), 5)
    return TrustedHeader(height, height.to_bytes(32, "big"), time, SET.hash, SET)


def same(left: TrustedHeader, right: TrustedHeader) -> bool:
    return (left.height, left.hash, left.time, left.next_validators_hash) == (
        right.height,
        right.hash,
        right.time,
        right.next_validators_hash,
    ) and left.validators.validators == right.validators.validators


def test_what_is_remembered_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folders" / "trust.json"
    TrustStore(path, "root").remember([header(1), header(5, 2)], epoch=56)
    found = TrustStore(path, "root")
    assert found.epoch == 56
    assert all(map(same, found.headers(), (header(1), header(5, 2))))


def test_the_file_is_the_owners_only_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "trust.json"
    store = TrustStore(path, "root")
    for height in range(1, 5):
        store.remember([header(height, height)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["trust.json"]


def test_a_write_that_fails_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "trust.json"
    store = TrustStore(path, "root")
    store.remember([header(1)], epoch=3)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store.remember([header(2, 2)], epoch=4)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["trust.json"]
    assert (store.epoch, len(store.headers())) == (4, 2)  # in this process


def test_who_reads_meanwhile_sees_the_old_or_the_new_and_never_a_part(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    store = TrustStore(path, "root")
    store.remember([header(1)], epoch=1)
    done = threading.Event()

    def write() -> None:
        for epoch in range(2, 60):
            store.remember([header(epoch, epoch)], epoch=epoch)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = [1]
    while not done.is_set():
        found = TrustStore(path, "root")
        assert max(one.height for one in found.headers()) == found.epoch
        seen.append(found.epoch)
    writer.join()
    assert seen == sorted(seen)


def test_roots_do_not_see_each_other(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TrustStore(path, "agreement").remember([header(1)], epoch=3)
    TrustStore(path, "checkpoint:9:00").remember([header(9)])
    assert [one.height for one in TrustStore(path, "agreement").headers()] == [1]
    assert TrustStore(path, "agreement").epoch == 3
    assert [one.height for one in TrustStore(path, "checkpoint:9:00").headers()] == [9]
    assert TrustStore(path, "another").headers() == ()


def test_old_headers_are_thinned_out_and_the_newest_stays(tmp_path: Path) -> None:
    store = TrustStore(tmp_path / "trust.json", "root")
    for minute in range(600):
        store.remember([header(minute + 1, minute / 60)])
    kept = [one.height for one in store.headers()]
    assert len(kept) == 11
    assert kept[-1] == 600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no json",
        b"[]",
        b'{"version": 2, "roots": {}}',
        b'{"version": 1}',
        b'{"version": 1, "roots": {"root": {"headers": [{"height": 1}], "sets": {}}}}',
        b'{"version": 1, "roots": {"root": {"headers": 5, "sets": {}}}}',
        b'{"version": 1, "roots": {"root": {"headers": [], "sets": {"00": [["AA==", 1]]}}}}',
        b'{"version": 1, "roots": {"root": {"headers": [], "sets": {"00": [[1]]}}}}',
        b'{"version": 1, "roots": {"root": 7}}',
    ],
)
def test_a_damaged_file_is_an_error_and_never_a_fresh_start(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trust.json"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(TrustError, match="remove it to start anew") as caught:
        TrustStore(path, "root").headers()
    assert str(path) in str(caught.value)


def test_a_file_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TrustStore(path, "root").remember([header(1)])
    path.chmod(0o620)
    with pytest.raises(TrustError, match=r"mode 620.*chmod 600"):
        TrustStore(path, "root").headers()


def test_a_changed_validator_set_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TrustStore(path, "root").remember([header(1)])
    content = json.loads(path.read_text())
    next(iter(content["roots"]["root"]["sets"].values()))[0][1] = 700
    path.write_text(json.dumps(content))
    with pytest.raises(TrustError, match="does not have the hash"):
        TrustStore(path, "root").headers()


def test_a_directory_that_cannot_be_written_costs_only_the_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    store = TrustStore(tmp_path / "file" / "trust.json", "root")
    with caplog.at_level(logging.WARNING):
        store.remember([header(1)])
    assert "not remembered" in caplog.text
    assert [one.height for one in store.headers()] == [1]


def test_threads_may_share_it(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    store = TrustStore(path, "root")
    threads = [
        threading.Thread(target=store.remember, args=([header(n + 1, n)], n)) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = TrustStore(path, "root")
    assert [one.height for one in found.headers()] == list(range(1, 9))
    assert found.epoch == 7


def test_an_epoch_that_another_process_has_proven_is_not_forgotten(tmp_path: Path) -> None:
    """Or a replay of the epoch before would pass in the process after."""
    path = tmp_path / "trust.json"
    slow, fast = TrustStore(path, "root"), TrustStore(path, "root")
    slow.remember([header(1)], epoch=5)
    fast.remember([header(2, 2)], epoch=6)
    slow.remember([header(3, 4)], epoch=5)
    assert TrustStore(path, "root").epoch == 6


def test_the_usual_place_is_the_state_directory() -> None:
    at = default_store_path("gonka-mainnet", {"XDG_STATE_HOME": "/var/state"})
    assert at == Path("/var/state/gonka-integrations/trust-gonka-mainnet.json")
    home = Path.home() / ".local" / "state" / "gonka-integrations"
    assert default_store_path("gonka-mainnet", {}) == home / "trust-gonka-mainnet.json"
    relative = {"XDG_STATE_HOME": "relative"}
    assert default_store_path("gonka-mainnet", relative).parent == home
    assert default_store_path("../../x", {}).name == "trust-.._.._x.json"


def test_headers_of_a_chain_survive_the_file(tmp_path: Path) -> None:
    network = Network([range(3)])
    trusted = network.trusted(network.height)
    TrustStore(tmp_path / "t.json", "root").remember([trusted])
    assert same(TrustStore(tmp_path / "t.json", "root").headers()[0], trusted)
