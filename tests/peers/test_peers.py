"""Answers, streams and tools of other packages, as docs/langchain.md has them in its table.

They are installed into an environment of its own: ``make peers``. There is one test for each row
and one case for each cell. A package that improves fails its case, and the page is corrected.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.messages.block_translators import get_translator
from peer_models import cells, chunks, end, failure, streamed, yes
from pydantic import BaseModel

from gonka_integrations.devnet import Reply, ToolCall

pytestmark = pytest.mark.filterwarnings("ignore")

F, G = ToolCall("f", {"a": 1}, id="c1"), ToolCall("g", {"b": 2}, id="c2")
SUITE = str(Path(__file__).with_name("standard_suite.py"))
HALF = '{"number": "17'


def f(a: int) -> int:
    """F."""
    return a


class Line(BaseModel):
    """A line."""

    name: str


class Invoice(BaseModel):
    """An invoice."""

    number: str
    line: Line


INVOICE = {
    "title": "Invoice",
    "description": "An invoice.",
    "type": "object",
    "properties": {"number": {"type": "string"}},
    "required": ["number"],
}


# Answers and streams.


@cells("no: 7 fail", "no: 9 fail", "no: 1 fails", "no: 11 fail")
def test_standard_suite(peer, cell, request):
    """All of it, in a process of its own."""
    name = request.node.callspec.id
    options = ["-W", "ignore", "-q", "--tb=no", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, SUITE],
        env={**os.environ, "PEER": name},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"(\d+) failed, \d+ passed", run.stdout)
    assert found, run.stdout
    assert re.findall(r"\d+", cell) == [found[1]], run.stdout


@cells("yes")
async def test_native_async(model, cell, monkeypatch):
    """Nothing falls back to a thread that runs the synchronous methods."""
    chat = model()

    def blocking(*_: Any, **__: Any) -> None:
        raise AssertionError("the synchronous method was called")

    for name in ("_generate", "_stream"):
        monkeypatch.setattr(type(chat), name, blocking)
    await chat.ainvoke("q")
    said = [chunk.content async for chunk in chat.astream("one two")]
    assert yes(len(said) > 3) == cell


@cells("no", "by a retry", "no", "yes")
def test_event_loops(model, cell):
    """One model in one loop after the other."""

    async def ask(chat: Any) -> None:
        await asyncio.gather(*(chat.ainvoke("q") for _ in range(3)))
        async for _ in chat.astream("q"):
            pass

    def works(**more: Any) -> bool:
        chat = model(**more)
        errors = [failure(lambda: asyncio.run(ask(chat))) for _ in range(4)]
        return errors == [None] * 4

    if cell == "by a retry":
        assert not works(max_retries=0)
    assert works() == (cell != "no")


@cells(
    "not with a base_url of one's own",
    "only Groq's form",
    "not with a base_url of one's own",
    "yes",
)
def test_usage_in_streams(model, cell, server):
    found = streamed(model()).usage_metadata
    asked = "stream_options" in server.last
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    server.responder = chunks([{"content": "a"}], end(x_groq={"usage": usage}))
    groqs = streamed(model()).usage_metadata
    others = {(False, False): "not with a base_url of one's own", (False, True): "only Groq's form"}
    assert yes(found, others.get((asked, bool(groqs)), "?")) == cell


@cells("yes")
def test_usage_details(model, cell, server):
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    server.responder = lambda _: Reply("a", usage=usage)
    found = model().invoke("q").usage_metadata
    read, thought = found["input_token_details"], found["output_token_details"]
    assert yes((read["cache_read"], thought["reasoning"]) == (4, 2)) == cell


@cells("doubled", "doubled", "doubled", "yes")
def test_metadata_on_one_chunk(model, cell, server):
    """Also when a server repeats the finish."""
    server.responder = chunks([{"content": "a"}], end(), end())
    finish = streamed(model()).response_metadata["finish_reason"]
    assert {"stop": "yes", "stopstop": "doubled"}[finish] == cell


@cells("yes", "no", "yes", "no")
def test_model_name(model, cell, server):
    """It is the one that the server says."""
    server.served_as = "m-2026-11"
    assert yes(model().invoke("q").response_metadata["model_name"] == "m-2026-11") == cell


@cells("a call is lost", "arguments get mixed up", "a call is lost", "a call is lost")
def test_blocks_survive_text_before_calls(model, cell, server):
    server.responder = lambda _: Reply("Let me check.", tool_calls=[F, G])
    blocks = streamed(model(output_version="v1")).content_blocks
    found = [(one["name"], one["args"]) for one in blocks if one["type"] == "tool_call"]
    seen = {
        (("f", "{'a': 1}"), ("g", "{'b': 2}")): "yes",
        (("g", "{'b': 2}"),): "a call is lost",
        (("f", "{'a': 1, 'b': 2}"), ("g", "{}")): "arguments get mixed up",
    }
    assert seen[tuple((name, str(arguments)) for name, arguments in found)] == cell


@cells("yes", "yes", "no", "yes")
def test_block_translator(model, cell):
    provider = model().invoke("q").response_metadata["model_provider"]
    assert yes(get_translator(provider)) == cell


@cells("no, by policy", "yes", "yes", "yes")
def test_reasoning_captured(model, cell, server):
    """Under Groq's name for it, and that of everybody else."""
    server.responder = lambda _: Reply("a", reasoning="Hm.", message={"reasoning": "Hm."})
    found = model().invoke("q").additional_kwargs.get("reasoning_content")
    assert yes(found == "Hm.", "no, by policy") == cell


@cells("no", "no", "no", "yes")
def test_reasoning_sent_back(model, cell, server):
    answer = AIMessage("a", additional_kwargs={"reasoning_content": "Hm."})
    model().invoke([HumanMessage("q"), answer, HumanMessage("q")])
    assert yes("Hm." in str(server.last["messages"])) == cell


# Tools.


@cells("any text passes", "any text passes", "any text passes", "yes")
def test_tool_choice(model, cell, server):
    """Each form goes over the wire; the name of no tool is refused before anything is sent."""
    named = {"type": "function", "function": {"name": "f"}}
    for choice, sent in (("any", "required"), ("f", named), (named, named)):
        model().bind_tools([f], tool_choice=choice).invoke("q")
        assert server.last["tool_choice"] == sent
    before = len(server.requests)
    failure(lambda: model().bind_tools([f], tool_choice="unknown").invoke("q"))
    assert yes(len(server.requests) == before, "any text passes") == cell


@cells("no: the object is None")
def test_a_missing_call(model, cell, server):
    server.responder = lambda _: Reply("I will not call it.")
    found = model().with_structured_output(INVOICE, method="function_calling").invoke("q")
    assert (len(server.requests), found) == (1, None)
    assert cell.startswith("no")


def piece(arguments: Any, **more: Any) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"index": 0, "id": "c1", "type": "function", "function": function} | more


def rest(arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": 0, "function": {"name": None, "arguments": arguments}} | more


SHAPES = {
    "no index": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a"'}},
        {"function": {"arguments": ": 1}"}},
    ],
    "id and name again": [piece('{"a"'), piece(": 1}")],
    "ids made anew": [piece('{"a"'), rest(": 1}", id="c9")],
    "arguments encoded twice": [piece('"{\\"a\\"'), rest(': 1}"')],
    "arguments as an object": [piece({"a": 1})],
    "null fields": [piece(None, type=None), rest('{"a": 1}', id=None)],
}


@cells("1 form of 6", "1 form of 6", "1 form of 6", "3 forms of 6")
def test_malformed_calls(model, cell, server):
    """The forms that tests of ChatGonka use."""
    understood = []
    for name, pieces in SHAPES.items():
        server.responder = chunks([{"tool_calls": [one]} for one in pieces], end("tool_calls"))
        calls: list[Any] = []
        failure(lambda found=calls: found.extend(streamed(model()).tool_calls))
        if [(call["name"], call["args"], call["id"]) for call in calls] == [("f", {"a": 1}, "c1")]:
            understood.append(name)
    seen = {
        ("null fields",): "1 form of 6",
        ("no index", "arguments as an object", "null fields"): "3 forms of 6",
    }
    assert seen[tuple(understood)] == cell


@cells("carried out after streams")
def test_calls_that_are_cut(model, cell, server):
    half = ToolCall("f", '{"a": "hal', id="c1")
    server.responder = lambda _: Reply(None, tool_calls=[half], finish_reason="length")
    assert model().invoke("q").tool_calls == []
    (call,) = streamed(model()).tool_calls
    assert call["args"] == {"a": "hal"}
    assert cell == "carried out after streams"


@cells("yes", "parallel only", "yes", "parallel only")
def test_strict_tools(model, cell, server):
    model().bind_tools([f], parallel_tool_calls=False).invoke("q")
    assert server.last["parallel_tool_calls"] is False
    model().bind_tools([f], strict=True).invoke("q")
    (tool,) = server.last["tools"]
    assert yes(tool["function"].get("strict"), "parallel only") == cell


@cells("yes", "yes", "yes", "no")
def test_invalid_calls_in_history(model, cell, server):
    bad = {"name": "f", "args": '{"a', "id": "c1", "error": "no", "type": "invalid_tool_call"}
    answer = AIMessage("", invalid_tool_calls=[bad])
    history = [HumanMessage("q"), answer, ToolMessage("no JSON", tool_call_id="c1")]
    error = failure(lambda: model().invoke(history))
    assert yes(error is None and "tool_calls" in server.last["messages"][1]) == cell


# Structured output.


def objects(text: str, **more: Any) -> Any:
    """Answers with *text* as the arguments of a call, or as the message."""

    def answer(request: dict[str, Any]) -> Reply:
        if "tools" in request:
            return Reply(None, tool_calls=[ToolCall("Invoice", text)], **more)
        return Reply(text, **more)

    return answer


@cells("yes", "yes", "json_schema becomes function_calling", "yes")
def test_three_methods(model, cell, server):
    server.responder = objects('{"number": "17", "line": {"name": "x"}}')
    sent = []
    for method in ("function_calling", "json_mode", "json_schema"):
        found = model().with_structured_output(Invoice, method=method).invoke("json")
        assert found == Invoice(number="17", line=Line(name="x"))
        sent.append(server.last.get("response_format", {}).get("type"))
    assert sent[:2] == [None, "json_object"]
    assert yes(sent[2] == "json_schema", "json_schema becomes function_calling") == cell


@cells("by json_schema, not by calls", "by calls, not in streams", "no", "by calls, not in streams")
def test_objects_that_are_cut(model, cell, server):
    """Told means an error; half an object is none, and None does not say why."""
    server.responder = objects(HALF, finish_reason="length")
    told = []
    for method in ("function_calling", "json_schema"):
        chat = model().with_structured_output(INVOICE, method=method)
        told.append(failure(lambda chat=chat: chat.invoke("json")) is not None)
        told.append(failure(lambda chat=chat: list(chat.stream("json"))) is not None)
    seen = {
        (False, False, True, True): "by json_schema, not by calls",
        (True, False, False, False): "by calls, not in streams",
        (False, False, False, False): "no",
    }
    assert seen[tuple(told)] == cell


@cells("inlined for calls")
def test_schemas_inlined(model, cell, server):
    """What is deeper than a gateway takes is sent all the same."""
    failure(lambda: model().with_structured_output(Invoice, method="function_calling").invoke("q"))
    (tool,) = server.last["tools"]
    assert "$defs" not in tool["function"]["parameters"]
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        deep = {"type": "object", "properties": {"x": deep}}
    before = len(server.requests)
    failure(lambda: model().with_structured_output({**INVOICE, **deep}).invoke("q"))
    assert len(server.requests) > before
    assert cell == "inlined for calls"
