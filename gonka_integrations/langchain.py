"""ChatGonka: the Gonka network as a LangChain chat model."""

# ruff: noqa: TC002, TC003 - LangChain's fallbacks read the annotations at run time

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

try:
    import langchain_core  # noqa: F401 - said better here than by the first import below
except ImportError as missing:
    raise ImportError(
        "ChatGonka needs langchain-core: pip install 'gonka-integrations[langchain]'"
    ) from missing

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool

from ._langchain.blocks import register
from ._langchain.generation import GonkaGeneration
from ._langchain.messages import to_wire
from ._langchain.missing import MissingToolCallError
from ._langchain.registration import register_with_langchain
from ._langchain.schemas import fit_tools, wire_tool, wire_tool_choice
from ._langchain.structured import AnswerRefusedError, Method, bound_arguments, chain, parser_for
from ._langchain.tokens import count_messages, count_text, token_ids

__all__ = ["AnswerRefusedError", "ChatGonka", "MissingToolCallError", "register_with_langchain"]

register()


class ChatGonka(GonkaGeneration):
    """A chat model served by the Gonka network."""

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with tools that it may call.

        Args:
            tools: Functions, tools, classes or schemas.
            tool_choice: "auto", "none", "required" ("any" and True mean the same), the name of a
                tool, or a dict as OpenAI has it. Where an answer must call and does not, it is
                asked for once more; then the call fails.
            strict: Whether arguments must follow the schema, where endpoints can enforce that.
            parallel_tool_calls: Whether one answer may call several tools; not sent when None,
                since many servers refuse the parameter.
            **kwargs: Further arguments of every call, such as `response_format`.

        Raises:
            GonkaConfigError: A schema cannot be sent, or *tool_choice* names no tool of *tools*.
            MissingToolCallError: When called: no tool was called though one had to be.
        """
        made = [wire_tool(tool, strict=strict) for tool in tools]
        wire = fit_tools(made, gateway=bool(self.config.gateways))
        names = [str(tool["function"].get("name")) for tool in wire]
        choice = wire_tool_choice(tool_choice, names)
        if choice is not None:
            kwargs["tool_choice"] = choice
        if parallel_tool_calls is not None:
            kwargs["parallel_tool_calls"] = parallel_tool_calls
        return super().bind(tools=wire, **kwargs)

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        method: Method = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """The model with answers that are objects of *schema*.

        Args:
            schema: A pydantic class (v1 or v2), a TypedDict, a JSON schema or an OpenAI tool.
            method: "function_calling" asks for the call of a tool, "json_schema" has the server
                enforce the schema, "json_mode" asks for some JSON (say in the prompt which).
            include_raw: Whether to return `{"raw", "parsed", "parsing_error"}` and raise nothing
                that concerns the answer.
            strict: Whether the schema is sent in the strict dialect.
            **kwargs: Further arguments of every call.

        Raises:
            GonkaConfigError: The schema cannot be sent: it is recursive, too deep or too large.
            MissingToolCallError: When called: the model answered in text, twice.
            AnswerRefusedError: When called: the model refused.
        """
        gateway = bool(self.config.gateways)
        bound = bound_arguments(schema, method, strict, gateway=gateway) | kwargs
        if method == "function_calling":
            llm = self.bind_tools([schema], strict=strict, **bound)
        else:
            llm = super().bind(**bound)
        return chain(llm, parser_for(schema, method), include_raw=include_raw)

    def get_token_ids(self, text: str) -> list[int]:
        """As many numbers as *text* has tokens, by estimate; exact with `custom_get_token_ids`."""
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Tokens of *text*, by an estimate that needs no network."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        return count_text(text)

    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None
    ) -> int:
        """Tokens of a conversation and its tools, by an estimate that needs no network."""
        wire_tools = fit_tools(tools, gateway=False) if tools else ()
        return count_messages(to_wire(messages), wire_tools, self.get_num_tokens)
