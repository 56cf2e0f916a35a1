"""The Python in README and the getting-started pages runs, over a local network."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gonka_integrations.devnet import Devnet

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "docs/index.md",
    "docs/failures.md",
    "docs/start/langchain.md",
    "docs/start/llama-index.md",
    "docs/start/openai.md",
)
MODEL = "MiniMaxAI/MiniMax-M2.7"
BLOCK = re.compile(r"^( *)```python\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
ELSEWHERE = ("pydantic_ai", "instructor")  # shown in the cookbook's own environment


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Devnet]:
    with Devnet(hosts=1, models=(MODEL,)) as net:
        monkeypatch.setenv("GONKA_BROKER_URL", net.gateway.base_url)
        monkeypatch.setenv("GONKA_BROKER_API_KEY", str(net.gateway.api_key))
        for name in ("PROVIDER_API_KEY", "A_KEY"):
            monkeypatch.setenv(name, "any")
        yield net


def examples(page: str) -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    blocks = [textwrap.dedent(found[2]) for found in BLOCK.finditer(text)]
    return [block for block in blocks if not any(name in block for name in ELSEWHERE)]


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(page: str, gateway: Devnet, capsys: pytest.CaptureFixture[str]) -> None:
    run(page)


def test_the_local_network_needs_no_environment(capsys: pytest.CaptureFixture[str]) -> None:
    run("docs/start/devnet.md")
    assert "You said: still there?" in capsys.readouterr().out


def run(page: str) -> None:
    blocks = examples(page)
    assert blocks
    names: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"{page}, example {number}", "exec"), names)
