"""The class docstring runs, and the tests that the documentation names exist."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from gonka_integrations import ChatGonka
from gonka_integrations.devnet import Devnet

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "langchain.md"
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
MODELS = ("MiniMaxAI/MiniMax-M2.7", "moonshotai/Kimi-K2.6")


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch):
    with Devnet(hosts=1, models=MODELS) as net:
        monkeypatch.setenv("GONKA_BROKER_URL", net.gateway.base_url)
        monkeypatch.setenv("GONKA_BROKER_API_KEY", str(net.gateway.api_key))
        monkeypatch.setenv("PROVIDER_API_KEY", "any")
        yield net


def runnable(blocks: list[str]) -> list[str]:
    """The examples; what they print is shown in blocks that are no statements, or have a `…`."""
    shown = ("AIMessage(", "[{", "{", "Joke(")
    return [block for block in blocks if not block.startswith(shown)]


async def run(blocks: list[str], name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    for number, block in enumerate(blocks):
        code = compile(block, f"{name} {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        waiting = eval(code, names)
        if inspect.iscoroutine(waiting):
            await waiting
    return names


async def test_the_docstring_runs(gateway: Devnet, capsys: pytest.CaptureFixture[str]) -> None:
    text = textwrap.dedent(str(inspect.getdoc(ChatGonka)))
    blocks = runnable([textwrap.dedent(found) for found in BLOCK.findall(text)])
    assert len(blocks) > 10
    names = await run([textwrap.dedent(block) for block in blocks], "docstring example")
    assert names["ai_msg"].response_metadata["gonka"]["kind"] == "gateway"
    assert names["full"].usage_metadata


async def test_the_page_runs(gateway: Devnet, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = runnable(BLOCK.findall(PAGE.read_text("utf-8")))
    assert blocks
    await run(blocks, "page example")


def test_the_sections_of_the_docstring() -> None:
    """In the order of LangChain's own partner packages."""
    text = str(inspect.getdoc(ChatGonka))
    titles = re.findall(r"^([A-Z][\w —]*):$", text, re.MULTILINE)
    assert titles == [
        "Setup", "Key init args — completion params", "Key init args — client params",
        "Instantiate", "Invoke", "Stream", "Async", "Tool calling", "Structured output",
        "Reasoning", "Image input", "Token usage", "Logprobs", "Response metadata", "Errors",
        "Closing",
    ]  # fmt: skip


def table() -> str:
    """The feature table of the page."""
    return PAGE.read_text("utf-8").partition("## Compared")[2]


def test_named_tests_exist() -> None:
    """Rows of the feature table name tests, of the others too, and all that are named exist."""
    named = re.findall(r"`(test_\w+)::(\w+)`", PAGE.read_text("utf-8"))
    assert len(named) > 30
    rows = re.findall(r"^\| (?!feature|argument|-)(.+?) \| (.+?) \|", table(), re.MULTILINE)
    assert len(rows) > 30
    for feature, ours in rows:
        assert re.search(r"`test_\w+::\w+`", ours) or ours.startswith("no,"), feature
    theirs = re.findall(r"^\| (?!feature|-).+ \| (.+?) \|$", table(), re.MULTILINE)
    assert len(theirs) == len(rows)
    for last in theirs:
        assert last == "by hand" or re.fullmatch(r"`test_peers\w*::\w+`", last), last
    for file, test in named:
        (found,) = ROOT.glob(f"tests/**/{file}.py")
        assert re.search(rf"(def|class) {test}\b", found.read_text("utf-8")), (file, test)
