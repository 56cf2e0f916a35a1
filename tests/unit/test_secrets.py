"""Secret: hidden wherever text is made of it, and stored by name when it can be."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import pytest

from gonka_integrations.core.secrets import Secret
from gonka_integrations.errors import GonkaConfigError

TEXT = "sk-very-secret"


def test_it_is_hidden_in_every_text(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    logging.getLogger("test").warning("%s %r", secret, secret)
    shown = [repr(secret), str(secret), f"{secret:>20}", f"{[secret]}", f"{secret}", caplog.text]
    assert not any(TEXT in text for text in shown)
    assert str(secret) == "**********"
    assert secret.reveal() == TEXT


def test_it_cannot_be_dumped_or_iterated() -> None:
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        list(Secret(TEXT))
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


def test_equality_and_hash_go_by_value() -> None:
    assert Secret(TEXT) == Secret(TEXT, env="A")
    assert len({Secret(TEXT), Secret(TEXT)}) == 1
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert not Secret("")
    assert repr(Secret("")) == "Secret('')"


def test_a_given_one_is_pickled_with_its_value() -> None:
    assert pickle.loads(pickle.dumps(Secret(TEXT))) == Secret(TEXT)


def test_one_of_the_environment_is_pickled_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_BROKER_API_KEY", TEXT)
    data = pickle.dumps(Secret.from_env("GONKA_BROKER_API_KEY"))
    assert TEXT.encode() not in data
    monkeypatch.setenv("GONKA_BROKER_API_KEY", " new ")
    assert pickle.loads(data).reveal() == "new"
    monkeypatch.delenv("GONKA_BROKER_API_KEY")
    with pytest.raises(GonkaConfigError, match="GONKA_BROKER_API_KEY is not set"):
        pickle.loads(data)


def test_one_entry_of_a_list_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIST", "https://a/v1;key-a,https://b/v1; key-b,https://c/v1")
    second = Secret.from_env("LIST", 1)
    assert second.reveal() == "key-b"
    assert pickle.loads(pickle.dumps(second)) == second
    for item in (2, 3):
        with pytest.raises(GonkaConfigError, match="LIST"):
            Secret.from_env("LIST", item)


def test_copies_are_the_secret_itself() -> None:
    secret = Secret(TEXT, env="GONE")
    assert copy.copy(secret) is secret
    assert copy.deepcopy({"key": secret})["key"] is secret


def test_wrapping() -> None:
    class SecretStr:
        def get_secret_value(self) -> str:
            return TEXT

    secret = Secret(TEXT)
    assert Secret.of(secret) is secret
    assert Secret.of(TEXT) == Secret.of(SecretStr()) == secret  # type: ignore[arg-type]
    with pytest.raises(GonkaConfigError, match="not int"):
        Secret.of(5)  # type: ignore[arg-type]
