"""GonkaLLM: the Gonka network as an LLM of LlamaIndex.

Give it where the network is and what pays, and use it like any other::

    llm = GonkaLLM("moonshotai/Kimi-K2.6", source_url="https://…", private_key="…")
    llm.complete("Say hello.")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from llama_index.core.base.llms.types import ChatMessage, MessageRole
except ImportError as error:
    raise ImportError(
        "GonkaLLM needs LlamaIndex: pip install 'gonka-integrations[llama-index]'"
    ) from error

from ._llama_index.events import GonkaEpochChangeEvent, GonkaFailoverEvent
from ._llama_index.inquiry import ChatInquiry, CompletionInquiry
from ._llama_index.instrumentation import observed_chat, observed_completion
from ._llama_index.prediction import Prediction
from ._llama_index.settings import GonkaSettings
from ._llama_index.structured import StructuredOutputError
from ._llama_index.structured_llm import GonkaStructuredLLM
from ._llama_index.tools import OfferedTools, selections, wire_tool_choice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from llama_index.core.base.llms.types import ChatResponse, CompletionResponse
    from llama_index.core.llms.llm import ToolSelection
    from llama_index.core.prompts import BasePromptTemplate
    from llama_index.core.tools.types import BaseTool
    from pydantic import BaseModel

__all__ = [
    "GonkaEpochChangeEvent",
    "GonkaFailoverEvent",
    "GonkaLLM",
    "GonkaStructuredLLM",
    "StructuredOutputError",
]


class GonkaLLM(GonkaSettings):
    """The Gonka network behind LlamaIndex: chat, completion, tools, structured output, streams.

    Connection arguments are those of `GonkaConfig` and also come from `GONKA_*` variables; equal
    ones share connections, health and participants with every other model of this package.
    Arguments of a call win over those given here, and nothing is sent that was not given.

    Each response says who served it in `additional_kwargs["gonka"]`. When no endpoint of the pool
    answers, the LLMs of `fallback_llms` are asked in order; in streams, until something has
    reached the caller.

    Args:
        model: Model to use; `GONKA_MODEL` when not given.
        config: A configuration to take connection arguments from.
        session: A session to use, in place of the shared one.
        **fields: Model parameters (`temperature`, `max_tokens`, …, none of them sent unless
            given), `additional_kwargs` for request fields that have no name here,
            `context_window`, `num_output`, `is_function_calling_model`, `input_modalities` to
            overrule what is known of the model, `structured_output_mode`, `replay_reasoning`,
            `fallback_llms`, the connection arguments, and the fields of the framework's LLMs.

    Raises:
        GonkaConfigError: An argument is unknown or wrong; names it.
    """

    # The eight methods of the framework.

    @observed_chat
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The answer to a conversation.

        Raises:
            GonkaConfigError: The call cannot be sent as it is; nothing was sent.
            GonkaCallError: Nobody could answer. It is an `openai.OpenAIError` as well.
        """
        return ChatInquiry(self, "chat", messages, kwargs).answer()

    @observed_completion
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The answer to a prompt, asked as a conversation of one message; errors as `chat`."""
        return CompletionInquiry(self, "complete", prompt, kwargs, formatted=formatted).answer()

    @observed_chat
    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        """`chat` as it is made: each response holds all so far, and `delta` what is new.

        Raises:
            StreamInterruptedError: The answer broke off; it has the partial text.
        """
        return ChatInquiry(self, "stream_chat", messages, kwargs).stream()

    @observed_completion
    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """`complete` as it is made; errors as `stream_chat`."""
        return CompletionInquiry(
            self, "stream_complete", prompt, kwargs, formatted=formatted
        ).stream()

    @observed_chat
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """`chat`, asynchronous."""
        return await ChatInquiry(self, "achat", messages, kwargs).aanswer()

    @observed_completion
    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        """`complete`, asynchronous."""
        return await CompletionInquiry(
            self, "acomplete", prompt, kwargs, formatted=formatted
        ).aanswer()

    @observed_chat
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """`stream_chat`, asynchronous."""
        return ChatInquiry(self, "astream_chat", messages, kwargs).astream()

    @observed_completion
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """`stream_complete`, asynchronous."""
        return CompletionInquiry(
            self, "astream_complete", prompt, kwargs, formatted=formatted
        ).astream()

    # Tools. The base class makes chat_with_tools and its three siblings of these.

    def _prepare_chat_with_tools(  # noqa: PLR0917 - the framework's signature
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Arguments of the chat call. The history given is not changed."""
        del verbose
        if isinstance(user_msg, str):
            user_msg = ChatMessage(role=MessageRole.USER, content=user_msg)
        messages = [*(chat_history or ()), *([user_msg] if user_msg else ())]
        prepared: dict[str, Any] = {"messages": messages, **kwargs}
        if tools:
            offered = OfferedTools(
                tools, required=tool_required, parallel=allow_parallel_tool_calls
            )
            choice = wire_tool_choice(tool_choice, required=tool_required)
            prepared |= {"tools": offered} | ({} if choice is None else {"tool_choice": choice})
            if not allow_parallel_tool_calls:
                prepared["parallel_tool_calls"] = False
        return prepared

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The tool calls of a response, with arguments parsed as far as they have come.

        Raises:
            ValueError: There are none, unless that is allowed.
        """
        del kwargs
        calls = selections(response.message)
        if not calls and error_on_no_tool_call:
            raise ValueError(
                f"{self.model} called no tool; it said: {(response.message.content or '')[:200]!r}"
            )
        return calls

    # Structured output.

    def structured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        """An object of *output_cls*, in the first form of asking that brings one.

        Raises:
            StructuredOutputError: No form did; a `ValueError` as well.
            GonkaCallError: Nobody could answer.
        """
        return Prediction(self, output_cls, prompt, llm_kwargs, prompt_args).make()

    async def astructured_predict(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> BaseModel:
        """`structured_predict`, asynchronous."""
        return await Prediction(self, output_cls, prompt, llm_kwargs, prompt_args).amake()

    def _structured_stream_call(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        """What `stream_structured_predict` of the base class reports and hands out."""
        return Prediction(self, output_cls, prompt, llm_kwargs, prompt_args).grow()

    async def _structured_astream_call(
        self,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        """What `astream_structured_predict` of the base class reports and hands out."""
        return Prediction(self, output_cls, prompt, llm_kwargs, prompt_args).agrow()

    def as_structured_llm(self, output_cls: type[BaseModel], **kwargs: Any) -> GonkaStructuredLLM:
        """An LLM that answers with objects of *output_cls*."""
        return GonkaStructuredLLM(llm=self, output_cls=output_cls, **kwargs)
