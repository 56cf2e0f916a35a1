"""Tools: required, parallel or single, chosen by name; streamed in every shape servers use."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from llama_asking import CHATS, TOOL_METHODS, ask, everything
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool, ToolMetadata
from pydantic import BaseModel

from gonka_integrations.devnet import Devnet, Reply, ToolCall
from gonka_integrations.errors import GonkaConfigError
from gonka_integrations.llama_index import GonkaLLM


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello {name}"


ADD = FunctionTool.from_defaults(add)
GREET = FunctionTool.from_defaults(greet)
TWO_CALLS = [ToolCall("add", {"a": 1, "b": 2}, id="c1"), ToolCall("greet", {"name": "x"}, id="c2")]


def _dotted() -> FunctionTool:
    return FunctionTool.from_defaults(greet, name="people.greet one")


async def _with(llm: GonkaLLM, method: str, tools: Any, **kwargs: Any) -> Any:
    return (await everything(getattr(llm, method)(tools, **kwargs)))[-1]


@pytest.mark.parametrize("method", TOOL_METHODS)
async def test_a_call_comes_back_for_blocks_dicts_and_selections(
    net: Devnet, llm: GonkaLLM, method: str
) -> None:
    net.responder = lambda request: Reply(None, tool_calls=TWO_CALLS[:1])
    response = await _with(llm, method, [ADD, GREET], user_msg="1 + 2?")
    (selection,) = llm.get_tool_calls_from_response(response)
    (block,) = [b for b in response.message.blocks if b.block_type == "tool_call"]
    (legacy,) = response.message.additional_kwargs["tool_calls"]

    assert (selection.tool_id, selection.tool_name) == ("c1", "add")
    assert selection.tool_kwargs == block.tool_kwargs == {"a": 1, "b": 2}
    assert json.loads(legacy["function"]["arguments"]) == {"a": 1, "b": 2}
    assert json.loads(json.dumps(response.message.additional_kwargs))
    assert response.additional_kwargs["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("method", TOOL_METHODS)
async def test_what_is_sent_for_tools(llm: GonkaLLM, sent: Any, method: str) -> None:
    await _with(llm, method, [ADD], user_msg="x", allow_parallel_tool_calls=True)
    payload = sent()[-1]
    function = payload["tools"][0]["function"]

    assert payload.keys() - {"stream", "stream_options"} == {"model", "messages", "tools"}
    assert (function["name"], function["parameters"]["required"]) == ("add", ["a", "b"])
    assert "Add two numbers." in function["description"]


@pytest.mark.parametrize("method", TOOL_METHODS)
@pytest.mark.parametrize(
    ("kwargs", "choice"),
    [
        ({}, None),
        ({"tool_required": True}, "required"),
        ({"tool_required": True, "tool_choice": None}, "required"),
        ({"tool_choice": "any"}, "required"),
        ({"tool_choice": "none"}, "none"),
        ({"tool_choice": "auto", "tool_required": True}, "auto"),
        ({"tool_choice": "greet"}, {"type": "function", "function": {"name": "greet"}}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "add"}}},
            {"type": "function", "function": {"name": "add"}},
        ),
    ],
)
async def test_tool_choice_is_resolved(
    llm: GonkaLLM, sent: Any, method: str, kwargs: dict[str, Any], choice: Any
) -> None:
    await _with(llm, method, [ADD, GREET], user_msg="x", **kwargs)

    assert sent()[-1].get("tool_choice") == choice
    assert sent()[-1]["parallel_tool_calls"] is False


@pytest.mark.parametrize("method", TOOL_METHODS)
async def test_gateways_that_make_required_optional_are_told_the_name(
    at_gateway: GonkaLLM, sent: Any, method: str
) -> None:
    response = await _with(at_gateway, method, [GREET], user_msg="x", tool_required=True)
    await _with(at_gateway, method, [ADD, GREET], user_msg="x", tool_required=True)
    one, several = sent()

    assert one["tool_choice"] == {"type": "function", "function": {"name": "greet"}}
    assert several["tool_choice"] == "required"
    assert at_gateway.get_tool_calls_from_response(response)[0].tool_name == "greet"


@pytest.mark.parametrize("method", TOOL_METHODS)
@pytest.mark.parametrize("parallel", [True, False])
async def test_only_the_first_call_counts_unless_more_are_allowed(
    net: Devnet, llm: GonkaLLM, method: str, parallel: bool
) -> None:
    net.responder = lambda request: Reply("Both.", tool_calls=TWO_CALLS)
    response = await _with(
        llm, method, [ADD, GREET], user_msg="x", allow_parallel_tool_calls=parallel
    )
    expected = 2 if parallel else 1

    assert len(llm.get_tool_calls_from_response(response)) == expected
    assert len(response.message.additional_kwargs["tool_calls"]) == expected
    assert response.message.content == "Both."


@pytest.mark.parametrize("method", TOOL_METHODS)
async def test_the_history_is_not_changed(llm: GonkaLLM, method: str) -> None:
    history = [ChatMessage(content="before")]
    before = copy.deepcopy(history)
    await _with(llm, method, [ADD], user_msg="now", chat_history=history)

    assert history == before


@pytest.mark.parametrize("method", TOOL_METHODS)
async def test_tools_have_their_own_names_again_in_answers(
    llm: GonkaLLM, sent: Any, method: str
) -> None:
    tool = _dotted()
    response = await _with(llm, method, [tool], user_msg="x", tool_choice="people.greet one")
    (selection,) = llm.get_tool_calls_from_response(response)
    payload = sent()[-1]
    llm.chat(
        [
            ChatMessage(content="x"),
            response.message,
            ChatMessage(role="tool", content="y", additional_kwargs={
                "tool_call_id": selection.tool_id
            }),
        ]
    )  # fmt: skip

    assert payload["tools"][0]["function"]["name"] == "people_greet_one"
    assert payload["tool_choice"]["function"]["name"] == "people_greet_one"
    assert selection.tool_name == "people.greet one"
    history = sent()[-1]["messages"][1]["tool_calls"][0]["function"]["name"]
    assert history == "people_greet_one"


def test_names_that_fall_together_are_refused(llm: GonkaLLM) -> None:
    one = FunctionTool.from_defaults(greet, name="a.b")
    two = FunctionTool.from_defaults(greet, name="a b")
    with pytest.raises(GonkaConfigError, match="same name on the wire"):
        llm.chat_with_tools([one, two], user_msg="x")


def test_no_tools_is_an_ordinary_chat(llm: GonkaLLM, sent: Any) -> None:
    llm.chat_with_tools([], user_msg="x", tool_required=True)
    llm.chat([ChatMessage(content="x")], tools=[], tool_choice="auto", parallel_tool_calls=False)

    for payload in sent():
        assert not payload.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


def test_no_call_is_an_error_or_none(llm: GonkaLLM) -> None:
    response = llm.chat([ChatMessage(content="Hello")])

    assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="called no tool; it said: 'You said"):
        llm.get_tool_calls_from_response(response)


def test_predict_and_call_runs_the_tool(net: Devnet, llm: GonkaLLM) -> None:
    net.responder = lambda request: Reply(None, tool_calls=TWO_CALLS[:1])

    assert llm.predict_and_call([ADD], user_msg="1 + 2?").response == "3"


async def test_apredict_and_call_runs_tools_in_parallel(net: Devnet, llm: GonkaLLM) -> None:
    net.responder = lambda request: Reply(None, tool_calls=TWO_CALLS)
    answer = await llm.apredict_and_call([ADD, GREET], "x", allow_parallel_tool_calls=True)

    assert answer.response == "3\n\nHello x"


class Inner(BaseModel):
    """A nested class, which pydantic describes by reference."""

    value: int


class Outer(BaseModel):
    """Arguments with a nested class."""

    inner: Inner
    others: list[Inner] = []


class Deep(BaseModel):
    """Arguments that hold themselves."""

    children: list[Deep] = []


def _tool(schema: type[BaseModel], name: str = "nest") -> FunctionTool:
    return FunctionTool(
        lambda **kwargs: kwargs,
        ToolMetadata(description="Nests.", name=name, fn_schema=schema),
    )


def test_references_are_inlined(llm: GonkaLLM, sent: Any) -> None:
    response = llm.chat_with_tools([_tool(Outer)], user_msg="x")

    assert "$" not in json.dumps(sent()[-1]["tools"])
    assert llm.get_tool_calls_from_response(response)[0].tool_kwargs["inner"]


def test_gateways_get_only_what_they_take(at_gateway: GonkaLLM, sent: Any) -> None:
    at_gateway.chat_with_tools([_tool(Outer)], user_msg="x")
    assert len(sent()) == 1

    with pytest.raises(GonkaConfigError, match=r"'nest'.*recursive"):
        at_gateway.chat_with_tools([_tool(Deep)], user_msg="x")
    with pytest.raises(GonkaConfigError, match="70 bytes"):
        at_gateway.chat_with_tools([_tool(Outer, "n" * 70)], user_msg="x")
    assert len(sent()) == 1


def test_hosts_resolve_recursive_schemas_themselves(net: Devnet, llm: GonkaLLM, sent: Any) -> None:
    net.responder = lambda request: Reply("fine")
    llm.chat_with_tools([_tool(Deep)], user_msg="x")

    assert "$ref" in json.dumps(sent()[-1]["tools"])


@pytest.mark.parametrize("method", CHATS)
async def test_plain_tool_dicts_pass(llm: GonkaLLM, method: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    last = (await ask(llm, method, "x", tools=[tool], tool_choice="f"))[-1]

    assert llm.get_tool_calls_from_response(last)[0].tool_name == "f"


# Streams. Each shape is one that servers of the OpenAI protocol really send.


def _delta(*calls: dict[str, Any]) -> dict[str, Any]:
    delta = {"tool_calls": list(calls)}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def _piece(
    index: int | None, identity: str | None, name: str | None, arguments: str
) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments}
    piece: dict[str, Any] = {"function": function}
    if name is not None:
        function["name"] = name
    if identity is not None:
        piece["id"] = identity
    if index is not None:
        piece["index"] = index
    return piece


END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
SHAPES: dict[str, list[dict[str, Any]]] = {
    "standard": [
        _delta(_piece(0, "c1", "add", "")),
        _delta(_piece(0, None, None, '{"a": 1,')),
        _delta(_piece(0, None, None, '"b": 2}')),
        _delta(_piece(1, "c2", "greet", "")),
        _delta(_piece(1, None, None, '{"name": "x"}')),
        END,
    ],
    "two in one chunk": [
        _delta(_piece(0, "c1", "add", '{"a": 1,'), _piece(1, "c2", "greet", "")),
        _delta(_piece(0, None, None, '"b": 2}'), _piece(1, None, None, '{"name": "x"}')),
        END,
    ],
    "id and name sent again": [
        _delta(_piece(0, "c1", "add", '{"a": 1,')),
        _delta(_piece(0, "c1", "add", '"b": 2}')),
        _delta(_piece(1, "c2", "greet", '{"name":')),
        _delta(_piece(1, "c2", "greet", ' "x"}')),
        END,
    ],
    "interleaved": [
        _delta(_piece(0, "c1", "add", '{"a": 1,')),
        _delta(_piece(1, "c2", "greet", '{"na')),
        _delta(_piece(0, None, None, '"b": 2}')),
        _delta(_piece(1, None, None, 'me": "x"}')),
        END,
    ],
    "one index for all": [
        _delta(_piece(0, "c1", "add", '{"a": 1,')),
        _delta(_piece(0, None, None, '"b": 2}')),
        _delta(_piece(0, "c2", "greet", '{"name": "x"}')),
        END,
    ],
    "whole calls without an index": [
        _delta(_piece(None, "c1", "add", '{"a": 1, "b": 2}')),
        _delta(_piece(None, "c2", "greet", '{"name": "x"}')),
        END,
    ],
}


@pytest.mark.parametrize("method", ["stream_chat_with_tools", "astream_chat_with_tools"])
@pytest.mark.parametrize("shape", SHAPES)
async def test_calls_are_put_together_from_any_shape(
    net: Devnet, llm: GonkaLLM, method: str, shape: str
) -> None:
    net.responder = lambda request: Reply(chunks=SHAPES[shape])
    responses = await everything(
        getattr(llm, method)([ADD, GREET], user_msg="x", allow_parallel_tool_calls=True)
    )
    calls = llm.get_tool_calls_from_response(responses[-1])

    assert [(c.tool_id, c.tool_name, c.tool_kwargs) for c in calls] == [
        ("c1", "add", {"a": 1, "b": 2}),
        ("c2", "greet", {"name": "x"}),
    ]


def test_arguments_are_known_while_they_arrive(net: Devnet, llm: GonkaLLM) -> None:
    text = json.dumps({"name": "Ada Lovelace", "born": 1815})
    pieces = [text[i : i + 5] for i in range(0, len(text), 5)]
    opening = _delta(_piece(0, "c1", "greet", ""))
    rest = [_delta(_piece(0, None, None, piece)) for piece in pieces]
    net.responder = lambda request: Reply(chunks=[opening, *rest, END])
    seen = [
        llm.get_tool_calls_from_response(response)[0].tool_kwargs
        for response in llm.stream_chat_with_tools([GREET], user_msg="x")
    ]

    assert {"name": "Ada Lovela"} in seen
    assert seen[-1] == {"name": "Ada Lovelace", "born": 1815}


def test_reading_growing_arguments_costs_no_more_than_their_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gonka_integrations._llama_index import partial_json

    read: list[int] = []
    real = partial_json.partial_arguments

    def counting(text: str) -> dict[str, Any]:
        read.append(len(text))
        return real(text)

    monkeypatch.setattr(partial_json, "partial_arguments", counting)

    def cost(length: int) -> int:
        read.clear()
        text = json.dumps({"text": "x" * length})
        for end in range(1, len(text) + 1, 4):
            partial_json.parse_arguments(text[:end])
        assert partial_json.parse_arguments(text) == {"text": "x" * length}
        return sum(read)

    small, large = cost(16_000), cost(64_000)
    assert large < 6 * small  # four times the length; parsing all of it each time costs 16
    assert small < 40 * 16_000
