"""Agents and graphs over a network with faults: tools, memory, structured answers, streaming."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import init_chat_model
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import BaseModel

from gonka_integrations import ChatGonka
from gonka_integrations.devnet import Devnet, Fault, Reply, ToolCall
from gonka_integrations.errors import GonkaBadRequestError
from gonka_integrations.langchain import register_with_langchain


class Report(BaseModel):
    """What was found out."""

    city: str
    degrees: int
    clothes: str


@tool
def weather(city: str) -> str:
    """The temperature in a city, in degrees."""
    return f"{city}: 21"


@tool
def wardrobe(degrees: int) -> str:
    """What to wear at a temperature."""
    return "a shirt" if degrees > 15 else "a coat"


def traveller(request: dict[str, Any]) -> Reply:
    """A model that asks for the weather, then for clothes, then answers; and that remembers.

    It takes everything it says from the conversation, so an agent that loses a part of it cannot
    get the right answer.
    """
    turns = request["messages"]
    question = max(n for n, turn in enumerate(turns) if turn["role"] == "user")
    told = [turn["content"] for turn in turns[question:] if turn["role"] == "tool"]
    cities = re.findall(
        r"in (\w+)\?", " ".join(str(turn["content"]) for turn in turns[: question + 1])
    )
    if not told:
        return Reply("Let me see.", reasoning="Weather first.",
                     tool_calls=[ToolCall("weather", {"city": cities[-1]})])  # fmt: skip
    degrees = int(told[0].rpartition(" ")[2])
    if len(told) == 1:
        return Reply(None, tool_calls=[ToolCall("wardrobe", {"degrees": degrees})])
    report = {"city": cities[-1], "degrees": degrees, "clothes": told[1]}
    if any(tool["function"]["name"] == "Report" for tool in request["tools"]):
        return Reply(None, tool_calls=[ToolCall("Report", report)])
    return Reply(f"Wear {told[1]} in {cities[-1]}. Before: {cities[:-1]}")


@pytest.fixture
def troubled() -> Any:
    """Three hosts of which two fail in turns, in different ways."""
    with Devnet(hosts=3, responder=traveller) as net:
        net.hosts[0].fault = Fault("role_then_cut", probability=0.5)
        net.hosts[1].fault = Fault("status", status=503, probability=0.5)
        yield net


def chat_of(net: Devnet, route: str = "participants", **more: Any) -> ChatGonka:
    if route == "gateway":
        given = {"base_url": net.gateway.base_url, "api_key": net.gateway.api_key}
    else:
        given = {"private_key": net.private_key, "source_url": net.source_url}
    return ChatGonka(model="gonka/test-model", max_retries=6, **given, **more)


@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_two_tools_memory_and_a_structured_answer(troubled, route, output_version):
    """The whole of it, with faults on, by both routes, sync and async."""
    agent = create_agent(
        chat_of(troubled, route, output_version=output_version),
        [weather, wardrobe],
        response_format=ToolStrategy(Report),
        checkpointer=InMemorySaver(),
    )
    for thread, ask in (("1", "sync"), ("2", "async")):
        config = {"configurable": {"thread_id": thread}}
        for city in ("Rome", "Oslo"):
            asked = {"messages": [HumanMessage(f"What shall I wear in {city}?")]}
            state = (
                agent.invoke(asked, config) if ask == "sync" else await agent.ainvoke(asked, config)
            )
            assert state["structured_response"] == Report(city=city, degrees=21, clothes="a shirt")
        tools = [m.name for m in state["messages"] if isinstance(m, ToolMessage)]
        assert [name for name in tools if name != "Report"] == ["weather", "wardrobe"] * 2


async def test_memory_is_what_the_conversation_says(troubled):
    agent = create_agent(chat_of(troubled), [weather, wardrobe], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    for city in ("Rome", "Oslo"):
        state = await agent.ainvoke({"messages": [("user", f"What to wear in {city}?")]}, config)
    assert state["messages"][-1].content == "Wear a shirt in Oslo. Before: ['Rome']"


async def test_reasoning_goes_back_while_tools_are_used(troubled):
    """And not after: models with tools need it within a turn, and ignore or refuse it later."""
    agent = create_agent(chat_of(troubled), [weather, wardrobe], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    for city in ("Rome", "Oslo"):
        await agent.ainvoke({"messages": [("user", f"What to wear in {city}?")]}, config)
    last = max((r for h in troubled.hosts for r in h.requests), key=lambda r: r.time)
    thoughts = [turn.get("reasoning_content") for turn in last.json["messages"]]
    assert [t for t in thoughts if t] == ["Weather first."]
    assert thoughts.index("Weather first.") > len(thoughts) / 2


async def test_provider_strategy(devnet: Devnet):
    agent = create_agent(chat_of(devnet), [], response_format=ProviderStrategy(Report))
    state = await agent.ainvoke({"messages": [("user", "q")]})
    assert isinstance(state["structured_response"], Report)


async def test_stream_modes_of_graphs(troubled):
    """Tokens reach `messages`, states `updates`, and failovers `custom_event`s."""
    agent = create_agent(chat_of(troubled), [weather, wardrobe])
    asked = {"messages": [("user", "What to wear in Rome?")]}
    tokens = [
        message
        async for message, metadata in agent.astream(asked, stream_mode="messages")
        if metadata["langgraph_node"] == "model"
    ]
    assert "".join(m.text for m in tokens if m.text).endswith("Wear a shirt in Rome. Before: []")
    assert sum(bool(m.response_metadata) for m in tokens) == 3
    both = [(mode, data) for mode, data in agent.stream(asked, stream_mode=["updates", "messages"])]
    assert [next(iter(data)) for mode, data in both if mode == "updates"] == [
        "model", "tools", "model", "tools", "model",
    ]  # fmt: skip
    usages = [data[0].usage_metadata for mode, data in both if mode == "messages"
              if getattr(data[0], "usage_metadata", None)]  # fmt: skip
    assert len(usages) == 3


async def test_a_call_that_was_cut_is_not_carried_out(devnet: Devnet):
    """Also when tokens are watched, where LangChain completes what has arrived so far."""
    cut = Reply(None, tool_calls=[ToolCall("weather", '{"city": "Ro')], finish_reason="length")
    devnet.responder = lambda _: cut
    agent = create_agent(chat_of(devnet), [weather])
    asked = {"messages": [("user", "q")]}
    for state in (
        agent.invoke(asked),
        list(agent.stream(asked, stream_mode=["messages", "values"]))[-1][1],
    ):
        assert not any(isinstance(m, ToolMessage) for m in state["messages"])
        assert state["messages"][-1].invalid_tool_calls[0]["name"] == "weather"


async def test_a_graph_of_ones_own(devnet: Devnet):
    chat = chat_of(devnet)

    async def call(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await chat.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("call", call)
    graph.add_edge(START, "call")
    compiled = graph.compile()
    pieces = [
        message.content
        async for message, _ in compiled.astream(
            {"messages": ["hello there"]}, stream_mode="messages"
        )
    ]
    assert pieces == ["You", " said:", " hello", " there", ""]


async def test_middleware_that_retries_asks_whether_it_helps(devnet: Devnet):
    """A refused request is not repeated, a failed one is."""
    for status, expected in ((400, 1), (500, 3)):
        for host in devnet.hosts:
            host.fault = Fault("status", status=status)
        before = sum(len(h.requests) for h in devnet.hosts)
        chat = chat_of(devnet).model_copy(update={"max_retries": 0})
        retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
        agent = create_agent(chat, [], middleware=[retry])
        refused = pytest.raises(GonkaBadRequestError) if status == 400 else nullcontext()
        with refused:
            await agent.ainvoke({"messages": [("user", "q")]})
        assert sum(len(h.requests) for h in devnet.hosts) - before == expected


async def test_middleware_that_summarises(devnet: Devnet):
    """It counts tokens offline, and reads the profile of the model."""
    chat = chat_of(devnet).model_copy(update={"profile": {"max_input_tokens": 100}})
    summary = SummarizationMiddleware(chat, trigger=("fraction", 0.5), keep=("messages", 1))
    agent = create_agent(chat, [], middleware=[summary])
    long = [("user", "word " * 60), ("ai", "yes"), ("user", "and?")]
    state = await agent.ainvoke({"messages": long})
    assert "summary" in state["messages"][0].content


# init_chat_model.


async def test_init_chat_model(devnet: Devnet):
    assert register_with_langchain()
    assert register_with_langchain()
    given = {"private_key": devnet.private_key, "source_url": devnet.source_url}
    chat = init_chat_model("gonka:gonka/test-model", temperature=0, **given)
    assert isinstance(chat, ChatGonka)
    assert (await chat.ainvoke("q")).content == "You said: q"
    assert isinstance(init_chat_model("gonka/test-model", model_provider="gonka"), ChatGonka)
    configurable = init_chat_model(configurable_fields=("model",), model_provider="gonka", **given)
    config = {"configurable": {"model": "gonka/test-model"}}
    assert configurable.bind_tools([weather]).invoke("q", config).tool_calls


def test_registering_fails_softly(monkeypatch, caplog):
    from langchain.chat_models import base

    for table in ({}, None, {"openai": "langchain_openai.ChatOpenAI"}, {"openai": ("a", "b")}):
        monkeypatch.setattr(base, "_BUILTIN_PROVIDERS", table)
        assert register_with_langchain() is False
    monkeypatch.delattr(base, "_BUILTIN_PROVIDERS")
    assert register_with_langchain() is False
    assert "ChatGonka(model=…)" in caplog.text
