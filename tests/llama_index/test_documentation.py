"""The pages about GonkaLLM name tests and arguments that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gonka_integrations.llama_index import GonkaLLM

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "llama-index.md"

if not PAGE.exists():
    pytest.skip("no documentation beside the tests", allow_module_level=True)


def _named() -> list[tuple[str, str]]:
    return re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE.read_text("utf-8"))


def test_every_test_that_is_named_exists() -> None:
    named = _named()
    missing = [
        f"{file}::{name}"
        for file, name in named
        if f"def {name}(" not in (HERE / file).read_text("utf-8")
    ]

    assert len(named) > 40
    assert missing == []


def test_every_row_of_the_comparison_names_a_test() -> None:
    rows = [
        line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| .*\| [●◐○]", line)
    ]

    assert len(rows) >= 28
    for row in rows:
        assert "::" in row or "every run of the tests" in row, row


def test_the_arguments_are_described() -> None:
    text = PAGE.read_text("utf-8")
    framework = set(GonkaLLM.__mro__[2].model_fields)
    from gonka_integrations._llama_index.connection import CONNECTION

    for name in set(GonkaLLM.model_fields) - framework - set(CONNECTION):
        assert f"`{name}`" in text, name
