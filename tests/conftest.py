"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gonka_integrations.devnet import Devnet

_STUDIED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _no_gonka_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GONKA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Vectors and fixtures kept beside the project; tests that want them skip without."""
    if not (_STUDIED / "vectors").is_dir():
        pytest.skip("no vectors beside the project")
    return _STUDIED


@pytest.fixture
def devnet() -> Iterator[Devnet]:
    """A fresh local network of three hosts and one gateway."""
    from gonka_integrations.devnet import Devnet

    with Devnet(hosts=3) as net:
        yield net


@pytest.fixture
def nothing_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain's standard suite downloads an image, a sound and a document; any bytes do."""
    import httpx

    def get(url: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, content=b"bytes of " + url.encode())

    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nobody: nothing is downloaded")
    monkeypatch.setattr("langchain_tests.integration_tests.chat_models.httpx.get", get)
