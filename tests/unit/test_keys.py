"""Private keys: right addresses, and no way to see the key by accident."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from gonka_integrations.core import addresses, curve, mnemonics, ripemd160
from gonka_integrations.core.keys import PrivateKey
from gonka_integrations.core.secrets import Secret
from gonka_integrations.errors import GonkaClientError, GonkaConfigError

if TYPE_CHECKING:
    from pathlib import Path

KEY = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
ADDRESS = "gonka1xwu5ku9m6s60ptgpjftxn0klx35cx26ck7n0nk"
WORDS = "abandon " * 11 + "about"
REFUSED = {
    "zero": "0" * 64,
    "the order": f"{curve.ORDER:x}",
    "above the order": f"{curve.ORDER + 1:x}",
    "31 bytes": KEY[2:],
    "33 bytes": KEY + "00",
    "not hexadecimal": "zz" + KEY[2:],
    "underscore": KEY[:-2] + "_0",
    "empty": "",
    "spaces": f" {KEY} ",
    "newline": KEY + "\n",
    "only 0x": "0x",
}


@pytest.fixture(scope="session")
def vectors(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "vectors" / "signing.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("backend", ["coincurve", "ecdsa"])
def test_address_vectors(vectors: dict[str, Any], backend: str) -> None:
    for vector in vectors["addresses"]:
        key = PrivateKey.from_hex(vector["private_key_hex"], backend=backend)
        assert key.public_key.hex() == vector["public_key_compressed_hex"]
        assert ripemd160.hash160(key.public_key).hex() == vector["hash160_hex"]
        assert key.address == vector["address"]
        assert addresses.is_address(key.address)


def test_mnemonic_vectors(vectors: dict[str, Any]) -> None:
    for vector in vectors["mnemonics"]:
        words, passphrase = vector["mnemonic"], vector["passphrase"]
        key = PrivateKey.from_mnemonic(words, passphrase, path=vector["path"])
        assert key.address == vector["address"], vector["id"]
        assert key == PrivateKey.from_hex(vector["private_key_hex"])


def test_the_default_path_is_gonkas() -> None:
    key = PrivateKey.from_mnemonic(f"  {WORDS.upper()}\n")
    assert key.address == "gonka1k4swv40ur28fvu54p8mskjj4lxkgsj07u9f8ny"
    assert PrivateKey.from_mnemonic(WORDS, "TREZOR") != key


@pytest.mark.parametrize("words", ["", "abandon", "abandon " * 12, "abandon " * 11 + "abcut"])
def test_words_that_are_no_backup(words: str) -> None:
    with pytest.raises(GonkaConfigError) as caught:
        PrivateKey.from_mnemonic(words)
    assert caught.value.field == "mnemonic"
    assert "abcut" not in full_text(caught.value)


@pytest.mark.parametrize("path", ["", "44/0", "m/x", "m/44''", f"m/{2**31}", "m/-1"])
def test_paths_that_are_none(path: str) -> None:
    with pytest.raises(GonkaConfigError, match="path"):
        PrivateKey.from_mnemonic(WORDS, path=path)


def test_missing_mnemonic_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mnemonic", None)
    with pytest.raises(GonkaClientError, match=r"pip install 'gonka-integrations\[keys\]'"):
        PrivateKey.from_mnemonic(WORDS)


def test_hardened_and_plain_steps() -> None:
    """BIP-32 test vector 1, chain m/0'/1."""
    node = bytes.fromhex(
        "e8f32e723decf4051aefac8e2c93c9c5b214313817cdb01a1494b917c8436b35"
        "873dff81c02f525623fd1fe5167eac3a55a049de3d314bb42ee227ffed37d508"
    )
    child = mnemonics._child(mnemonics._child(node, 0x80000000), 1)
    assert child[:32].hex() == "3c6cb8d0f6a264c91ea8b5030fadaa8e538b020f0a387421a12de9319dc93368"


@pytest.mark.parametrize("prefix", ["", "0x", "0X"])
@pytest.mark.parametrize("spelling", [KEY, KEY.upper()])
def test_spellings_that_are_taken(prefix: str, spelling: str) -> None:
    assert PrivateKey.from_hex(prefix + spelling).address == ADDRESS


@pytest.mark.parametrize("name", REFUSED)
def test_keys_that_are_refused_without_being_shown(name: str) -> None:
    value = REFUSED[name]
    with pytest.raises(GonkaConfigError) as caught:
        PrivateKey.from_hex(value)
    assert caught.value.field == "private_key"
    assert str(caught.value).startswith("private_key: ")
    text = full_text(caught.value)
    for secret in (value.strip(), KEY[2:], KEY[:-2]):
        assert len(secret) < 8 or secret not in text


@pytest.mark.parametrize("value", [None, 5, b"2b", [KEY]])
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(GonkaConfigError, match="private_key: expected text"):
        PrivateKey.from_hex(value)


def full_text(error: BaseException) -> str:
    """The error as a traceback that shows local variables, from our frames on."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown.stack = traceback.StackSummary.from_list(
        frame for frame in shown.stack if frame.filename != __file__
    )
    return "".join(shown.format()) + repr(error.__cause__) + repr(error.__context__)


def test_nothing_shows_the_key() -> None:
    key = PrivateKey.from_hex(KEY)
    assert repr(key) == f"PrivateKey({ADDRESS})"
    assert str(key) == f"{key}" == repr(key)
    assert not hasattr(key, "__dict__")
    assert KEY not in repr([getattr(key, name) for name in key.__slots__])
    with pytest.raises(TypeError):
        json.dumps(key)


def test_copies_are_the_key_itself() -> None:
    key = PrivateKey.from_hex(KEY)
    assert copy.copy(key) is key
    assert copy.deepcopy([key])[0] is key


def test_equality_goes_by_the_key() -> None:
    key = PrivateKey.from_hex(KEY)
    assert key == PrivateKey.from_hex("0x" + KEY, backend="ecdsa")
    assert len({key, PrivateKey.from_hex(KEY)}) == 1
    assert key != PrivateKey.from_hex("1".zfill(64))
    assert key != KEY


def test_a_key_of_the_environment_is_pickled_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_PRIVATE_KEY", f"{KEY}\n")
    data = pickle.dumps(PrivateKey.from_env())
    assert KEY.encode() not in data
    assert bytes.fromhex(KEY) not in data
    assert pickle.loads(data).address == ADDRESS
    monkeypatch.delenv("GONKA_PRIVATE_KEY")
    with pytest.raises(GonkaConfigError, match="GONKA_PRIVATE_KEY"):
        pickle.loads(data)


def test_a_given_key_survives_pickling() -> None:
    key = PrivateKey.from_hex(KEY)
    assert pickle.loads(pickle.dumps(key)) == key


def test_keys_may_be_wrapped() -> None:
    class SecretStr:
        def get_secret_value(self) -> str:
            return KEY

    assert PrivateKey.from_hex(Secret(KEY)).address == ADDRESS
    assert PrivateKey.from_hex(SecretStr()).address == ADDRESS  # type: ignore[arg-type]


def test_without_coincurve_the_python_curve_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curve, "coincurve", None)
    assert curve.backend() is curve._Pure
    assert PrivateKey.from_hex(KEY).address == ADDRESS


@pytest.mark.parametrize("length", [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_the_python_ripemd160_is_openssls(length: int) -> None:
    data = bytes(range(256)) * 4
    try:
        expected = hashlib.new("ripemd160", data[:length]).digest()
    except ValueError:
        pytest.skip("OpenSSL without RIPEMD-160")
    assert ripemd160.ripemd160_pure(data[:length]) == expected


def test_published_ripemd160_values() -> None:
    assert ripemd160.ripemd160_pure(b"abc").hex() == "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"
    assert ripemd160.ripemd160_pure(b"").hex() == "9c1185a5c5e9fc54612808977ee8f548b2258d31"


def test_addresses_where_openssl_has_no_ripemd160(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(f"unsupported hash type {name}")

    monkeypatch.setattr(hashlib, "new", refuse)
    assert PrivateKey.from_hex(KEY).address == ADDRESS


def test_one_wrong_character_is_noticed_anywhere() -> None:
    for position in range(len("gonka1"), len(ADDRESS)):
        wrong = "q" if ADDRESS[position] != "q" else "p"
        assert not addresses.is_address(ADDRESS[:position] + wrong + ADDRESS[position + 1 :])
