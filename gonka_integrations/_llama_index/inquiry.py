"""One call of GonkaLLM: put to the network, and to the fallback LLMs when it does not answer."""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)

from ..errors import GonkaError
from .events import report_failovers
from .fallback import Chain, ask_other
from .request import request_for
from .responses import as_completion, read_completion
from .streaming import StreamReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence

    from llama_index.core.llms.llm import LLM

    from ..core.chat import Completion
    from .settings import GonkaSettings

Answer = TypeVar("Answer", ChatResponse, CompletionResponse)


class Inquiry(Generic[Answer]):
    """What a method of GonkaLLM does.

    The request is made at once, so that what cannot be sent is refused before anything is.

    Args:
        llm: Whose method it is.
        method: Name of the method, to call the same of another LLM.
        subject: Messages of a chat, or the prompt of a completion.
        arguments: Arguments of the call. `use_fallbacks=False` leaves the fallback LLMs out.
        messages: What is sent.

    Raises:
        GonkaConfigError: The call cannot be sent as it is.
    """

    def __init__(
        self,
        llm: GonkaSettings,
        method: str,
        subject: Any,
        arguments: dict[str, Any],
        messages: Sequence[ChatMessage],
    ) -> None:
        self._llm = llm
        self._method = method
        self._subject = subject
        self._arguments = {k: v for k, v in arguments.items() if k != "use_fallbacks"}
        self._others = llm.fallback_llms if arguments.get("use_fallbacks", True) else ()
        self._request = request_for(llm, messages, self._arguments)

    def _shape(self, response: ChatResponse) -> Answer:
        """The response as the method returns it."""
        raise NotImplementedError

    def _ask(self, llm: LLM) -> Any:
        return ask_other(llm, self._method, self._subject, self._arguments)

    def answer(self) -> Answer:
        """The whole answer."""
        if not self._others:
            return self._own_answer()
        for turn in self._chain(self._own_answer):
            with turn:
                adopted: Answer = turn.adopt(turn.run())
                return adopted
        raise AssertionError("the last turn answers or raises")

    async def aanswer(self) -> Answer:
        """`answer`, asynchronous."""
        if not self._others:
            return await self._own_aanswer()
        for turn in self._chain(self._own_aanswer):
            with turn:
                adopted: Answer = turn.adopt(await turn.run())
                return adopted
        raise AssertionError("the last turn answers or raises")

    def stream(self) -> Generator[Answer, None, None]:
        """The answer as it is made."""
        return self._held() if self._others else self._own_stream()

    def astream(self) -> AsyncGenerator[Answer, None]:
        """`stream`, asynchronous."""
        return self._aheld() if self._others else self._own_astream()

    def _held(self) -> Generator[Answer, None, None]:
        for turn in self._chain(self._own_stream):
            with turn:
                yield from turn.held(turn.run())
                return

    async def _aheld(self) -> AsyncGenerator[Answer, None]:
        for turn in self._chain(self._own_ready_astream):
            with turn:
                async with aclosing(turn.aheld(await turn.run())) as responses:
                    async for response in responses:
                        yield response
                return

    def _chain(self, own: Callable[[], Any]) -> Chain:
        return Chain(self._others, own, self._ask)

    # The network's own answers.

    def _own_answer(self) -> Answer:
        with _reporting():
            found = self._llm.session.chat.complete(self._request.payload, self._request.options)
        return self._read(found)

    async def _own_aanswer(self) -> Answer:
        chat = self._llm.session.chat
        with _reporting():
            found = await chat.acomplete(self._request.payload, self._request.options)
        return self._read(found)

    def _read(self, found: Completion) -> Answer:
        report_failovers(found.served.attempts)
        served = found.served.as_dict()
        return self._shape(read_completion(found.data, served, self._request.reading))

    def _own_stream(self) -> Generator[Answer, None, None]:
        reader, shape = StreamReader(self._request.reading), self._shape
        with _reporting():
            stream = self._llm.session.chat.stream(self._request.payload, self._request.options)
        with stream:
            report_failovers(stream.served.attempts)
            for chunk in stream:
                response = reader.feed(chunk)
                if response is not None:
                    yield shape(response)
            for response in reader.end(stream.served.as_dict()):
                yield shape(response)

    async def _own_astream(self) -> AsyncGenerator[Answer, None]:
        reader, shape = StreamReader(self._request.reading), self._shape
        chat = self._llm.session.chat
        with _reporting():
            stream = await chat.astream(self._request.payload, self._request.options)
        async with stream:
            report_failovers(stream.served.attempts)
            async for chunk in stream:
                response = reader.feed(chunk)
                if response is not None:
                    yield shape(response)
            for response in reader.end(stream.served.as_dict()):
                yield shape(response)

    async def _own_ready_astream(self) -> AsyncGenerator[Answer, None]:
        return self._own_astream()


@contextmanager
def _reporting() -> Iterator[None]:
    """Report the attempts of a call that failed altogether."""
    try:
        yield
    except GonkaError as error:
        report_failovers(getattr(error, "attempts", ()))
        raise


class ChatInquiry(Inquiry[ChatResponse]):
    """A call of one of the chat methods."""

    def __init__(
        self,
        llm: GonkaSettings,
        method: str,
        messages: Sequence[ChatMessage],
        arguments: dict[str, Any],
    ) -> None:
        super().__init__(llm, method, messages, arguments, messages)

    def _shape(self, response: ChatResponse) -> ChatResponse:
        return response


class CompletionInquiry(Inquiry[CompletionResponse]):
    """A call of one of the completion methods: a conversation of one message.

    Args:
        llm: Whose method it is.
        method: Name of the method.
        prompt: The prompt.
        arguments: Arguments of the call.
        formatted: Whether the prompt is used as it is.
    """

    def __init__(
        self,
        llm: GonkaSettings,
        method: str,
        prompt: str,
        arguments: dict[str, Any],
        *,
        formatted: bool,
    ) -> None:
        self._formatted = formatted
        asked = prompt
        if not formatted and llm.completion_to_prompt is not None:
            asked = llm.completion_to_prompt(prompt)
        messages = [ChatMessage(role=MessageRole.USER, content=asked)]
        super().__init__(llm, method, prompt, arguments, messages)

    def _shape(self, response: ChatResponse) -> CompletionResponse:
        return as_completion(response)

    def _ask(self, llm: LLM) -> Any:
        arguments = self._arguments
        return ask_other(llm, self._method, self._subject, arguments, formatted=self._formatted)
