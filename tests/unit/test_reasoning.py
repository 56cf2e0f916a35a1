"""Reasoning: found, told from the text, and sent back by policy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonka_integrations.core.reasoning import (
    Split,
    ThinkSplitter,
    reasoning_of,
    replay_reasoning,
    split_thinking,
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, ""),
        ({"content": "x", "reasoning_content": None}, ""),
        ({"reasoning_content": "R"}, "R"),
        ({"reasoning": "R"}, "R"),
        ({"reasoning_content": "R", "reasoning": "R"}, "R"),
        ({"reasoning": {"text": "R"}}, "R"),
        ({"reasoning": [{"text": "R"}, {"content": "S"}, 3]}, "RS"),
    ],
)
def test_where_reasoning_is(said, expected):
    assert reasoning_of(said) == expected


ANSWERS = [
    ("", "", ""),
    ("Hello", "Hello", ""),
    ("  Hello ", "  Hello ", ""),
    ("<think>R</think>T", "T", "R"),
    ("\n<think>\nR 1\n\nR 2\n</think>\n\nT\n", "T\n", "R 1\n\nR 2"),
    ("<think></think>T", "T", ""),
    ("<think>\n\n</think>\n\nT", "T", ""),
    ("<think>never ends", "", "never ends"),
    ("<think>ends with a < b</thi", "", "ends with a < b</thi"),
    ("<think>A</think> <think> B </think> T", "T", "A\n\nB"),
    ("T <think>is a tag</think>", "T <think>is a tag</think>", ""),
    ("<think>R</think>T </think> U", "T </think> U", "R"),
    ("<thin", "<thin", ""),
    ("<thinking>x", "<thinking>x", ""),
    ("</think>T", "</think>T", ""),
    ("   ", "   ", ""),
    ("<think>R</think>", "", "R"),
    ("<think>R</think>  ", "", "R"),
    ("<think>a<b></c></think>T", "T", "a<b></c>"),
]


@pytest.mark.parametrize(("answer", "text", "reasoning"), ANSWERS)
def test_split(answer, text, reasoning):
    assert split_thinking(answer) == Split(text, reasoning)


@pytest.mark.parametrize(("answer", "text", "reasoning"), ANSWERS)
def test_split_letter_by_letter(answer, text, reasoning):
    """Tags that are cut by chunk borders are still tags."""
    assert in_pieces(answer) == Split(text, reasoning)


_SNIPPETS = ["<think>", "</think>", "<thi", "nk>", "</", "think>", "a", " ", "\n", "<", "bc"]
_PIECES = st.lists(st.sampled_from(_SNIPPETS), max_size=12)


@given(_PIECES)
@settings(max_examples=300, deadline=None)
def test_split_is_the_same_however_it_is_cut(pieces):
    """Pieces, letters or the whole: the same text, the same reasoning, and every letter kept."""
    answer = "".join(pieces)
    whole = split_thinking(answer)
    assert in_pieces(pieces) == in_pieces(answer) == whole
    before, after = "".join(answer.split()), "".join((whole.reasoning + whole.text).split())
    pairs, rest = divmod(len(before) - len(after), len("<think></think>"))
    assert rest in (0, len("<think>")), "something else than tags is missing"
    assert pairs <= answer.count("<think>")
    remaining = iter(before)
    assert all(letter in remaining for letter in after), "the order has changed"


def in_pieces(pieces):
    splitter = ThinkSplitter()
    splits = [splitter.feed(piece) for piece in pieces] + [splitter.end()]
    return Split("".join(s.text for s in splits), "".join(s.reasoning for s in splits))


def test_text_is_not_held_back():
    """Once it is clear that nobody thinks, every piece goes through at once."""
    splitter = ThinkSplitter()
    assert splitter.feed("He") == Split("He", "")
    assert splitter.feed("<think>") == Split("<think>", "")


def test_reasoning_is_not_held_back():
    splitter = ThinkSplitter()
    assert splitter.feed("<think>one") == Split("", "one")
    assert splitter.feed(" two ") == Split("", " two")
    assert splitter.feed("three</think>four") == Split("four", " three")


def turns():
    return [
        {"role": "user", "content": "q1"},
        {"role": "assistant", "content": "a1", "reasoning_content": "r1"},
        {"role": "user", "content": "q2"},
        {"role": "assistant", "content": None, "tool_calls": [{}], "reasoning_content": "r2"},
        {"role": "tool", "content": "t", "tool_call_id": "c"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "kept"), [("auto", ["r2"]), ("always", ["r1", "r2"]), ("never", [])]
)
def test_replay(policy, kept):
    """By default the reasoning of the turn in progress is sent, and no other."""
    given_turns = turns()
    sent = replay_reasoning(given_turns, policy)
    assert [t["reasoning_content"] for t in sent if "reasoning_content" in t] == kept
    assert given_turns == turns()


def test_media_of_a_tools_answer_begin_no_turn():
    """Pictures go into a user message behind the answers; the model is still in its turn."""
    given_turns = [*turns(), {"role": "user", "content": [{"type": "image_url"}]}]
    sent = replay_reasoning(given_turns, "auto")
    assert [t["reasoning_content"] for t in sent if "reasoning_content" in t] == ["r2"]


def test_replay_into_the_text():
    sent = replay_reasoning(turns(), "always", inline=True)
    assert sent[1] == {"role": "assistant", "content": "<think>\nr1\n</think>\n\na1"}
    assert sent[3]["content"] == "<think>\nr2\n</think>\n\n"
    assert split_thinking(sent[1]["content"]) == Split("a1", "r1")
    parts = [{"role": "assistant", "content": [{"type": "text", "text": "a"}], "reasoning": "r"}]
    assert replay_reasoning(parts, inline=True)[0]["content"] == [
        {"type": "text", "text": "<think>\nr\n</think>\n\n"},
        {"type": "text", "text": "a"},
    ]
