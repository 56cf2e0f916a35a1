"""ChatGonka: the Gonka network as a LangChain chat model."""

# ruff: noqa: TC002, TC003 - LangChain's fallbacks read the annotations at run time

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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

from ._langchain.answer_check import AnswerRefusedError
from ._langchain.blocks import register
from ._langchain.generation import GonkaGeneration
from ._langchain.messages import to_wire
from ._langchain.missing import MissingToolCallError
from ._langchain.registration import register_with_langchain
from ._langchain.schemas import fit_tools, tool_names, wire_tool, wire_tool_choice
from ._langchain.structured import Method, bound_arguments, chain
from ._langchain.tokens import count_messages, count_text, token_ids

if TYPE_CHECKING:
    from typing import Unpack

    from ._langchain.signature import ChatArguments

__all__ = ["AnswerRefusedError", "ChatGonka", "MissingToolCallError", "register_with_langchain"]

register()


class ChatGonka(GonkaGeneration):
    """Chat model of the Gonka network: hosts found, requests signed, dead hosts survived.

    Setup:
        Install `gonka-integrations` and say where inference is done: by a gateway, or by
        participants of the network, who are paid by requests that a key signs.

        ```bash
        pip install "gonka-integrations[langchain]"

        # a gateway
        export GONKA_BROKER_URL="https://gateway.example/v1"
        export GONKA_BROKER_API_KEY="..."

        # or participants
        export GONKA_SOURCE_URL="http://node.example:8000"
        export GONKA_PRIVATE_KEY="..."
        ```

    Key init args — completion params:
        model:
            Id of a model that the network serves (`GONKA_MODEL`). `model_name` is an alias.
        temperature:
            Sampling temperature. As all of these, it is not sent unless it is given.
        max_tokens:
            Longest answer, in tokens. Gateways cap it at some 4,000.
        stop, top_p, seed, n, logprobs, reasoning_effort, …:
            As in the OpenAI protocol.
        thinking:
            Turns reasoning on or off, on models that have a switch for it.
        replay_reasoning:
            Which reasoning of the history is sent back: `"auto"` (that of the turn in progress,
            which models need while they use tools), `"always"` or `"never"`.
        model_kwargs, extra_body:
            Request parameters that have no field of their own. Unknown constructor arguments go
            to `model_kwargs`, with a warning.

    Key init args — client params:
        base_url, api_key:
            A gateway and its key; `gateways` takes several.
        private_key, source_url:
            Key that signs requests, and a node to discover participants from; `endpoints` names
            participants as `"url;address"`, `signer` stands in for the key.
        fallbacks:
            OpenAI-compatible providers that take over when the network cannot serve, as dicts of
            base_url, api_key and models (our name -> theirs).
        timeout, first_token_timeout, idle_timeout:
            For a whole call, until the first content, between two pieces; in seconds.
        max_retries:
            Extra attempts of a call, over all endpoints together.
        verify_proofs, hedge_after, max_concurrent, …:
            As in `GonkaConfig`, which can be given whole as `config`; `session` shares a session.

        Models with equal client params share one session: connections, health and participants.

    Instantiate:
        ```python
        from gonka_integrations import ChatGonka

        model = ChatGonka(
            model="MiniMaxAI/MiniMax-M2.7",
            temperature=0,
            max_tokens=500,
            timeout=60,
            max_retries=3,
            # base_url="https://gateway.example/v1", api_key="...",
            # source_url="http://node.example:8000", private_key="...",
        )
        ```

    Invoke:
        ```python
        messages = [
            ("system", "You are a helpful translator. Translate the user sentence to French."),
            ("human", "I love programming."),
        ]
        model.invoke(messages)
        ```

        ```python
        AIMessage(
            content="J'adore la programmation.",
            response_metadata={
                "model_name": "MiniMaxAI/MiniMax-M2.7",
                "model_provider": "gonka",
                "finish_reason": "stop",
                "gonka": {"kind": "participant", "address": "gonka1…", "epoch": 217, …},
            },
            usage_metadata={"input_tokens": 32, "output_tokens": 9, "total_tokens": 41},
        )
        ```

    Stream:
        ```python
        for chunk in model.stream(messages):
            print(chunk.text, end="")
        ```

        The last chunk alone carries usage and metadata, so chunks can be added up:

        ```python
        stream = model.stream(messages)
        full = next(stream)
        for chunk in stream:
            full += chunk
        ```

        A host that dies before its first content is replaced unseen. After that nothing is
        repeated: `StreamInterruptedError` has the partial text.

    Async:
        ```python
        await model.ainvoke(messages)

        async for chunk in model.astream(messages):
            print(chunk.text, end="")

        await model.abatch([messages, messages])
        ```

        One model may be used from any number of event loops and threads.

    Tool calling:
        ```python
        from pydantic import BaseModel, Field


        class GetWeather(BaseModel):
            '''Get the current weather in a given location.'''

            location: str = Field(description="The city, e.g. Rome")


        model_with_tools = model.bind_tools([GetWeather])
        ai_msg = model_with_tools.invoke("What is the weather in Rome?")
        ai_msg.tool_calls
        ```

        ```python
        [{"name": "GetWeather", "args": {"location": "Rome"}, "id": "call_1", "type": "tool_call"}]
        ```

        Gateways turn `tool_choice="required"` into `"auto"`. A model that then answers in text is
        asked once more, and `MissingToolCallError` is raised if it does so again.

    Structured output:
        ```python
        class Joke(BaseModel):
            '''Joke to tell user.'''

            setup: str = Field(description="The setup of the joke")
            punchline: str = Field(description="The punchline to the joke")


        structured_model = model.with_structured_output(Joke, method="json_schema")
        structured_model.invoke("Tell me a joke about blocks")
        ```

        ```python
        Joke(setup="Why did the block cross the chain?", punchline="To reach consensus.")
        ```

        References in schemas are inlined, and what a gateway would refuse is refused beforehand.

    Reasoning:
        ```python
        reasoning_model = ChatGonka(model="moonshotai/Kimi-K2.6", reasoning_effort="low")
        ai_msg = reasoning_model.invoke("How many r are in strawberry?")
        ai_msg.content_blocks
        ```

        ```python
        [{"type": "reasoning", "reasoning": "…"}, {"type": "text", "text": "Three."}]
        ```

        It does not matter whether the model has it in a field of its own or as `<think>…</think>`
        in its text.

    Image input:
        ```python
        from langchain_core.messages import HumanMessage

        message = HumanMessage([
            {"type": "text", "text": "What is on this picture?"},
            {"type": "image", "url": "https://example.com/picture.png"},
        ])
        ```

        Pictures, sounds and documents of every dialect are converted. The network's gateways take
        text only: other content for them is an error before anything is sent.

    Token usage:
        ```python
        ai_msg = model.invoke(messages)
        ai_msg.usage_metadata
        ```

        ```python
        {"input_tokens": 32, "output_tokens": 9, "total_tokens": 41}
        ```

        Streams tell it too. `get_num_tokens_from_messages` estimates it without a network.

    Logprobs:
        ```python
        logprobs_model = model.bind(logprobs=True)
        ai_msg = logprobs_model.invoke(messages)
        ai_msg.response_metadata.get("logprobs")
        ```

        Some gateways drop them.

    Response metadata:
        ```python
        ai_msg = model.invoke(messages)
        ai_msg.response_metadata["gonka"]
        ```

        ```python
        {
            "kind": "participant", "endpoint": "http://…/v1", "address": "gonka1…", "epoch": 217,
            "tier": 0, "model": "MiniMaxAI/MiniMax-M2.7", "failovers": 1, "attempts": […],
            "first_token_seconds": 0.41, "total_seconds": 1.93,
        }
        ```

        Within a run, `on_custom_event` and `astream_events` hear of `gonka_failover` and
        `gonka_epoch_change` as they happen.

    Errors:
        Each error is of this package's kind (`GonkaCallError`), of the openai SDK's and of
        LangChain's (`ModelError`), with `is_retryable`; `.attempts` lists what was tried.

    Closing:
        `close()` and `aclose()`, or the model as a context manager, let go of connections at once.
    """

    if TYPE_CHECKING:  # the fields say what a model has, not all that it can be made of

        def __init__(self, **arguments: Unpack[ChatArguments]) -> None: ...

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
        choice = wire_tool_choice(tool_choice, tool_names(wire))
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
                that concerns the answer; in streams, `raw` in pieces and then the other two.
            strict: Whether the schema is sent in the strict dialect.
            **kwargs: Further arguments of every call.

        Raises:
            GonkaConfigError: The schema cannot be sent: it is recursive, too deep or too large.
            MissingToolCallError: When called: the model answered in text, twice.
            AnswerRefusedError: When called: the model refused.
            OutputParserException: When called: the answer is no object, or was cut.
            ValueError: When called: the object does not fit the schema.
        """
        gateway = bool(self.config.gateways)
        bound = bound_arguments(schema, method, strict, gateway=gateway) | kwargs
        if method == "function_calling":
            llm = self.bind_tools([schema], strict=strict, **bound)
        else:
            llm = super().bind(**bound)
        return chain(llm, schema, method, include_raw=include_raw)

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
