"""What the framework plans with: context windows and caps, known, overridable, never raising."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.memory import ChatMemoryBuffer

from gonka_integrations.core.models import known_models
from gonka_integrations.llama_index import GonkaLLM


def _llm(model: str | None = None, **fields: Any) -> GonkaLLM:
    return GonkaLLM(model, base_url="http://127.0.0.1:9/v1", api_key="k", **fields)


@pytest.mark.parametrize("facts", known_models(), ids=lambda facts: facts.name)
def test_the_networks_models_are_known(facts: Any) -> None:
    metadata = _llm(facts.name.lower()).metadata

    assert metadata.context_window == facts.context_window >= 100_000
    assert metadata.num_output == facts.default_output
    assert metadata.is_chat_model
    assert metadata.is_function_calling_model is facts.tools


@pytest.mark.parametrize("model", ["somebody/else", None, "🦙", "a" * 10_000])
def test_any_name_is_fine(model: Any) -> None:
    metadata = _llm(model).metadata

    assert metadata.context_window == 128_000
    assert metadata.model_name == (model or "unknown")
    assert metadata.is_function_calling_model


def test_everything_can_be_overruled() -> None:
    metadata = _llm(
        "moonshotai/Kimi-K2.6",
        context_window=8_000,
        num_output=500,
        is_function_calling_model=False,
    ).metadata

    assert (metadata.context_window, metadata.num_output) == (8_000, 500)
    assert not metadata.is_function_calling_model


def test_room_for_the_answer_follows_the_limit_of_the_answer() -> None:
    assert _llm("kimi-k2.6", max_tokens=900).metadata.num_output == 900
    assert _llm("x", context_window=4_000).metadata.num_output == 1_000


def test_a_change_holds_at_once() -> None:
    llm = _llm("kimi-k2.6")
    llm.model = "somebody/else"
    llm.context_window = 32_000

    assert llm.metadata.context_window == 32_000
    assert llm.metadata.model_name == "somebody/else"


def test_it_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    llm = GonkaLLM("x", source_url="http://192.0.2.1:8000", private_key="11" * 32)

    assert llm.metadata
    assert llm.to_payload()["network"] == "gonka"
    assert llm.to_payload()["model_name"] == "x"


def test_prompts_and_memories_get_the_whole_window() -> None:
    llm = _llm("deepseek-ai/DeepSeek-V4-Flash-0731")
    helper = PromptHelper.from_llm_metadata(llm.metadata)
    memory = ChatMemoryBuffer.from_defaults(llm=llm)

    assert helper.context_window == 400_000
    assert helper.num_output == 3_072
    assert memory.token_limit == int(400_000 * 0.75)


def test_small_windows_leave_room_for_a_prompt() -> None:
    from llama_index.core.prompts import PromptTemplate

    llm = _llm("x", context_window=2_000)
    helper = PromptHelper.from_llm_metadata(llm.metadata)
    chunks = helper.repack(PromptTemplate("Context: {context_str}"), ["word " * 3_000], llm=llm)

    assert len(chunks) > 1
