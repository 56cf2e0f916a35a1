"""Streams: what arrives, in which pieces, and what it adds up to."""

from __future__ import annotations

import asyncio
from functools import reduce
from operator import add

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from gonka_integrations import ChatGonka, StreamInterruptedError
from gonka_integrations.devnet import Devnet, Fault, Reply, ToolCall

F, G = ToolCall("f", {"a": 1}, id="c1"), ToolCall("g", {"b": 2}, id="c2")


def f(a: int) -> int:
    """F."""
    return a


def chunk(delta, finish=None, **more):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def said(*deltas, finish="stop", usage=None):
    """A reply that streams these deltas as they are."""
    chunks = [chunk({"role": "assistant", "content": ""}), *map(chunk, deltas), chunk({}, finish)]
    if usage:
        chunks.append({"choices": [], "usage": usage})
    return lambda _request: Reply(chunks=chunks)


async def streamed(model, how, prompt="q", **more):
    """Chunks of a stream, by either side of the API."""
    if how == "sync":
        return await asyncio.to_thread(lambda: list(model.stream(prompt, **more)))
    return [chunk async for chunk in model.astream(prompt, **more)]


@pytest.fixture(params=["sync", "async"])
def how(request):
    return request.param


async def test_text_arrives_in_pieces_and_facts_once(model, how):
    """One chunk, the last, says why the answer ended, what it cost, and who served it."""
    chunks = await streamed(model(), how, "one two three")
    assert [c.content for c in chunks] == ["You", " said:", " one", " two", " three", ""]
    assert [bool(c.response_metadata) for c in chunks] == [False] * 5 + [True]
    assert [c.usage_metadata is not None for c in chunks] == [False] * 5 + [True]
    assert [c.chunk_position for c in chunks] == [None] * 5 + ["last"]
    whole = reduce(add, chunks)
    metadata = whole.response_metadata
    assert (metadata["finish_reason"], metadata["model_name"]) == ("stop", "gonka/test-model")
    assert metadata["model_provider"] == "gonka"
    assert whole.usage_metadata["output_tokens"] == 5


async def test_a_finish_that_is_repeated_is_told_once(model, how, devnet):
    devnet.responder = said({"content": "a"}, finish="stop")
    reply = devnet.responder(None)
    devnet.responder = lambda _: Reply(chunks=[*reply.chunks, chunk({}, "stop"), chunk({}, "stop")])
    whole = reduce(add, await streamed(model(), how))
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.response_metadata["model_name"] == "gonka/test-model"


async def test_usage_on_every_chunk_is_counted_once(model, how, devnet):
    """vLLM's continuous usage: the last one counts, they are not added up."""
    usages = [
        {"prompt_tokens": 3, "completion_tokens": n, "total_tokens": 3 + n} for n in (1, 2, 3)
    ]
    chunks = [chunk({"content": "x"}, usage=u) for u in usages] + [chunk({}, "stop")]
    devnet.responder = lambda _: Reply(chunks=chunks)
    whole = reduce(add, await streamed(model(), how))
    assert whole.usage_metadata["output_tokens"] == 3
    assert whole.usage_metadata["input_tokens"] == 3


async def test_usage_is_asked_for_unless_it_is_not_wanted(model, devnet):
    list(model().stream("q"))
    list(model(stream_usage=False).stream("q"))
    asked = [r.json["stream_options"] for host in devnet.hosts for r in host.requests]
    assert sorted(option["include_usage"] for option in asked) == [False, True]


async def test_content_in_the_finishing_chunk_is_not_lost(model, how, devnet):
    devnet.responder = lambda _: Reply(
        chunks=[chunk({"content": "a"}), chunk({"content": "b"}, "stop")]
    )
    assert reduce(add, await streamed(model(), how)).content == "ab"


@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_reasoning_text_and_calls_all_survive(model, how, devnet, output_version):
    """Text or reasoning before calls: every block is there, in order, by either version."""
    devnet.responder = lambda _: Reply("Let me check.", reasoning="Hm, so.", tool_calls=[F, G])
    chunks = await streamed(model(output_version=output_version), how)
    whole = reduce(add, chunks)
    blocks = whole.content_blocks
    assert [block["type"] for block in blocks] == ["reasoning", "text", "tool_call", "tool_call"]
    assert blocks[0]["reasoning"] == "Hm, so."
    assert blocks[1]["text"] == "Let me check."
    assert [(b["name"], b["args"], b["id"]) for b in blocks[2:]] == [
        ("f", {"a": 1}, "c1"),
        ("g", {"b": 2}, "c2"),
    ]
    assert [call["name"] for call in whole.tool_calls] == ["f", "g"]
    if output_version == "v1":
        assert whole.content == blocks
    else:
        assert whole.content == "Let me check."
        assert whole.additional_kwargs["reasoning_content"] == "Hm, so."


@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_invoke_with_streaming_inside_keeps_every_block(model, devnet, output_version):
    devnet.responder = lambda _: Reply("Let me check.", reasoning="Hm.", tool_calls=[F, G])
    chat = model(output_version=output_version)
    for message in (
        chat.invoke("q"),
        chat.invoke("q", stream=True),
        await chat.ainvoke("q", stream=True),
    ):
        kinds = [block["type"] for block in message.content_blocks]
        assert kinds == ["reasoning", "text", "tool_call", "tool_call"]


async def test_text_after_calls_is_a_block_of_its_own(model, how, devnet):
    opening = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    devnet.responder = said({"content": "A"}, {"tool_calls": [opening]}, {"content": "B"})
    whole = reduce(add, await streamed(model(output_version="v1"), how))
    assert [(b["type"], b.get("text")) for b in whole.content] == [
        ("text", "A"),
        ("tool_call", None),
        ("text", "B"),
    ]


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_protocol_events(model, devnet, output_version):
    """`stream_events(version="v3")` tells each block from its start to its end."""
    devnet.responder = lambda _: Reply("So.", reasoning="Hm.", tool_calls=[F, G])
    events = list(model(output_version=output_version).stream_events("q", version="v3"))
    finished = [e["content"] for e in events if e["event"] == "content-block-finish"]
    assert [block["type"] for block in finished] == ["reasoning", "text", "tool_call", "tool_call"]
    assert finished[2]["args"] == {"a": 1}
    assert events[-1]["metadata"]["finish_reason"] == "tool_calls"
    assert events[-1]["usage"]["input_tokens"] > 0


@pytest.mark.parametrize("cut", [1, 3, 1000])
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_thinking_inside_the_text(model, how, devnet, cut, output_version):
    """`<think>…</think>` is reasoning, wherever chunks cut it."""
    text = "<think>\nHm, 1 < 2.\n</think>\n\nYes."
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    devnet.responder = lambda _: Reply(text, pieces=pieces)
    for message in (
        reduce(add, await streamed(model(output_version=output_version), how)),
        model(output_version=output_version).invoke("q"),
    ):
        blocks = message.content_blocks
        assert [(b["type"], b.get("reasoning") or b.get("text")) for b in blocks] == [
            ("reasoning", "Hm, 1 < 2."),
            ("text", "Yes."),
        ]


async def test_content_that_is_streamed_as_parts(model, how, devnet):
    parts = [{"content": [{"type": "text", "text": text}]} for text in "ab"]
    devnet.responder = said(*parts)
    assert reduce(add, await streamed(model(), how)).content == "ab"


async def test_an_answer_that_ends_while_thinking(model, how, devnet):
    devnet.responder = lambda _: Reply("<think>Hm, </th", finish_reason="length")
    whole = reduce(add, await streamed(model(), how))
    assert (whole.content, whole.additional_kwargs) == ("", {"reasoning_content": "Hm, </th"})
    assert whole.response_metadata["finish_reason"] == "length"


SHAPES = {
    "no index": [
        {"id": "c1", "function": {"name": "f", "arguments": '{"a"'}},
        {"function": {"arguments": ": 1}"}},
    ],
    "id and name again": [
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}},
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": ": 1}"}},
    ],
    "ids made anew": [
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}},
        {"index": 0, "id": "c9", "function": {"name": None, "arguments": ": 1}"}},
    ],
    "arguments encoded twice": [
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '"{\\"a\\"'}},
        {"index": 0, "function": {"arguments": ': 1}"'}},
    ],
    "arguments as an object": [
        {"index": 0, "id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}
    ],
    "null fields": [
        {"index": 0, "id": "c1", "type": None, "function": {"name": "f", "arguments": None}},
        {"index": 0, "id": None, "function": {"name": None, "arguments": '{"a": 1}'}},
    ],
}  # fmt: skip


@pytest.mark.parametrize("pieces", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_malformed_calls(model, how, devnet, pieces, output_version):
    devnet.responder = said(*({"tool_calls": [piece]} for piece in pieces), finish="tool_calls")
    chat = model(output_version=output_version)
    for message in (reduce(add, await streamed(chat, how)), chat.invoke("q")):
        assert message.tool_calls == [
            {"name": "f", "args": {"a": 1}, "id": "c1", "type": "tool_call"}
        ]
        assert [b["type"] for b in message.content_blocks] == ["tool_call"]


async def test_a_call_that_is_no_list(model, how, devnet):
    call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}}
    devnet.responder = said({"tool_calls": call}, finish="tool_calls")
    for message in (reduce(add, await streamed(model(), how)), model().invoke("q")):
        assert [(c["name"], c["args"]) for c in message.tool_calls] == [("f", {"a": 1})]


CUT = ['{"a": "hal', '{"a": "hal\\', '{"a": 1', '{"a": [1', '{"a": {"b": 1', '{"a": 1, "b', "{"]


@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize("text", CUT)
async def test_a_call_that_was_cut_is_no_call(model, how, devnet, text, output_version):
    """Half of the arguments is not what the model wanted; nothing may be carried out with them."""
    call = {"index": 0, "id": "c1", "function": {"name": "f", "arguments": text}}
    devnet.responder = said({"content": "So."}, {"tool_calls": [call]}, finish="length")
    chat = model(output_version=output_version)
    for message in (
        reduce(add, await streamed(chat, how)),
        await chat.ainvoke("q", stream=True),
        chat.invoke("q"),
    ):
        assert message.tool_calls == []
        (bad,) = message.invalid_tool_calls
        assert (bad["name"], bad["id"]) == ("f", "c1")
        assert bad["args"].startswith(text)
        assert message.text == "So."


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")
async def test_protocol_events_of_a_call_that_was_cut(model, devnet):
    devnet.responder = lambda _: Reply(None, tool_calls=[ToolCall("f", '{"a": "hal')])
    events = list(model().stream_events("q", version="v3"))
    (finished,) = [e["content"] for e in events if e["event"] == "content-block-finish"]
    assert finished["type"] == "invalid_tool_call"


async def test_parallel_calls_that_are_all_numbered_0(model, how, devnet):
    calls = [
        {"index": 0, "id": i, "function": {"name": n, "arguments": "{}"}}
        for i, n in [("c1", "f"), ("c2", "g")]
    ]
    devnet.responder = said(*({"tool_calls": [c]} for c in calls), finish="tool_calls")
    whole = reduce(add, await streamed(model(), how))
    assert [(c["id"], c["name"]) for c in whole.tool_calls] == [("c1", "f"), ("c2", "g")]


async def test_arguments_that_are_no_json_are_kept(model, devnet):
    devnet.responder = lambda _: Reply(None, tool_calls=[ToolCall("f", "a: 1", id="c1")])
    message = model().invoke("q")
    (bad,) = message.invalid_tool_calls
    assert (bad["name"], bad["args"], bad["id"]) == ("f", "a: 1", "c1")
    assert "no JSON object" in bad["error"]
    assert [b["type"] for b in message.content_blocks] == ["invalid_tool_call"]
    model().invoke(["q", message])
    sent = [r.json for h in devnet.hosts for r in h.requests if len(r.json["messages"]) > 1]
    assert sent[0]["messages"][1]["tool_calls"][0]["id"] == "c1"


@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_refusals_are_kept(model, how, devnet, output_version):
    devnet.responder = lambda _: Reply(None, refusal="I will not.")
    chat = model(output_version=output_version)
    for message in (reduce(add, await streamed(chat, how)), chat.invoke("q")):
        blocks = [b.get("value", b) for b in message.content_blocks]
        assert blocks[0]["refusal"] == "I will not."


async def test_log_probabilities(model, how):
    chunks = await streamed(model(logprobs=True), how, "a b")
    whole = reduce(add, chunks)
    assert len(whole.response_metadata["logprobs"]["content"]) == 4
    assert len(model(logprobs=True).invoke("a b").response_metadata["logprobs"]["content"]) == 4


async def test_alternatives(model, devnet):
    """`n` answers by generate; a stream is one answer and asks for one."""
    result = await model(n=3).agenerate([[HumanMessage("q")]])
    assert len(result.generations[0]) == 3
    assert result.generations[0][1].message.usage_metadata is None
    list(model(n=3).stream("q"))
    assert {r.json.get("n") for host in devnet.hosts for r in host.requests} == {3, None}


async def test_a_stream_left_early_ends_upstream(model, how, devnet):
    """Whoever stops reading stops the generation, and the connection is let go."""
    devnet.token_delay = 0.05
    devnet.responder = lambda _: Reply("word " * 400)
    chat = model()
    if how == "sync":
        stream = chat.stream("q")
        next(stream)
        stream.close()
    else:
        astream = chat.astream("q")
        await anext(astream)
        await astream.aclose()
    for _ in range(200):
        if not sum(host.in_flight for host in devnet.hosts):
            break
        await asyncio.sleep(0.02)
    (request,) = [r for host in devnet.hosts for r in host.requests]
    assert request.disconnected
    assert sum(e["in_flight"] for e in chat.session.stats()["endpoints"]) == 0


async def test_a_host_that_dies_before_content_is_replaced(model, how, devnet):
    """A role delta is no content: what follows it may still come from another host."""
    devnet.hosts[0].fault = devnet.hosts[1].fault = Fault("role_then_cut")
    whole = reduce(add, await streamed(model(), how))
    assert whole.content == "You said: q"
    gonka = whole.response_metadata["gonka"]
    assert gonka["address"] == devnet.hosts[2].address
    assert gonka["failovers"] == len(gonka["attempts"]) - 1


async def test_a_stream_that_breaks_later_is_an_error_with_what_came(model, how, devnet):
    for host in devnet.hosts:
        host.fault = Fault("cut", after_tokens=3)
    with pytest.raises(StreamInterruptedError) as raised:
        await streamed(model(), how, "a b c d e f")
    assert raised.value.partial_text == "You said: a"
    assert sum(len(host.requests) for host in devnet.hosts) == 1


async def test_a_stream_that_falls_silent(model, how, devnet):
    """The time between two pieces is bounded, in both worlds."""
    for host in devnet.hosts:
        host.fault = Fault("hang_mid_stream", after_tokens=2)
    with pytest.raises(StreamInterruptedError, match="timeout") as raised:
        await streamed(model(idle_timeout=0.2), how, "a b c")
    assert raised.value.partial_text == "You said:"


def test_chunks_are_what_the_constructor_makes():
    """Chunks made the cheap way equal, pickle and merge like any other."""
    import copy
    import pickle

    from langchain_core.outputs import ChatGenerationChunk

    from gonka_integrations._langchain.chunks import generation_chunk

    ours = generation_chunk("hi", {"content": "hi"})
    theirs = ChatGenerationChunk(message=AIMessageChunk(content="hi"))
    assert ours == theirs
    assert pickle.loads(pickle.dumps(ours)) == copy.deepcopy(ours) == theirs
    assert (ours + ours) == (theirs + theirs)
    assert ours.message.model_dump() == theirs.message.model_dump()
    other = generation_chunk("", {"content": ""})
    assert other.message.tool_calls is not ours.message.tool_calls


def test_tools_can_be_bound_as_wire_dicts(model, devnet):
    message = model().bind(tools=[convert_to_openai_tool(f)], tool_choice="f").invoke("q")
    assert message.tool_calls[0]["name"] == "f"


def test_type_names(devnet: Devnet, model):
    assert isinstance(model(), ChatGonka)
    assert model()._llm_type == "gonka-chat"
