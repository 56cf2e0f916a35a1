"""`gonka keys`: files that only their owner can read, and nothing secret on the screen."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gonka_integrations import PrivateKey

from .conftest import Gonka

WORDS = "abandon " * 11 + "about"
KEY_ONE = "0" * 63 + "1"
ADDRESS_ONE = "gonka1w508d6qejxtdg4y5r3zarvary0c5xw7k2gsyg6"


def values(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {name: value.strip('"') for name, value in (line.split("=", 1) for line in lines)}


@pytest.mark.parametrize("words", [12, 24])
def test_new_writes_a_private_file_and_shows_only_the_address(
    gonka: Gonka, tmp_path: Path, words: int
) -> None:
    path = tmp_path / "deep" / "key.env"
    ran = gonka("keys", "new", "--out", str(path), "--words", str(words))
    assert ran.code == 0, ran.err
    stored = values(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(stored["GONKA_MNEMONIC"].split()) == words
    key = PrivateKey.from_mnemonic(stored["GONKA_MNEMONIC"])
    assert key == PrivateKey.from_hex(stored["GONKA_PRIVATE_KEY"])
    assert key.address in ran.out
    for secret in (stored["GONKA_PRIVATE_KEY"], stored["GONKA_MNEMONIC"]):
        assert secret not in ran.out + ran.err


def test_new_keeps_a_file_that_is_there(gonka: Gonka, tmp_path: Path) -> None:
    path = tmp_path / "key.env"
    path.write_text("mine")
    ran = gonka("keys", "new", "--out", str(path))
    assert (ran.code, path.read_text()) == (2, "mine")
    assert "--force" in ran.err
    assert gonka("keys", "new", "--out", str(path), "--force").code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_new_uses_the_default_file_which_address_finds(gonka: Gonka) -> None:
    made = gonka("keys", "new", "--json").json
    assert gonka("keys", "address").out.strip() == made["address"]


@pytest.mark.parametrize("given", [KEY_ONE, f"0x{KEY_ONE}\n"])
def test_import_of_hexadecimal_digits(gonka: Gonka, tmp_path: Path, given: str) -> None:
    path = tmp_path / "key.env"
    ran = gonka("keys", "import", "--out", str(path), stdin=given)
    assert ran.code == 0, ran.err
    assert ADDRESS_ONE in ran.out
    assert KEY_ONE not in ran.out + ran.err
    assert values(path) == {"GONKA_PRIVATE_KEY": KEY_ONE}


def test_import_of_words_takes_another_path(gonka: Gonka, tmp_path: Path) -> None:
    path = tmp_path / "key.env"
    ran = gonka("keys", "import", "-o", str(path), "--path", "m/44'/118'/0'/0/0", stdin=WORDS)
    assert ran.code == 0, ran.err
    expected = PrivateKey.from_mnemonic(WORDS, path="m/44'/118'/0'/0/0")
    assert expected.address in ran.out
    assert expected.address != PrivateKey.from_mnemonic(WORDS).address


@pytest.mark.parametrize("given", ["", "xyz", "0" * 64, WORDS + " about"])
def test_import_refuses_what_is_no_key(gonka: Gonka, tmp_path: Path, given: str) -> None:
    path = tmp_path / "key.env"
    ran = gonka("keys", "import", "--out", str(path), stdin=given)
    assert ran.code == 2
    assert not path.exists()
    assert "Traceback" not in ran.err
    assert not given or given not in ran.err


def test_address_from_the_environment_and_as_json(gonka: Gonka) -> None:
    assert gonka("keys", "address", GONKA_PRIVATE_KEY=KEY_ONE).out.strip() == ADDRESS_ONE
    shown = gonka("keys", "address", "--json", GONKA_PRIVATE_KEY=KEY_ONE).json
    assert shown["address"] == ADDRESS_ONE


def test_address_without_a_key_says_how_to_get_one(gonka: Gonka) -> None:
    ran = gonka("keys", "address")
    assert ran.code == 2
    assert "gonka keys new" in ran.err


def test_a_key_file_that_others_can_read_is_refused(gonka: Gonka, tmp_path: Path) -> None:
    path = tmp_path / "key.env"
    path.write_text(f"GONKA_PRIVATE_KEY={KEY_ONE}\n")
    path.chmod(0o644)
    ran = gonka("keys", "address", "--key-file", str(path))
    assert ran.code == 2
    assert "chmod 600" in ran.err
    path.chmod(0o600)
    assert gonka("keys", "address", "--key-file", str(path)).out.strip() == ADDRESS_ONE


def test_a_file_of_bare_digits_is_a_key_file(gonka: Gonka, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY_ONE + "\n")
    path.chmod(0o600)
    assert gonka("keys", "address", "-k", str(path)).out.strip() == ADDRESS_ONE
