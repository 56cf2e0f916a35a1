"""A structured LLM over GonkaLLM, with the methods that the framework's own lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts import ChatPromptTemplate

from .responses import as_completion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from pydantic import BaseModel


class GonkaStructuredLLM(StructuredLLM):
    """Answers with objects of one class; streams them while they grow.

    Streaming completions work, the deltas of a stream are its text, and events and token counts are
    those of the LLM inside: one for each request.
    """

    @classmethod
    def class_name(cls) -> str:
        """Name of this class in dumps."""
        return "gonka_structured_llm"

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """An object as JSON text; the object itself is `raw`."""
        found = self.llm.structured_predict(self.output_cls, _prompt(messages), llm_kwargs=kwargs)
        return _response(found, whole=True)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, asynchronous."""
        found = await self.llm.astructured_predict(
            self.output_cls, _prompt(messages), llm_kwargs=kwargs
        )
        return _response(found, whole=True)

    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        """The object while it grows, as JSON text and as `raw`."""
        partials = self.llm.stream_structured_predict(
            self.output_cls, _prompt(messages), llm_kwargs=kwargs
        )
        partial = None
        for partial in partials:
            yield _response(partial, whole=False)
        if partial is not None:
            yield _response(partial, whole=True)

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """`stream_chat`, asynchronous."""

        async def grow() -> AsyncGenerator[ChatResponse, None]:
            partials = await self.llm.astream_structured_predict(
                self.output_cls, _prompt(messages), llm_kwargs=kwargs
            )
            partial = None
            async for partial in partials:
                yield _response(partial, whole=False)
            if partial is not None:
                yield _response(partial, whole=True)

        return grow()

    def _asked(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        if not formatted and self.llm.completion_to_prompt is not None:
            prompt = self.llm.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=prompt)]

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """`chat` for a prompt."""
        return as_completion(self.chat(self._asked(prompt, formatted), **kwargs))

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """`achat` for a prompt."""
        return as_completion(await self.achat(self._asked(prompt, formatted), **kwargs))

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """`stream_chat` for a prompt."""
        for response in self.stream_chat(self._asked(prompt, formatted), **kwargs):
            yield as_completion(response)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """`astream_chat` for a prompt."""

        async def grow() -> AsyncGenerator[CompletionResponse, None]:
            async for response in await self.astream_chat(self._asked(prompt, formatted), **kwargs):
                yield as_completion(response)

        return grow()


def _prompt(messages: Sequence[ChatMessage]) -> ChatPromptTemplate:
    return ChatPromptTemplate(message_templates=list(messages))


def _response(found: BaseModel, *, whole: bool) -> ChatResponse:
    """The response for an object.

    JSON text does not grow at its end only, so the whole text is the delta of the last response,
    and the others have none: put together, deltas are the answer.
    """
    text = found.model_dump_json()
    message = ChatMessage(role=MessageRole.ASSISTANT, content=text)
    return ChatResponse(message=message, raw=found, delta=text if whole else "")
