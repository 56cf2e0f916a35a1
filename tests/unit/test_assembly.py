"""Chunks put together are what a plain call would have answered."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamed import HEAD, chunk, completion, finish, role, text, usage

from gonka_integrations.core.assembly import Assembler, as_chunks, has_content
from gonka_integrations.devnet import Reply, ToolCall
from gonka_integrations.devnet.rendering import Envelope, chunks_of, completion_of

TWO_TOOLS = [ToolCall("weather", {"city": "Paris"}, "call_a"), ToolCall("time", {}, "call_b")]
REPLIES = {
    "text": Reply("Hello wide world"),
    "nothing": Reply(""),
    "length": Reply("cut sho", finish_reason="length"),
    "reasoning": Reply("Four.", reasoning="Two and two make four."),
    "refusal": Reply("", refusal="I will not."),
    "one tool": Reply(None, tool_calls=TWO_TOOLS[:1]),
    "two tools": Reply(None, tool_calls=TWO_TOOLS),
    "text and tools": Reply("Let me look.", tool_calls=TWO_TOOLS),
    "three choices": Reply("a b", alternatives=[Reply("c d"), Reply("e", finish_reason="length")]),
    "logprobs": Reply("Hello world", logprobs=True),
    "unicode": Reply("Grüße 🌍", reasoning="日本"),
}


def assembled(chunks: list[dict[str, Any]], choices: int = 1) -> dict[str, Any]:
    assembler = Assembler(choices)
    for one in chunks:
        assembler.add(json.loads(json.dumps(one)))
    assert assembler.finished
    return assembler.completion()


@pytest.mark.parametrize("name", REPLIES)
def test_a_stream_amounts_to_the_plain_answer(name: str) -> None:
    reply = REPLIES[name]
    envelope = Envelope("id-1", "llama", prompt_tokens=3, include_usage=True)
    plain = json.loads(json.dumps(completion_of(reply, envelope)))
    assert assembled(list(chunks_of(reply, envelope)), len(reply.choices)) == plain


@pytest.mark.parametrize("name", REPLIES)
def test_a_plain_answer_as_chunks_and_back(name: str) -> None:
    reply = REPLIES[name]
    plain = completion_of(reply, Envelope("id-1", "llama", prompt_tokens=3))
    chunks = as_chunks(plain)
    assert {one["object"] for one in chunks} == {"chat.completion.chunk"}
    assert assembled(chunks, len(reply.choices)) == json.loads(json.dumps(plain))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(min_size=1, max_size=5), max_size=8),
    st.lists(st.text(min_size=1, max_size=5), max_size=4),
    st.sampled_from(["stop", "length", "tool_calls"]),
)
def test_pieces_join(content: list[str], reasoning: list[str], reason: str) -> None:
    chunks = [role()]
    chunks += [chunk({"reasoning_content": piece}) for piece in reasoning]
    chunks += [text(piece) for piece in content]
    choice = assembled([*chunks, finish(reason), usage()])["choices"][0]
    assert choice["message"]["content"] == "".join(content)
    assert choice["message"].get("reasoning_content", "") == "".join(reasoning)
    assert choice["finish_reason"] == reason


def test_usage_and_head() -> None:
    whole = assembled([{**text("x"), "system_fingerprint": "fp"}, finish(), usage(9)])
    assert whole["usage"] == {"prompt_tokens": 1, "completion_tokens": 9}
    head = {**HEAD, "object": "chat.completion"}
    assert {name: whole[name] for name in head} == head
    assert whole["system_fingerprint"] == "fp"
    assert "usage" not in assembled([text("x"), finish()])


def test_an_empty_list_of_tool_calls_is_none() -> None:
    """vLLM sends one with every delta."""
    chunks = [chunk({"content": "", "tool_calls": []}), finish()]
    assert assembled(chunks)["choices"][0]["message"] == {"role": "assistant", "content": ""}


def test_log_probabilities_are_joined() -> None:
    one, two = {"token": "a"}, {"token": "b"}
    chunks = [
        chunk({"content": "a"}, logprobs={"content": [one], "refusal": None}),
        chunk({"content": "b"}, logprobs={"content": [two]}),
        chunk({}, "stop", logprobs=None),
    ]
    assert assembled(chunks)["choices"][0]["logprobs"] == {"content": [one, two]}


def test_fields_that_are_no_text_are_kept() -> None:
    chunks = [chunk({"role": "model", "annotations": [1], "content": "x"}), finish()]
    message = assembled(chunks)["choices"][0]["message"]
    assert message == {"role": "model", "content": "x", "annotations": [1]}


def test_other_fields_of_choices_are_kept() -> None:
    chunks = [
        chunk({"content": "a"}, token_ids=[1, 2]),
        chunk({"content": "b", "reasoning_details": [{"text": "x"}]}, token_ids=[3]),
        chunk({"reasoning_details": [{"text": "y"}]}, "stop", stop_reason=7, token_ids=None),
    ]
    choice = assembled(chunks)["choices"][0]
    assert choice["stop_reason"] == 7
    assert choice["message"]["reasoning_details"] == [{"text": "x"}, {"text": "y"}]
    assert choice["token_ids"] == [1, 2, 3]
    assert assembled([chunk({}, "stop", stop_reason=None)])["choices"][0]["stop_reason"] is None


def test_the_message_so_far() -> None:
    assembler = Assembler()
    assert assembler.message() == {"role": "assistant", "content": ""}
    assert assembler.text() == ""
    assembler.add(text("second", 1))
    assembler.add(text("first", 0))
    assert assembler.text() == "first"
    assert assembler.message()["content"] == "first"
    assert assembler.completion()["choices"][0]["finish_reason"] is None


def test_has_content() -> None:
    assert has_content(text("x"))
    assert has_content(finish())
    assert not has_content(role())
    assert not has_content({})


def test_a_plain_answer_without_usage_or_choices() -> None:
    answer = json.loads(completion())
    del answer["usage"]
    assert len(as_chunks(answer)) == 1
    assert as_chunks({"id": "x"})[0]["choices"] == []
