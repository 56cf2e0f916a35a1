"""Structured output and tool choice: every method and schema, and models that decline."""

from __future__ import annotations

import itertools
import json
from functools import reduce
from operator import add
from typing import Annotated, Literal, TypedDict

import pytest
from langchain_core.exceptions import ModelError, OutputParserException
from langchain_core.runnables import RunnableBinding
from pydantic import BaseModel, Field
from pydantic.v1 import BaseModel as BaseModelV1

from gonka_integrations import GonkaConfigError
from gonka_integrations._langchain.schemas import wire_tool_choice
from gonka_integrations.devnet import Devnet, Reply, ToolCall
from gonka_integrations.langchain import AnswerRefusedError, MissingToolCallError


class Address(BaseModel):
    """Where somebody lives."""

    street: str
    kind: Literal["home", "work"] = "home"


class Person(BaseModel):
    """A person."""

    name: str
    home: Address
    others: list[Address] = Field(default_factory=list)


class OldPerson(BaseModelV1):
    name: str


class DictPerson(TypedDict):
    """A person."""

    name: Annotated[str, ..., "Full name"]


JSON_PERSON = {
    "title": "Person",
    "description": "A person.",
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
}


class Leaf(BaseModel):
    children: list[Leaf] = Field(default_factory=list)


METHODS = ["function_calling", "json_schema", "json_mode"]


def answers(reply):
    """A responder that gives this, and counts."""
    asked = []

    def respond(request):
        asked.append(request)
        return reply(len(asked)) if callable(reply) else reply

    respond.asked = asked
    return respond


def requests(net: Devnet):
    servers = [*net.hosts, *net.gateways]
    return sorted((r for s in servers for r in s.requests), key=lambda r: r.time)


@pytest.mark.parametrize("method", METHODS[:2])
@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize(
    "schema", [Person, DictPerson, JSON_PERSON], ids=["pydantic", "typed", "json"]
)
async def test_every_schema(routed, method, include_raw, schema):
    """Invoked and streamed, in both worlds, by both routes."""
    chain = routed().with_structured_output(schema, method=method, include_raw=include_raw)
    for result in (
        chain.invoke("q"),
        await chain.ainvoke("q"),
        list(chain.stream("q"))[-1] if not include_raw else chain.invoke("q"),
        [piece async for piece in chain.astream("q")][-1] if not include_raw else chain.invoke("q"),
    ):
        parsed = result
        if include_raw:
            assert result["parsing_error"] is None
            assert result["raw"].response_metadata["gonka"]
            parsed = result["parsed"]
        if schema is Person:
            assert isinstance(parsed, Person)
            assert parsed.home.kind == "home"
        else:
            assert parsed == {"name": "name"}


class OldAddress(BaseModelV1):
    street: str


class OldResident(BaseModelV1):
    """A person, by old pydantic."""

    name: str
    home: OldAddress


class DictAddress(TypedDict):
    street: str


class DictResident(TypedDict):
    """A person."""

    name: str
    home: DictAddress


RESIDENTS = {
    "pydantic": Person,
    "pydantic v1": OldResident,
    "typed": DictResident,
    "json": {
        "title": "Person",
        "description": "A person.",
        "type": "object",
        "properties": {"name": {"type": "string"}, "home": {"$ref": "#/$defs/Home"}},
        "required": ["name", "home"],
        "$defs": {"Home": {"type": "object", "properties": {"street": {"type": "string"}}}},
    },
}
ANN = {"name": "Ann", "home": {"street": "Elm"}}


def saying(arguments, finish_reason=None):
    """A model that says this, as a call where it has a tool, as text where it has none."""

    def respond(request):
        if not request.get("tools"):
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            return Reply(text, finish_reason=finish_reason or "stop")
        name = request["tools"][0]["function"]["name"]
        calls = [ToolCall(name, arguments)]
        return Reply(None, tool_calls=calls, finish_reason=finish_reason or "tool_calls")

    return respond


WAYS = ("invoke", "ainvoke", "stream", "astream")


async def given(chain, way, prompt="json, please"):
    """What a chain gives: the last piece of a stream, or all of them added up."""
    if way == "invoke":
        return chain.invoke(prompt)
    if way == "ainvoke":
        return await chain.ainvoke(prompt)
    pieces = (
        list(chain.stream(prompt))
        if way == "stream"
        else [piece async for piece in chain.astream(prompt)]
    )
    return reduce(add, pieces) if "raw" in dict(pieces[0]) else pieces[-1]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", RESIDENTS.values(), ids=RESIDENTS.keys())
@pytest.mark.parametrize("include_raw", [False, True])
async def test_every_combination(model, devnet, method, schema, include_raw):
    """Method, schema, content and report, each invoked and streamed, in both worlds."""
    devnet.responder = saying(ANN)
    for version, way in itertools.product(("v0", "v1"), WAYS):
        chat = model(output_version=version)
        chain = chat.with_structured_output(schema, method=method, include_raw=include_raw)
        result = await given(chain, way)
        if include_raw:
            assert list(result) == ["raw", "parsed", "parsing_error"]
            assert result["parsing_error"] is None
            assert result["raw"].response_metadata["gonka"]
            result = result["parsed"]
        if isinstance(schema, type) and schema is not DictResident:
            assert isinstance(result, schema)
            assert (result.name, result.home.street) == ("Ann", "Elm")
        else:
            assert result == ANN


BAD = {
    "cut": ('{"name": "An', "length", "cut at the token limit"),
    "unfit": ({"name": "Ann"}, None, "home"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("include_raw", [False, True])
@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
async def test_an_answer_that_is_not_the_object(model, devnet, method, include_raw, case):
    """Half an object is none, and streams do not end as if nothing had been asked for."""
    said, finish, told = case
    devnet.responder = saying(said, finish)
    chain = model().with_structured_output(Person, method=method, include_raw=include_raw)
    for way in WAYS:
        if include_raw:
            result = await given(chain, way)
            assert result["parsed"] is None
            assert told in str(result["parsing_error"])
            assert result["raw"].response_metadata["gonka"]
        else:
            with pytest.raises(ValueError, match=told):
                await given(chain, way)


def test_old_pydantic(routed):
    assert isinstance(routed().with_structured_output(OldPerson).invoke("q"), OldPerson)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("strict", [None, False, True])
def test_every_method_takes_strict(model, method, strict):
    model().with_structured_output(Person, method=method, strict=strict)


def test_unknown_method(model):
    with pytest.raises(GonkaConfigError, match="method"):
        model().with_structured_output(Person, method="guess")


def test_json_mode_without_schema(model, devnet):
    devnet.responder = answers(Reply('```json\n{"a": 1}\n```'))
    assert model().with_structured_output(method="json_mode").invoke("json") == {"a": 1}


@pytest.mark.parametrize("method", METHODS[:2])
def test_references_are_inlined(routed, devnet, method):
    """What goes over the wire has no $ref and no $defs: gateways refuse them."""
    routed().with_structured_output(Person, method=method).invoke("q")
    (request,) = requests(devnet)
    text = request.body.decode()
    assert "$ref" not in text
    assert "$defs" not in text
    assert text.count('"street"') >= 2


@pytest.mark.parametrize("method", METHODS[:2])
def test_what_a_gateway_would_refuse_is_not_sent(routed, route, devnet, method):
    """Recursive and deep schemas are errors before anything is sent, where a gateway may get it."""
    deep = {"type": "string"}
    for _ in range(20):
        deep = {"type": "object", "properties": {"x": deep}}
    deep = {"title": "Deep", "description": "d", **deep}
    recursive = Leaf.model_json_schema() | {"title": "Leaf", "description": "d"}
    if route == "gateway":
        for schema in (deep, recursive):
            with pytest.raises(GonkaConfigError, match=r"Deep|Leaf"):
                routed().with_structured_output(schema, method=method)
        with pytest.raises(GonkaConfigError, match="nested levels"):
            routed().bind_tools([deep])
        with pytest.raises(GonkaConfigError, match="64"):
            routed().bind(tools=[{"type": "function", "function": {"name": "f" * 65}}]).invoke("q")
        assert requests(devnet) == []
    else:
        routed().with_structured_output(deep, method=method)
        routed().with_structured_output(recursive, method=method).invoke("q")
        assert "$ref" in requests(devnet)[0].body.decode()


def test_a_recursive_class_is_open_below(routed):
    """LangChain itself leaves open what a class refers back to; the class still checks it."""
    assert routed().with_structured_output(Leaf).invoke("q") == Leaf(children=[])


def test_strict_schemas(model, devnet):
    model().with_structured_output(Person, method="json_schema", strict=True).invoke("q")
    wanted = requests(devnet)[0].json["response_format"]["json_schema"]
    assert wanted["strict"] is True
    assert wanted["schema"]["required"] == ["name", "home", "others"]
    assert wanted["schema"]["additionalProperties"] is False


def test_formats_of_agents(model, devnet):
    """`response_format` beside tools, beside no tools, as a class and as a dict."""
    wire = {
        "type": "json_schema",
        "json_schema": {"name": "P", "schema": Person.model_json_schema()},
    }
    for chat in (
        model().bind_tools([], response_format=wire),
        model().bind(response_format=Person),
        model().bind(response_format=JSON_PERSON),
    ):
        assert json.loads(chat.invoke("q").content)["name"] == "name"
    for request in requests(devnet):
        assert "tools" not in request.json
        assert "$ref" not in request.body.decode()


# Tool choice.


def weather(city: str) -> str:
    """The weather in a city."""
    return city


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (None, None),
        (False, None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        (True, "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        (
            {"type": "tool", "name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
def test_choices(model, choice, wire):
    bound = model().bind_tools([weather], tool_choice=choice)
    assert isinstance(bound, RunnableBinding)
    assert bound.kwargs.get("tool_choice") == wire


def test_tools_of_the_server(model):
    """Such as some providers have: passed on as they are."""
    bound = model().bind_tools([{"type": "web_search"}, weather], tool_choice="weather")
    assert bound.kwargs["tools"][0] == {"type": "web_search"}


def test_a_choice_that_is_no_tool(model):
    with pytest.raises(GonkaConfigError, match="none of the tools: weather"):
        model().bind_tools([weather], tool_choice="whether")
    with pytest.raises(GonkaConfigError, match="there are none"):
        wire_tool_choice("f", [])


def test_what_many_servers_refuse_is_not_sent_unasked(model, devnet):
    model().bind_tools([weather]).invoke("q")
    model().bind_tools([], tool_choice="any", parallel_tool_calls=False).invoke("q")
    model().bind_tools([weather], parallel_tool_calls=False).invoke("q")
    first, second, third = (request.json for request in requests(devnet))
    assert "parallel_tool_calls" not in first
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & second.keys()
    assert third["parallel_tool_calls"] is False


CALLED = Reply(None, tool_calls=[ToolCall("weather", {"city": "Rome"}, id="c1")])


@pytest.fixture(params=["invoke", "ainvoke", "stream", "astream"])
def ask(request):
    async def asking(chat, prompt="q"):
        if request.param == "invoke":
            return chat.invoke(prompt)
        if request.param == "ainvoke":
            return await chat.ainvoke(prompt)
        pieces = (
            list(chat.stream(prompt))
            if request.param == "stream"
            else [piece async for piece in chat.astream(prompt)]
        )
        whole = pieces[0]
        for piece in pieces[1:]:
            whole = whole + piece
        return whole

    return asking


@pytest.mark.parametrize("choice", ["any", "weather"])
async def test_a_missing_call_is_asked_for_once_more(routed, devnet, ask, choice):
    """Gateways turn "required" into "auto"; a model that talks is told to call."""
    devnet.responder = answers(lambda n: Reply("Let me see.") if n == 1 else CALLED)
    message = await ask(routed().bind_tools([weather], tool_choice=choice))
    assert message.tool_calls[0]["args"] == {"city": "Rome"}
    assert message.response_metadata["gonka"]["reasked"] is True
    assert message.response_metadata["finish_reason"] == "tool_calls"
    first, second = (request.json for request in requests(devnet))
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert second["messages"][-2] == {"role": "assistant", "content": "Let me see."}
    assert "`weather`" in second["messages"][-1]["content"]
    used = [prompt_tokens(request) for request in (first, second)]
    assert message.usage_metadata["input_tokens"] == sum(used)


def prompt_tokens(request):
    from gonka_integrations.devnet.scripted import prompt_tokens as count

    return count(request)


@pytest.mark.parametrize("choice", ["any", "weather"])
async def test_a_call_that_never_comes_is_an_error(routed, devnet, ask, choice):
    devnet.responder = answers(Reply("I would rather talk."))
    with pytest.raises(MissingToolCallError, match="asked twice") as raised:
        await ask(routed().bind_tools([weather], tool_choice=choice))
    assert len(requests(devnet)) == 2
    assert "I would rather talk." in str(raised.value)
    assert isinstance(raised.value, OutputParserException)


async def test_a_cut_answer_is_not_asked_for_again(model, devnet, ask):
    devnet.responder = answers(Reply("I would", finish_reason="length"))
    with pytest.raises(MissingToolCallError, match="max_tokens"):
        await ask(model().bind_tools([weather], tool_choice="any"))
    assert len(requests(devnet)) == 1


async def test_auto_is_not_asked_for_again(model, devnet, ask):
    devnet.responder = answers(Reply("Hello."))
    await ask(model().bind_tools([weather]))
    await ask(model().bind_tools([weather], tool_choice="auto"))
    assert len(requests(devnet)) == 2


@pytest.mark.parametrize("include_raw", [False, True])
async def test_structured_output_of_a_model_that_talks(routed, devnet, ask, include_raw):
    devnet.responder = answers(Reply("I would rather talk."))
    chain = routed().with_structured_output(Person, include_raw=include_raw)
    if not include_raw:
        with pytest.raises(MissingToolCallError):
            await ask(chain)
    else:
        result = await chain.ainvoke("q")
        assert result["raw"].content.startswith("I would rather talk.")
        assert result["parsed"] is None
        assert isinstance(result["parsing_error"], MissingToolCallError)
    assert len(requests(devnet)) == 2


async def test_structured_output_with_broken_arguments(model, devnet):
    devnet.responder = answers(Reply(None, tool_calls=[ToolCall("Person", "name: x")]))
    chain = model().with_structured_output(Person)
    with pytest.raises(OutputParserException, match="no JSON object"):
        chain.invoke("q")
    raw = model().with_structured_output(Person, include_raw=True).invoke("q")
    assert raw["raw"].invalid_tool_calls
    assert "no JSON object" in str(raw["parsing_error"])


async def test_structured_output_that_does_not_fit(model, devnet):
    devnet.responder = answers(Reply(None, tool_calls=[ToolCall("Person", {"name": 1})]))
    with pytest.raises(ValueError, match="home"):
        model().with_structured_output(Person).invoke("q")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_a_refusal_is_told(model, devnet, ask, method, output_version):
    devnet.responder = answers(Reply(None, refusal="I will not."))
    chat = model(output_version=output_version)
    with pytest.raises(AnswerRefusedError, match="I will not") as raised:
        await ask(chat.with_structured_output(Person, method=method), "json")
    assert isinstance(raised.value, ModelError)
    assert raised.value.is_retryable is False
    assert len(requests(devnet)) == 1


async def test_partial_objects_arrive_while_streaming(model):
    """Dict schemas stream, growing; so one can show an answer while it is made."""
    pieces = [p async for p in model().with_structured_output(JSON_PERSON).astream("q")]
    assert len(pieces) > 1
    assert pieces[-1] == {"name": "name"}
    schema = model().with_structured_output(JSON_PERSON, method="json_schema")
    assert list(schema.stream("q"))[-1] == {"name": "name"}


async def test_thinking_before_json(model, devnet):
    """Inline reasoning is taken out before the parser sees the text."""
    text = '<think>A name is needed.</think>{"name": "Ann"}'
    devnet.responder = answers(Reply(text))
    chain = model().with_structured_output(JSON_PERSON, method="json_mode")
    assert chain.invoke("json") == {"name": "Ann"}
    assert list(chain.stream("json"))[-1] == {"name": "Ann"}
