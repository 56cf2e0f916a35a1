"""What an LLM of LlamaIndex promises, as tests for any endpoint.

Against the endpoint that the `GONKA_*` environment names::

    pytest --pyargs gonka_integrations.testing.llama_index

or for a model of your own, of any class::

    from gonka_integrations.testing.llama_index import LLMConformance

    class TestMine(LLMConformance):
        @pytest.fixture
        def llm(self):
            return GonkaLLM("…", base_url="…", api_key="…")

The tests look at the contract, not at what the model says, and ask short questions: a run costs
about fifty small requests. Switch off what the endpoint cannot do by the class attributes.
"""
# ruff: noqa: S101, PLR2004, S301

from __future__ import annotations

import asyncio
import copy
import os
import pickle
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from ..llama_index import GonkaLLM

if TYPE_CHECKING:
    from collections.abc import Callable

CHATS = ("chat", "achat", "stream_chat", "astream_chat")
COMPLETIONS = ("complete", "acomplete", "stream_complete", "astream_complete")
METHODS = (*CHATS, *COMPLETIONS)
STREAMS = tuple(name for name in METHODS if "stream" in name)
PREDICTIONS = (
    "structured_predict",
    "astructured_predict",
    "stream_structured_predict",
    "astream_structured_predict",
)


def run(llm: Any, method: str, *args: Any, **kwargs: Any) -> list[Any]:
    """Everything that a method gives, whichever way it gives it, in a loop of its own."""
    answer = getattr(llm, method)(*args, **kwargs)
    if method.startswith("a"):
        return asyncio.run(_gather(answer))
    return list(answer) if "stream" in method else [answer]


async def _gather(awaitable: Any) -> list[Any]:
    answer = await awaitable
    return [item async for item in answer] if hasattr(answer, "__aiter__") else [answer]


def text_of(response: Any) -> str:
    """The text of a response of either kind."""
    text: str | None = response.text if hasattr(response, "text") else response.message.content
    return text or ""


class City(BaseModel):
    """A city."""

    name: str = Field(description="Name of the city")
    country: str = Field(description="Country it lies in")


def weather(city: str) -> str:
    """Look up the weather of a city."""
    return f"It is sunny in {city}."


class LLMConformance:
    """Inherit, and give the fixture `llm`."""

    #: Whether the endpoint calls tools.
    has_tools: ClassVar[bool] = True
    #: Whether it calls one when it must. Gateways of the network only ask the model to.
    has_required_tools: ClassVar[bool] = True
    #: Whether it says how many tokens were used.
    has_usage: ClassVar[bool] = True
    #: Tokens to allow for an answer; reasoning models need more.
    max_tokens: ClassVar[int] = 512

    @pytest.fixture
    def llm(self) -> Any:
        """The model to test."""
        raise NotImplementedError("give the fixture `llm`")

    @pytest.fixture
    def tool(self) -> FunctionTool:
        """A tool."""
        return FunctionTool.from_defaults(weather)

    def _ask(self, llm: Any, method: str, text: str = "Say hello.", **kwargs: Any) -> list[Any]:
        subject: Any = [ChatMessage(content=text)] if method in CHATS else text
        return run(llm, method, subject, max_tokens=self.max_tokens, **kwargs)

    @pytest.mark.parametrize("method", METHODS)
    def test_answers(self, llm: Any, method: str) -> None:
        """Each of the eight methods says something."""
        assert text_of(self._ask(llm, method)[-1]).strip()

    @pytest.mark.parametrize("method", STREAMS)
    def test_streams_grow(self, llm: Any, method: str) -> None:
        """Responses hold all so far, and their deltas join to it."""
        responses = self._ask(llm, method, "Count from one to ten.")
        texts = [text_of(response) for response in responses]

        assert len(responses) > 1
        for sooner, later in pairwise(texts):
            assert later.startswith(sooner)
        assert "".join(response.delta or "" for response in responses) == texts[-1]

    @pytest.mark.parametrize("method", METHODS)
    def test_tokens_are_counted_once(self, llm: Any, method: str) -> None:
        """The framework's counter has one event, with the numbers of the server."""
        counter = TokenCountingHandler(tokenizer=str.split)
        llm.callback_manager = CallbackManager([counter])
        last = self._ask(llm, method)[-1]
        (event,) = counter.llm_token_counts

        assert event.prompt_token_count > 0
        assert event.completion_token_count > 0
        if self.has_usage:
            usage = dict(last.raw)["usage"]
            usage = usage if isinstance(usage, dict) else usage.model_dump()
            assert event.prompt_token_count == usage["prompt_tokens"]
            assert event.completion_token_count == usage["completion_tokens"]

    @pytest.mark.parametrize("method", CHATS)
    def test_conversations(self, llm: Any, method: str) -> None:
        """A history of several turns is taken, and not changed."""
        history = [
            ChatMessage(role="system", content="You are brief."),
            ChatMessage(role="user", content="My name is Ada."),
            ChatMessage(role="assistant", content="Hello Ada."),
            ChatMessage(role="user", content="What is my name?"),
        ]
        before = copy.deepcopy(history)
        last = run(llm, method, history, max_tokens=self.max_tokens)[-1]

        assert text_of(last).strip()
        assert history == before

    @pytest.mark.parametrize("method", [f"{name}_with_tools" for name in CHATS])
    def test_tools_are_called(self, llm: Any, tool: FunctionTool, method: str) -> None:
        """A tool that must be called is, once, with its arguments."""
        if not (self.has_tools and self.has_required_tools):
            pytest.skip("the endpoint cannot be made to call tools")
        question = "What is the weather in Paris? Use the tool."
        last = run(llm, method, [tool], user_msg=question, tool_required=True)[-1]
        (call,) = llm.get_tool_calls_from_response(last)

        assert call.tool_name == "weather"
        assert isinstance(call.tool_kwargs.get("city"), str)
        assert call.tool_id

    @pytest.mark.parametrize("method", CHATS)
    def test_tool_answers_are_taken(self, llm: Any, tool: FunctionTool, method: str) -> None:
        """The answer of a tool leads to an answer in words, or to another call."""
        if not (self.has_tools and self.has_required_tools):
            pytest.skip("the endpoint cannot be made to call tools")
        question = ChatMessage(content="What is the weather in Paris? Use the tool.")
        called = llm.chat_with_tools([tool], chat_history=[question], tool_required=True)
        (call,) = llm.get_tool_calls_from_response(called)
        result = ChatMessage(
            role="tool",
            content=weather(str(call.tool_kwargs.get("city"))),
            additional_kwargs={"tool_call_id": call.tool_id},
        )
        history = [question, called.message, result]
        prepared = llm._prepare_chat_with_tools([tool], chat_history=history)
        last = run(llm, method, prepared.pop("messages"), **prepared)[-1]
        calls = llm.get_tool_calls_from_response(last, error_on_no_tool_call=False)

        assert text_of(last).strip() or calls

    @pytest.mark.parametrize("method", PREDICTIONS)
    def test_structured_predictions(self, llm: Any, method: str) -> None:
        """An object of a class comes back, in streams as the last of its partial objects."""
        prompt = PromptTemplate("Which city is the capital of {country}? Give name and country.")
        found = run(llm, method, City, prompt, country="France")[-1]

        assert isinstance(found, City)
        assert found.name

    @pytest.mark.parametrize("method", CHATS)
    def test_structured_llms(self, llm: Any, method: str) -> None:
        """A structured LLM answers with the same objects."""
        structured = llm.as_structured_llm(City)
        question = [ChatMessage(content="Which city is the capital of France?")]
        last = run(structured, method, question)[-1]

        assert isinstance(last.raw, City)
        assert City.model_validate_json(text_of(last)) == last.raw

    @pytest.mark.parametrize("method", METHODS)
    def test_arguments_of_a_call_hold(self, llm: Any, method: str) -> None:
        """A limit given with the call holds."""
        subject: Any = "Count from one to one thousand."
        subject = [ChatMessage(content=subject)] if method in CHATS else subject
        last = run(llm, method, subject, max_tokens=16)[-1]

        if self.has_usage:
            usage = dict(last.raw)["usage"]
            usage = usage if isinstance(usage, dict) else usage.model_dump()
            assert usage["completion_tokens"] <= 16

    def test_event_loops_in_turn(self, llm: Any) -> None:
        """One model serves one event loop after the other."""
        for _ in range(3):
            assert text_of(self._ask(llm, "achat")[-1]).strip()

    def test_streams_can_be_left(self, llm: Any) -> None:
        """A stream that is left early ends, and the next call works."""
        stream = llm.stream_complete("Count from one to one thousand.", max_tokens=256)
        next(stream)
        stream.close()

        assert text_of(self._ask(llm, "complete")[-1]).strip()

    @pytest.mark.parametrize("way", ["deepcopy", "pickle", "model_copy"])
    def test_copies(self, llm: Any, way: str) -> None:
        """Copies made after use answer, and so does the original."""
        self._ask(llm, "complete")
        ways: dict[str, Callable[[Any], Any]] = {
            "deepcopy": copy.deepcopy,
            "pickle": lambda model: pickle.loads(pickle.dumps(model)),
            "model_copy": lambda model: model.model_copy(),
        }
        for model in (ways[way](llm), llm):
            assert text_of(self._ask(model, "complete")[-1]).strip()

    def test_metadata(self, llm: Any) -> None:
        """The framework can plan prompts."""
        metadata = llm.metadata

        assert metadata.context_window > 3_900, "the framework's default would cut context short"
        assert metadata.is_chat_model
        assert llm.class_name()


class TestEnvironment(LLMConformance):
    """The endpoint that the environment names."""

    @pytest.fixture
    def llm(self) -> GonkaLLM:
        """`GonkaLLM` made of `GONKA_*` variables."""
        if not any(name.startswith("GONKA_") for name in os.environ):
            pytest.skip("no GONKA_* variable names an endpoint")
        return GonkaLLM()

    @pytest.mark.parametrize("method", METHODS)
    def test_who_served(self, llm: GonkaLLM, method: str) -> None:
        """Responses say who served them."""
        served = self._ask(llm, method)[-1].additional_kwargs["gonka"]

        assert served["endpoint"]
        assert served["attempts"][-1]["outcome"] == "served"
