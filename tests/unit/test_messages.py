"""Conversations are made acceptable to strict servers without changing what they say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gonka_integrations.core.messages import check_modalities, tidy_messages
from gonka_integrations.errors import GonkaConfigError

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


def _call(identity: str | None, name: str = "f") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_ids_that_occur_twice_are_made_unique_and_the_answers_follow() -> None:
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [_call("a"), _call("b"), _call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "first"},
        {"role": "tool", "tool_call_id": "b", "content": "second"},
        {"role": "tool", "tool_call_id": "a", "content": "third"},
        {"role": "assistant", "content": None, "tool_calls": [_call("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "fourth"},
    ]
    before = copy.deepcopy(messages)
    tidy = tidy_messages(messages)

    assert messages == before
    assert [call["id"] for call in tidy[1]["tool_calls"]] == ["a", "b", "a_2"]
    answers = [(m["tool_call_id"], m["content"]) for m in tidy if m["role"] == "tool"]
    assert answers == [("a", "first"), ("b", "second"), ("a_2", "third"), ("a", "fourth")]


def test_missing_ids_are_filled_in_on_both_sides() -> None:
    tidy = tidy_messages(
        [
            {"role": "assistant", "content": "", "tool_calls": [_call(None), _call("")]},
            {"role": "tool", "content": "one"},
            {"role": "tool", "tool_call_id": None, "content": "two"},
        ]
    )

    assert [call["id"] for call in tidy[0]["tool_calls"]] == ["call_0", "call_1"]
    assert [message["tool_call_id"] for message in tidy[1:]] == ["call_0", "call_1"]


def test_assistant_turns_that_say_nothing_are_left_out() -> None:
    turns: list[dict[str, Any]] = [
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": "", "tool_calls": []},
        {"role": "assistant", "content": [], "reasoning_content": "hm"},
        {"role": "assistant", "content": "x"},
        {"role": "user", "content": ""},
    ]

    assert tidy_messages(turns) == turns[3:]


def test_media_of_tool_answers_move_behind_all_the_answers() -> None:
    text = {"type": "text", "text": "a cat"}
    tidy = tidy_messages(
        [
            {"role": "assistant", "content": None, "tool_calls": [_call("a"), _call("b")]},
            {"role": "tool", "tool_call_id": "a", "content": [text, IMAGE]},
            {"role": "tool", "tool_call_id": "b", "content": [IMAGE]},
        ]
    )

    assert [message["role"] for message in tidy] == ["assistant", "tool", "tool", "user"]
    assert [message["content"] for message in tidy[1:3]] == ["a cat", "(see the next message)"]
    assert [part["type"] for part in tidy[3]["content"]] == ["text", "image_url"] * 2
    assert "a" in tidy[3]["content"][0]["text"]


def test_media_come_before_the_next_turn() -> None:
    tidy = tidy_messages(
        [
            {"role": "assistant", "content": None, "tool_calls": [_call("a")]},
            {"role": "tool", "tool_call_id": "a", "content": [IMAGE]},
            {"role": "user", "content": "and?"},
        ]
    )

    assert [message["role"] for message in tidy] == ["assistant", "tool", "user", "user"]


def test_content_that_the_model_cannot_take_is_refused_with_its_place() -> None:
    messages = [
        {"role": "system", "content": "x"},
        {"role": "user", "content": [{"type": "text", "text": "see"}, IMAGE]},
    ]

    check_modalities(messages, ("text", "image"), model="m")
    with pytest.raises(GonkaConfigError, match=r"Message 2 \(user\) holds image content"):
        check_modalities(messages, ("text",), model="m")
