"""The same pieces of the peers, each in its own environment."""

from __future__ import annotations

import itertools

from .timing import Figures, cpu_us


def peer_pick() -> Figures:
    """What multiplexer-llm takes to choose, without any settling. Environment ``multiplexer``."""
    from multiplexer_llm import Multiplexer
    from openai import AsyncOpenAI

    found: Figures = {}
    for size in (10, 1_000, 10_000):
        multiplexer, client = Multiplexer(), AsyncOpenAI(api_key="sk-benchmark")
        # Its add_model compares with every model there is: too slow for thousands one by one.
        multiplexer.add_model(client, 1, "model")
        kind = type(multiplexer._weighted_models[0])
        multiplexer._weighted_models[:] = [
            kind(client, 1 + number % 7, f"model-{number}", None, None) for number in range(size)
        ]
        found[f"multiplexer-llm: pick, {size:,} endpoints, us"] = cpu_us(
            multiplexer._select_weighted_model, 20_000 // size + 20
        )
    return found


def peer_sign() -> Figures:
    """What gonka-openai takes to sign 1 KB. Environment ``gonka_openai``."""
    from gonka_openai.utils import gonka_signature

    body, stamps = b"x" * 1024, itertools.count(1_750_000_000_000_000_000)
    return {
        "gonka-openai: sign 1 KB, us": cpu_us(
            lambda: gonka_signature(body, "1" * 64, next(stamps), "gonka1" + "q" * 38), 100
        )
    }


def peer_construct() -> Figures:
    """A second model of equal arguments. Environment ``langchain3``."""
    from langchain_groq import ChatGroq
    from langchain_openai import ChatOpenAI

    found: Figures = {}
    for kind in (ChatOpenAI, ChatGroq):
        kept = [kind(model="m", api_key="sk-benchmark")]
        found[f"second {kind.__name__}, ms"] = (
            cpu_us(lambda kind=kind: kind(model="m", api_key="sk-benchmark"), 10) / 1000
        )
        kept.clear()
    return found
