"""Structured prediction by the network, and by the fallback LLMs when it does not answer."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.llm import dispatcher

from .fallback import Chain
from .structured import Asking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from llama_index.core.llms.llm import LLM
    from llama_index.core.prompts import BasePromptTemplate
    from pydantic import BaseModel

    from .settings import GonkaSettings


class Prediction:
    """One call of a structured method."""

    def __init__(
        self,
        llm: GonkaSettings,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None,
        prompt_args: dict[str, Any],
    ) -> None:
        self._llm = llm
        self._output_cls = output_cls
        self._prompt = prompt
        self._llm_kwargs = llm_kwargs or {}
        self._prompt_args = prompt_args

    def _asking(self) -> Asking:
        messages = self._prompt.format_messages(llm=self._llm, **self._prompt_args)
        return Asking(
            self._llm, self._output_cls, self._llm._extend_messages(messages), self._llm_kwargs
        )

    def _chain(self, own: Any, method: str) -> Chain:
        def ask(llm: LLM) -> Any:
            predict = getattr(llm, method)
            kwargs = dict(self._llm_kwargs)  # the framework's programs change it
            return predict(self._output_cls, self._prompt, kwargs, **self._prompt_args)

        use = self._llm_kwargs.get("use_fallbacks", True)
        return Chain(self._llm.fallback_llms if use else (), own, ask)

    # Whole objects.

    def make(self) -> BaseModel:
        """The object."""
        self._started()
        for turn in self._chain(self._own, "structured_predict"):
            with turn:
                return self._ended(turn.run())
        raise AssertionError("the last turn answers or raises")

    async def amake(self) -> BaseModel:
        """`make`, asynchronous."""
        self._started()
        for turn in self._chain(self._aown, "astructured_predict"):
            with turn:
                return self._ended(await turn.run())
        raise AssertionError("the last turn answers or raises")

    def _own(self) -> BaseModel:
        for trying in self._asking():
            with trying:
                form = trying.form
                return form.read(self._llm.chat(form.messages, **form.kwargs))
        raise AssertionError("the last form answers or raises")

    async def _aown(self) -> BaseModel:
        for trying in self._asking():
            with trying:
                form = trying.form
                return form.read(await self._llm.achat(form.messages, **form.kwargs))
        raise AssertionError("the last form answers or raises")

    def _started(self) -> None:
        dispatcher.event(
            LLMStructuredPredictStartEvent(
                output_cls=self._output_cls, template=self._prompt, template_args=self._prompt_args
            )
        )

    def _ended(self, found: BaseModel) -> BaseModel:
        dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return found

    # Growing objects. The base class reports these.

    def grow(self) -> Generator[BaseModel, None, None]:
        """The object while it grows; the last one is whole and valid."""
        for turn in self._chain(self._own_growing, "stream_structured_predict"):
            with turn:
                for partial in turn.run():
                    turn.committed = True
                    yield partial
                return

    async def agrow(self) -> AsyncGenerator[BaseModel, None]:
        """`grow`, asynchronous."""
        for turn in self._chain(self._own_ready_agrowing, "astream_structured_predict"):
            with turn:
                async with aclosing(await turn.run()) as partials:
                    async for partial in partials:
                        turn.committed = True
                        yield partial
                return

    def _own_growing(self) -> Generator[BaseModel, None, None]:
        for trying in self._asking():
            with trying:
                form, response = trying.form, ChatResponse(message=ChatMessage())
                for response in self._llm.stream_chat(form.messages, **form.kwargs):
                    partial = form.partial(response)
                    if partial is not None:
                        yield partial
                yield form.read(response)
                return

    async def _own_agrowing(self) -> AsyncGenerator[BaseModel, None]:
        for trying in self._asking():
            with trying:
                form, response = trying.form, ChatResponse(message=ChatMessage())
                stream = await self._llm.astream_chat(form.messages, **form.kwargs)
                async with aclosing(stream):
                    async for response in stream:
                        partial = form.partial(response)
                        if partial is not None:
                            yield partial
                yield form.read(response)
                return

    async def _own_ready_agrowing(self) -> AsyncGenerator[BaseModel, None]:
        return self._own_agrowing()
