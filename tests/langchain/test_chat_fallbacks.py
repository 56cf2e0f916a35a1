"""When the network cannot serve: providers inside the pool, and LangChain's own fallbacks."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from gonka_integrations import ChatGonka, GonkaError
from gonka_integrations.devnet import Devnet, Fault


class Person(BaseModel):
    """A person."""

    name: str


def weather(city: str) -> str:
    """The weather in a city."""
    return city


@pytest.fixture
def net():
    with Devnet(hosts=2, gateways=1, providers=1) as made:
        yield made


@pytest.fixture
def chat(net):
    """A model of the network with a provider behind it that has another name for the model."""
    provider = {
        "base_url": net.provider.base_url,
        "api_key": net.provider.api_key,
        "models": {"gonka/test-model": "provider/test"},
    }
    return ChatGonka(
        model="gonka/test-model",
        private_key=net.private_key,
        endpoints=net.endpoints,
        fallbacks=[provider],
        max_retries=3,
    )


def break_all(net, fault=None):
    for host in net.hosts:
        host.fault = fault or Fault("status", status=503)


WAYS = ["invoke", "ainvoke", "stream", "astream"]


async def ask(runnable, way, prompt="q"):
    if way == "invoke":
        return runnable.invoke(prompt)
    if way == "ainvoke":
        return await runnable.ainvoke(prompt)
    if way == "stream":
        return reduce(add, runnable.stream(prompt))
    return reduce(add, [piece async for piece in runnable.astream(prompt)])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["status", "role_then_cut", "refuse", "html"])
async def test_a_provider_of_the_pool_takes_over(net, chat, way, kind):
    """Also for streams, until their first content."""
    break_all(net, Fault(kind))
    message = await ask(chat, way)
    assert message.content == "You said: q"
    gonka = message.response_metadata["gonka"]
    assert (gonka["kind"], gonka["tier"], gonka["model"]) == ("provider", 1, "provider/test")
    assert gonka["failovers"] >= 1
    assert net.provider.requests[-1].json["model"] == "provider/test"


@pytest.mark.parametrize("way", WAYS)
async def test_tools_and_structured_output_fall_back_too(net, chat, way):
    break_all(net)
    called = await ask(chat.bind_tools([weather], tool_choice="any"), way)
    assert called.tool_calls[0]["name"] == "weather"
    for method in ("function_calling", "json_schema"):
        structured = chat.with_structured_output(Person, method=method)
        made = (
            await ask(structured, way)
            if "stream" not in way
            else [piece async for piece in structured.astream("q")][-1]
        )
        assert made == Person(name="name")


async def test_the_network_is_asked_first(net, chat):
    assert (await chat.ainvoke("q")).response_metadata["gonka"]["kind"] == "participant"
    assert not net.provider.requests


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["status", "role_then_cut"])
async def test_langchains_fallbacks(net, way, kind):
    """Any other chat model takes over, also in streams: no empty chunk pretends to be content."""
    break_all(net, Fault(kind))
    chat = ChatGonka(
        model="gonka/test-model",
        private_key=net.private_key,
        endpoints=net.endpoints,
        max_retries=1,
    ).with_fallbacks([FakeListChatModel(responses=["from elsewhere"])])
    assert (await ask(chat, way)).content == "from elsewhere"


async def test_langchains_fallbacks_with_tools(net):
    class Elsewhere(GenericFakeChatModel):
        def bind_tools(self, tools, **kwargs):
            return self

    break_all(net)
    call = {"name": "Person", "args": {"name": "Ann"}, "id": "c"}
    answers = [AIMessage("elsewhere"), AIMessage("", tool_calls=[call])]
    other = Elsewhere(messages=iter(answers))
    chat = ChatGonka(
        model="gonka/test-model",
        private_key=net.private_key,
        endpoints=net.endpoints,
        max_retries=0,
    )
    both = chat.with_fallbacks([other])
    assert both.bind_tools([weather]).invoke("q").content == "elsewhere"
    assert both.with_structured_output(Person).invoke("q") == Person(name="Ann")


async def test_one_budget_of_attempts(net):
    """Retries do not multiply: max_retries is the total over all endpoints."""
    break_all(net)
    chat = ChatGonka(
        model="gonka/test-model",
        private_key=net.private_key,
        endpoints=net.endpoints,
        max_retries=2,
    )
    with pytest.raises(GonkaError):
        await chat.ainvoke("q")
    assert sum(len(host.requests) for host in net.hosts) == 3
    with pytest.raises(GonkaError):
        await chat.ainvoke("q", max_retries=0)
    assert sum(len(host.requests) for host in net.hosts) == 4


async def test_options_of_a_call(net, chat):
    """Time-outs and headers can be given with a call; they are no request parameters."""
    break_all(net)
    chat.invoke("q", timeout=30, extra_headers={"X-Mine": "1"}, temperature=0.2)
    (request,) = net.provider.requests
    assert request.headers["x-mine"] == "1"
    assert request.json["temperature"] == 0.2
    assert "timeout" not in request.json
    assert "extra_headers" not in request.json
