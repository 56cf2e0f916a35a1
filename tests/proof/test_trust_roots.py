"""What users may write as a trust root."""

from __future__ import annotations

from typing import Any

import pytest

from gonka_integrations.errors import GonkaConfigError
from gonka_integrations.proof.trust import Agreement, Checkpoint, host_of, parse_trust

HASH = "86C55D0E" * 8
RAW = bytes.fromhex(HASH)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (f"checkpoint:873437:{HASH}", Checkpoint(873437, RAW)),
        (f"checkpoint:873437:0x{HASH.lower()}", Checkpoint(873437, RAW)),
        (f"checkpoint:5:{HASH}@gonka-devnet", Checkpoint(5, RAW, "gonka-devnet")),
        ("agreement", Agreement()),
        (" agreement:3 ", Agreement(3)),
        ("agreement@gonka-devnet", Agreement(chain_id="gonka-devnet")),
        ({"kind": "checkpoint", "height": 5, "hash": HASH}, Checkpoint(5, RAW)),
        ({"kind": "agreement", "renew_expired": True}, Agreement(renew_expired=True)),
        (Agreement(5), Agreement(5)),
    ],
)
def test_spellings(written: Any, meant: Any) -> None:
    assert parse_trust(written) == meant
    assert hash(parse_trust(written)) == hash(meant)


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "checkpoint",
        "checkpoint:5",
        "checkpoint:x:" + HASH,
        "checkpoint:0:" + HASH,
        "checkpoint:5:" + HASH[:-1],
        "checkpoint:5:" + "G" * 64,
        "agreement:1",
        "agreement:x",
        "tofu",
        7,
        {"kind": "checkpoint", "height": 5},
        {"kind": "agreement", "colour": "red"},
        {"kind": "other"},
        {"kind": "checkpoint", "height": "5", "hash": HASH},
        {"kind": "checkpoint", "height": 5, "hash": b"short"},
        {"kind": "agreement", "threshold": True},
    ],
)
def test_what_is_no_trust_root_names_the_field(written: Any) -> None:
    with pytest.raises(GonkaConfigError) as caught:
        parse_trust(written)
    assert caught.value.field == "trust"


def test_no_trust_root_says_what_to_write() -> None:
    with pytest.raises(GonkaConfigError, match=r"'checkpoint:HEIGHT:HASH'.*'agreement'"):
        parse_trust(None)


def test_sources_are_independent_by_host_name() -> None:
    assert host_of("http://a.example:8000") == host_of("https://A.example.:9000/api")
    assert host_of("http://a.example") != host_of("http://b.example")
    assert host_of("http://127.0.0.1:1") != host_of("http://127.0.0.1:2")
