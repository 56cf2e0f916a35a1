"""Tool calls put together out of every shape that servers stream them in."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gonka_integrations.core.tool_calls import (
    ToolCallAssembler,
    parse_arguments,
    partial_arguments,
)


def delta(index=None, identity=None, name=None, arguments=None):
    made = {"function": {}}
    if index is not None:
        made["index"] = index
    if identity is not None:
        made["id"] = identity
    if name is not None:
        made["function"]["name"] = name
    if arguments is not None:
        made["function"]["arguments"] = arguments
    return made


def counted():
    numbers = itertools.count(1)
    return ToolCallAssembler(make_id=lambda: f"made_{next(numbers)}")


F = ("a", "f", '{"x": 1}')
G = ("b", "g", '{"y": [2, "}"]}')

SHAPES = {
    "as openai": (
        [[delta(0, "a", "f", "")], [delta(0, arguments='{"x"')], [delta(0, arguments=": 1}")]],
        [F],
    ),
    "whole call in one delta": ([[delta(0, "a", "f", '{"x": 1}')]], [F]),
    "two calls in one chunk": ([[delta(0, *F), delta(1, *G)]], [F, G]),
    "no index, whole": ([[delta(None, *F)], [delta(None, *G)]], [F, G]),
    "no index, both in one chunk": ([[delta(None, *F), delta(None, *G)]], [F, G]),
    "no index, in pieces": (
        [
            [delta(None, "a", "f", "")],
            [delta(arguments='{"x"')],
            [delta(arguments=": 1}")],
            [delta(None, "b", "g", '{"y": ')],
            [delta(arguments='[2, "}"]}')],
        ],
        [F, G],
    ),
    "id and name in every delta": (
        [[delta(0, "a", "f", part)] for part in ("", '{"x"', ": ", "1}")],
        [F],
    ),
    "name in every delta, no index": (
        [[delta(None, "a", "f", part)] for part in ("", '{"x"', ": ", "1}")],
        [F],
    ),
    "ids made anew": (
        [[delta(0, "a", "f", '{"x"')], [delta(0, "a2", None, ": ")], [delta(0, "a3", "", "1}")]],
        [F],
    ),
    "ids made anew, name again": (
        [[delta(0, "a", "f", '{"x"')], [delta(0, "a2", "f", ": ")], [delta(0, "a3", "f", "1}")]],
        [F],
    ),
    "ids made anew after an empty opening": (
        [[delta(0, "a", "f", "")], [delta(0, "a2", "f", '{"x": ')], [delta(0, "a3", "f", "1}")]],
        [F],
    ),
    "all index 0, different ids": ([[delta(0, *F)], [delta(0, *G)]], [F, G]),
    "all index 0, in pieces": (
        [
            [delta(0, "a", "f", '{"x": ')],
            [delta(0, None, None, "1}")],
            [delta(0, "b", "g", '{"y": [2')],
            [delta(0, None, None, ', "}"]}')],
        ],
        [F, G],
    ),
    "all index 0, interleaved by id": (
        [
            [delta(0, "a", "f", "")],
            [delta(0, "b", "g", "")],
            [delta(0, "a", None, '{"x": ')],
            [delta(0, "b", None, '{"y": [2')],
            [delta(0, "a", None, "1}")],
            [delta(0, "b", None, ', "}"]}')],
        ],
        [F, G],
    ),
    "index used again by another call of the same function": (
        [[delta(0, "a", "f", '{"x": 1}')], [delta(0, "b", "f", '{"x": 2}')]],
        [F, ("b", "f", '{"x": 2}')],
    ),
    "the same function twice, no ids, all index 0": (
        [[delta(0, None, "f", '{"x": 1}')], [delta(0, None, "f", '{"x": 2}')]],
        [("made_1", "f", '{"x": 1}'), ("made_2", "f", '{"x": 2}')],
    ),
    "equal calls in one chunk": (
        [[delta(None, None, "f", '{"x": 1}'), delta(None, None, "f", '{"x": 1}')]],
        [("made_1", "f", '{"x": 1}'), ("made_2", "f", '{"x": 1}')],
    ),
    "interleaved": (
        [
            [delta(0, "a", "f", ""), delta(1, "b", "g", "")],
            [delta(1, arguments='{"y": [2')],
            [delta(0, arguments='{"x": ')],
            [delta(1, arguments=', "}"]}'), delta(0, arguments="1}")],
        ],
        [F, G],
    ),
    "arguments as an object": ([[delta(0, "a", "f", {"x": 1})]], [F]),
    "null fields": (
        [
            [{"index": 0, "id": "a", "type": None, "function": {"name": "f", "arguments": None}}],
            [{"index": 0, "id": None, "function": None}],
            [{"index": 0, "id": None, "function": {"name": None, "arguments": '{"x": 1}'}}],
            [None],
        ],
        [F],
    ),
    "no ids": (
        [[delta(0, None, "f", '{"x": 1}')], [delta(1, None, "g", '{"y": [2, "}"]}')]],
        [("made_1", *F[1:]), ("made_2", *G[1:])],
    ),
    "the whole call once more at the end": (
        [[delta(0, "a", "f", '{"x"')], [delta(0, None, None, ": 1}")], [delta(0, *F)]],
        [F],
    ),
    "equal ids": (
        [
            [delta(0, "a", "f", '{"x": 1}'), delta(1, "a", "g", '{"y": ')],
            [delta(1, "a", None, "2}")],
        ],
        [F, ("a_2", "g", '{"y": 2}')],
    ),
    "no arguments at all": ([[delta(0, "a", "f")], [delta(1, "b", "g", "")]],
                            [("a", "f", ""), ("b", "g", "")]),
    "id after the name": ([[delta(0, None, "f", "")], [delta(0, "a", None, '{"x": 1}')]],
                          [("made_1", "f", '{"x": 1}')]),
    "flat, without a function": (
        [[{"index": 0, "id": "a", "name": "f", "arguments": '{"x": 1}'}]], [F]),
    "not counted from 0": ([[delta(3, *F)], [delta(7, *G)]], [F, G]),
    "pieces without index under a numbered call": (
        [[delta(0, "a", "f", '{"x"')], [delta(None, None, None, ": 1}")]], [F]),
}  # fmt: skip


@pytest.mark.parametrize(("chunks", "expected"), SHAPES.values(), ids=SHAPES.keys())
def test_shape(chunks, expected):
    """The calls come out, and the pieces passed on amount to the same."""
    assembler = counted()
    news = [new for chunk in chunks for new in assembler.feed(chunk)]
    assert [tuple(call.values()) for call in assembler.calls()] == expected
    assert rebuilt(news) == expected


def rebuilt(news):
    calls = {}
    for new in news:
        call = calls.setdefault(new["index"], {"id": None, "name": None, "arguments": ""})
        for key in ("id", "name"):
            assert new[key] is None or call[key] is None, "sent twice"
            call[key] = new[key] or call[key]
        call["arguments"] += new["arguments"]
    assert list(calls) == list(range(len(calls)))
    return [(call["id"], call["name"] or "", call["arguments"]) for call in calls.values()]


_NAMES = st.sampled_from(["f", "g"])
_TEXTS = st.sampled_from(["", "a", "b c", "é", '"', "\\", "{", "}", "}]", "\n", '\\"{'])
_OBJECTS = st.dictionaries(_TEXTS, _TEXTS | st.integers(0, 9) | st.lists(_TEXTS), max_size=3)


@given(
    st.lists(st.tuples(_NAMES, _OBJECTS), min_size=1, max_size=4),
    st.sampled_from(["index", "no index", "zero", "again", "anew"]),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_any_calls_cut_anywhere(calls, style, data):
    """Whatever the calls and wherever they are cut, each style of sending gives them back."""
    assembler = counted()
    for number, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        cuts = sorted(data.draw(st.lists(st.integers(1, len(text) - 1), max_size=4, unique=True)))
        for at, (start, stop) in enumerate(itertools.pairwise([0, *cuts, len(text)])):
            index = {"no index": None, "zero": 0}.get(style, number)
            first = at == 0
            if style == "anew":
                identity = f"id{number}.{at}"
            else:
                identity = f"id{number}" if first or style == "again" else None
            said = name if first or style in ("again", "anew") else None
            assembler.feed([delta(index, identity, said, text[start:stop])])
    got = [(call["name"], json.loads(call["arguments"])) for call in assembler.calls()]
    assert got == calls


def test_ids_are_made_up_when_nobody_gives_one():
    first, second = ToolCallAssembler(), ToolCallAssembler()
    for assembler in (first, second):
        assembler.feed([delta(0, None, "f", "{}")])
    assert first.calls()[0]["id"].startswith("call_")
    assert first.calls()[0]["id"] != second.calls()[0]["id"]


def test_a_piece_is_looked_at_once():
    """Asking after every piece whether the call is whole costs no second look at the others."""

    class Watched(str):
        looks = 0
        __slots__ = ()

    assembler = ToolCallAssembler()
    assembler.feed([delta(0, "a0", "f", '{"x": "')])
    call = assembler._calls[0]
    seen = []
    scan = type(call)._scan
    try:
        type(call)._scan = lambda self, part: (seen.append(len(part)), scan(self, part))[1]
        for number in range(500):
            assembler.feed([delta(0, f"a{number}", "f", "0123456789")])
    finally:
        type(call)._scan = scan
    assert sum(seen) <= call.size


def test_nothing_is_nothing():
    assembler = ToolCallAssembler()
    assert assembler.feed(None) == assembler.feed([]) == []
    assert not assembler
    assert assembler.calls() == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}), ("  ", {}), (None, {}), ("null", {}), ('""', {}), ("{}", {}),
        ('{"a": 1}', {"a": 1}), ({"a": 1}, {"a": 1}), ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": "x\ny"}', {"a": "x\ny"}),
    ],
)  # fmt: skip
def test_arguments(text, expected):
    assert parse_arguments(text) == expected


@pytest.mark.parametrize("text", ['{"a": ', "[1]", "3", "no"])
def test_arguments_that_are_none(text):
    with pytest.raises(ValueError):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}), ('{"a', {}), ('{"a": "b', {"a": "b"}),
        ('{"a": [1, 2', {"a": [1, 2]}), ("x", {}), ("[1", {}),
    ],
)  # fmt: skip
def test_arguments_that_are_still_coming(text, expected):
    assert partial_arguments(text) == expected
