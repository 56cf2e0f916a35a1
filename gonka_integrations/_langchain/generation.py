"""The four ways of generating, on top of the session's chat."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import (  # noqa: TC002 - LangChain looks at the signatures
    AsyncCallbackManagerForLLMRun,
    CallbackManagerForLLMRun,
)

from ..errors import GonkaError
from .connection import session_class
from .events import adispatch, dispatch, events_of
from .exchange import AsModelErrors, ending, exchange, next_payload
from .metadata import total
from .requests import Request, request_for
from .settings import GonkaSettings
from .streaming import StreamReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from ..core.served import ServedBy
    from .events import Event

_as_model_errors = AsModelErrors()
_SESSION = f"{__package__.rpartition('.')[0]}.core.session"


async def ready() -> None:
    """Load what does I/O, where the event loop does not wait for it: it reads files."""
    if _SESSION not in sys.modules:
        await asyncio.to_thread(session_class)


class GonkaGeneration(GonkaSettings):
    """A chat model that generates; tools and structured output come on top of it."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with _as_model_errors:
            request = request_for(self, messages, stop, kwargs)
            asking = exchange(request)
            payload = next(asking)
            while True:
                try:
                    completion = self.session.chat.complete(payload, request.options)
                except GonkaError as error:
                    dispatch(self._events_of_failure(error), run_manager)
                    raise
                dispatch(self._events(completion.served), run_manager)
                try:
                    payload = asking.send(completion)
                except StopIteration as done:
                    result: ChatResult = done.value
                    return result

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        with _as_model_errors:
            await ready()
            request = request_for(self, messages, stop, kwargs)
            asking = exchange(request)
            payload = next(asking)
            while True:
                try:
                    completion = await self.session.chat.acomplete(payload, request.options)
                except GonkaError as error:
                    await adispatch(self._events_of_failure(error), run_manager)
                    raise
                await adispatch(self._events(completion.served), run_manager)
                try:
                    payload = asking.send(completion)
                except StopIteration as done:
                    result: ChatResult = done.value
                    return result

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        with _as_model_errors:
            request, reader = self._prepared(messages, stop, kwargs)
            payload: dict[str, Any] | None = request.payload
            while payload is not None:
                with self.session.chat.stream(payload, request.options) as stream:
                    dispatch(self._events(stream.served), run_manager)
                    for chunk in stream:
                        made = reader.read(chunk)
                        if made is not None:
                            if run_manager is not None:
                                run_manager.on_llm_new_token(made.text, chunk=made)
                            yield made
                payload = next_payload(request, reader)
            last = ending(request, reader, stream.served)
            if run_manager is not None:
                run_manager.on_llm_new_token(last.text, chunk=last)
            yield last

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        with _as_model_errors:
            await ready()
            request, reader = self._prepared(messages, stop, kwargs)
            payload: dict[str, Any] | None = request.payload
            while payload is not None:
                async with await self.session.chat.astream(payload, request.options) as stream:
                    await adispatch(self._events(stream.served), run_manager)
                    async for chunk in stream:
                        made = reader.read(chunk)
                        if made is not None:
                            if run_manager is not None:
                                await run_manager.on_llm_new_token(made.text, chunk=made)
                            yield made
                payload = next_payload(request, reader)
            last = ending(request, reader, stream.served)
            if run_manager is not None:
                await run_manager.on_llm_new_token(last.text, chunk=last)
            yield last

    def _prepared(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> tuple[Request, StreamReader]:
        blocks = self.output_version == "v1"
        return request_for(self, messages, stop, kwargs, stream=True), StreamReader(blocks=blocks)

    def _events(self, served: ServedBy) -> list[Event]:
        return events_of(self.session, served.attempts, served.epoch)

    def _events_of_failure(self, error: GonkaError) -> list[Event]:
        return events_of(self.session, getattr(error, "attempts", ()), None)

    def _combine_llm_outputs(self, llm_outputs: list[dict[str, Any] | None]) -> dict[str, Any]:
        """Outputs of several prompts as one: usages added up."""
        known = [output for output in llm_outputs if output]
        combined: dict[str, Any] = {"model_name": self.model, "token_usage": {}}
        for output in known:
            combined["model_name"] = output.get("model_name") or self.model
            combined["token_usage"] = total(combined["token_usage"], output.get("token_usage"))
        return combined
