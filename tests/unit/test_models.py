"""The table of known models."""

from __future__ import annotations

import pytest

from gonka_integrations.core.models import (
    ModelFacts,
    known_model,
    known_models,
    register_model,
)


@pytest.mark.parametrize(
    "name",
    [
        "moonshotai/Kimi-K2.6",
        "MOONSHOTAI/kimi-k2.6",
        "kimi-k2.6",
        "gonka:moonshotai/Kimi-K2.6",
        " Kimi-K2.6 ",
    ],
)
def test_lookups_tolerate_how_brokers_spell_names(name: str) -> None:
    facts = known_model(name)

    assert facts is not None
    assert facts.name == "moonshotai/Kimi-K2.6"
    assert (facts.context_window, facts.reasoning, facts.max_output) == (240_000, "field", 4_096)


def test_unknown_names_are_unknown_not_errors() -> None:
    assert known_model("somebody/else") is None
    assert known_model("") is None
    assert known_model(None) is None


def test_thinking_is_switched_where_the_template_has_a_switch() -> None:
    kimi, minimax = known_model("Kimi-K2.6"), known_model("MiniMax-M2.7")

    assert kimi is not None
    assert minimax is not None
    assert kimi.thinking_fields(on=False) == {"chat_template_kwargs": {"thinking": False}}
    assert minimax.thinking_fields(on=False) is None
    assert minimax.reasoning == "inline"


def test_the_table_can_be_overridden_for_a_call_and_for_the_process() -> None:
    small = ModelFacts("moonshotai/Kimi-K2.6", context_window=32_000)
    found = known_model("kimi-k2.6", {small.name: small})
    own = ModelFacts("test-org/Registered-Here", context_window=9_000)
    register_model(own)

    assert found is small
    assert known_model("registered-here") is own
    assert own in known_models()
    assert known_model("kimi-k2.6") is not small
