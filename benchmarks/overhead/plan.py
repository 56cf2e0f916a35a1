"""Who is measured, doing what, and the ratios the project sets itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Subject:
    """One library in one environment.

    *base* names the subject its ratios are taken against: the raw SDK of the same openai major.
    *share* shrinks the number of operations of a very slow subject.
    """

    name: str
    env: str
    module: str
    base: str
    options: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    share: float = 1.0


@dataclass(frozen=True)
class Case:
    """*operation* done *count* times by *concurrency* callers, per round."""

    name: str
    title: str
    operation: str
    count: int
    concurrency: int = 1


CASES = (
    Case("call", "call", "call", 100),
    Case("stream", "stream of 200", "stream", 10),
    Case("acall", "async call", "acall", 100),
    Case("acall50", "async call at 50", "acall", 300, 50),
    Case("acall200", "async call at 200", "acall", 400, 200),
    Case("astream50", "async stream of 200 at 50", "astream", 100, 50),
)

SDK3, SDK2 = "openai 3", "openai 2"


def _ours(name: str, env: str, base: str, door: str, **more: Any) -> Subject:
    without = more.pop("without", ())
    return Subject(name, env, "ours", base, {"door": door, **more}, without)


def _doors(env: str, base: str) -> tuple[Subject, ...]:
    """Every door of ours in one environment: the wrappers in the four ways they are asked for."""
    major = base[-1]
    found = []
    for title, door in (("ChatGonka", "langchain"), ("GonkaLLM", "llama_index")):
        found += [
            _ours(f"{title}, signed ({major})", env, base, door),
            _ours(f"{title}, bearer ({major})", env, base, door, auth="bearer"),
            _ours(f"{title}, signed, no aiohttp ({major})", env, base, door, without=("aiohttp",)),
            _ours(f"{title}, signed, read as stream ({major})", env, base, door, inside=True),
        ]
    return (
        *found,
        _ours(f"core.chat, signed ({major})", env, base, "chat"),
        _ours(f"OpenAI over our transport, signed ({major})", env, base, "sdk"),
        _ours(f"OpenAI over our transport, bearer ({major})", env, base, "sdk", auth="bearer"),
        _ours(
            f"OpenAI over our transport, signed, no aiohttp ({major})", env, base, "sdk",
            without=("aiohttp",),
        ),
    )  # fmt: skip


SUBJECTS: tuple[Subject, ...] = (
    Subject(SDK3, "openai3", "sdk", SDK3),
    Subject("httpx2 (floor)", "openai3", "floor", SDK3, {"library": "httpx2"}),
    Subject("aiohttp (floor)", "openai3", "floor", SDK3, {"library": "aiohttp"}),
    Subject("ChatOpenAI (3)", "langchain3", "langchain", SDK3, {"library": "openai"}),
    Subject("ChatGroq", "langchain3", "langchain", SDK3, {"library": "groq"}),
    Subject("gonka-openai", "gonka_openai", "gonka_openai_sdk", SDK3),
    Subject("multiplexer-llm", "multiplexer", "multiplexer", SDK3),
    *_doors("ours3", SDK3),
    Subject(SDK2, "openai2", "sdk", SDK2),
    Subject("httpx (floor)", "openai2", "floor", SDK2, {"library": "httpx"}),
    Subject("ChatOpenAI (2)", "langchain2", "langchain", SDK2, {"library": "openai"}),
    Subject("OpenAILike", "llamaindex2", "llama_index", SDK2),
    Subject("LiteLLM Router", "litellm", "litellm_router", SDK2, share=0.2),
    *_doors("ours2", SDK2),
)
