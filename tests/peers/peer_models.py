"""The chat models of other packages, and how tests say what was found of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import pytest

from gonka_integrations.devnet import Reply

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    openai = pytest.importorskip("langchain_openai")
    groq = pytest.importorskip("langchain_groq")
    deepseek = pytest.importorskip("langchain_deepseek")
    # Importing it downloads a table of prices otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm = pytest.importorskip("langchain_litellm")

NOWHERE = "http://127.0.0.1:1"
NAMES = ("ChatOpenAI", "ChatGroq", "ChatDeepSeek", "ChatLiteLLM")
SAID: dict[str, tuple[str, ...]] = {}
"""Cells of the page by the name of the test that shows them."""


def make_openai(url: str, **more: Any) -> Any:
    return openai.ChatOpenAI(**{"model": "m", "base_url": f"{url}/v1", "api_key": "k", **more})


def make_groq(url: str, **more: Any) -> Any:
    return groq.ChatGroq(**{"model": "m", "base_url": url, "api_key": "k", **more})


def make_deepseek(url: str, **more: Any) -> Any:
    given = {"model": "m", "base_url": f"{url}/v1", "api_key": "k"}
    return deepseek.ChatDeepSeek(**{**given, **more})


def make_litellm(url: str, **more: Any) -> Any:
    given = {"model": "openai/m", "api_base": f"{url}/v1", "api_key": "k"}
    return litellm.ChatLiteLLM(**{**given, **more})


PEERS = (make_openai, make_groq, make_deepseek, make_litellm)


def cells(*said: str) -> Callable[[Any], Any]:
    """Runs a test for each peer; *said* are the four cells of the row, or one for all."""
    said = said * 4 if len(said) == 1 else said

    def mark(test: Any) -> Any:
        SAID[test.__name__] = said
        cases = [
            pytest.param(make, cell, id=name)
            for make, cell, name in zip(PEERS, said, NAMES, strict=True)
        ]
        return pytest.mark.parametrize(("peer", "cell"), cases)(test)

    return mark


def yes(found: object, otherwise: str = "no") -> str:
    """A finding in the page's words."""
    return "yes" if found else otherwise


def failure(ask: Callable[[], object]) -> Exception | None:
    """The error of *ask*, if any."""
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - each package has its own
        return error
    return None


def streamed(model: Any) -> Any:
    """A stream as one message."""
    return reduce(add, model.stream("q"))


def chunks(deltas: Sequence[dict[str, Any]], *ends: dict[str, Any]) -> Callable[[Any], Reply]:
    """Streams *deltas*, then the chunks that end it, as they are."""
    said = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return lambda _: Reply(chunks=[*said, *ends])


def end(finish: str = "stop", **more: Any) -> dict[str, Any]:
    """A chunk that ends a stream."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **more}
