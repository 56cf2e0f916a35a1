"""Structured prediction: an object of a class, asked for in one form after another.

Endpoints of a decentralised network differ. A server may not know `response_format`, a gateway
turns a required tool call into an optional one, a model may answer in prose. So there are three
forms of asking - a schema for the answer, a tool that must be called, instructions in the prompt -
and each has a reader that says whether the answer is one.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.types import PydanticProgramMode

from ..core.json_schema import inline_refs
from ..errors import GonkaConfigError, GonkaError
from .forms import Form
from .request import schema_format
from .tools import fit_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from pydantic import BaseModel

    from .settings import GonkaSettings

#: Statuses by which a server says that it does not understand the form.
_NOT_UNDERSTOOD = frozenset({400, 404, 415, 422, 501})
#: Arguments that the forms set themselves.
_OWN = frozenset({"tools", "tool_choice", "tool_required", "allow_parallel_tool_calls"})

INSTRUCTIONS = """

Answer with one JSON object that satisfies this JSON schema, and with nothing else: no \
explanation, no code fence, not the schema itself.
{schema}"""


class StructuredOutputError(GonkaError, ValueError):
    """No form of asking brought an object of the class.

    Attributes:
        reasons: For each form that was tried, what was wrong with the answer.
    """

    def __init__(self, message: str, reasons: dict[str, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


class Asking:
    """The forms of one call in order, with what became of them.

    Iterate it; use each form inside `trying`. An answer that is none passes on to the next form,
    and when there is none, `StructuredOutputError` is raised.
    """

    def __init__(
        self,
        llm: GonkaSettings,
        output_cls: type[BaseModel],
        messages: Sequence[ChatMessage],
        llm_kwargs: dict[str, Any] | None,
    ) -> None:
        self._llm = llm
        self._output_cls = output_cls
        self._messages = messages
        self._kwargs = {k: v for k, v in (llm_kwargs or {}).items() if k not in _OWN}
        self._reasons: dict[str, str] = {}
        self._last: Exception | None = None

    def __iter__(self) -> Iterator[Trying]:
        forms = self._forms()
        for position, form in enumerate(forms, 1):
            yield Trying(self, form, last=position == len(forms))

    def _forms(self) -> list[Form]:
        mode = _mode(self._llm)
        names = ("json_schema", "function", "text") if mode == "auto" else (mode,)
        build: dict[str, Callable[[], Form]] = {
            "json_schema": self._by_schema,
            "function": self._by_function,
            "text": self._by_text,
        }
        forms: list[Form] = []
        for name in names:
            try:
                forms.append(build[name]())
            except GonkaConfigError as error:  # the schema does not fit this form
                if mode != "auto":
                    raise
                self._reasons[name] = str(error)
        return forms

    def _form(self, name: str, messages: Sequence[ChatMessage], **more: Any) -> Form:
        kwargs = {**self._kwargs, **more, "use_fallbacks": False}
        return Form(name, self._output_cls, messages, kwargs)

    def _by_schema(self) -> Form:
        wanted = schema_format(self._output_cls, gateway=bool(self._llm.config.gateways))
        return self._form("json_schema", self._messages, response_format=wanted)

    def _by_function(self) -> Form:
        if not self._llm.metadata.is_function_calling_model:
            raise GonkaConfigError(f"{self._llm.model} calls no tools.", field="model")
        prepared = self._llm._prepare_chat_with_tools(
            [get_function_tool(self._output_cls)],
            chat_history=list(self._messages),
            tool_required=True,
        )
        messages = prepared.pop("messages")
        fit_tools(prepared["tools"], gateway=bool(self._llm.config.gateways))
        return self._form("function", messages, **prepared)

    def _by_text(self) -> Form:
        schema = self._output_cls.model_json_schema()
        with suppress(GonkaConfigError):  # recursive: a model can read references
            schema = inline_refs(schema)
        asked = INSTRUCTIONS.format(schema=json.dumps(schema, ensure_ascii=False))
        return self._form("text", _appended(self._messages, asked))

    def failed(self, form: Form, error: Exception, *, last: bool) -> bool:
        """Note why an answer was none. True when another form follows."""
        self._reasons[form.name] = str(error).strip()
        if not last:
            return True
        if getattr(error, "status_code", None) is not None:
            return False  # refused for another reason than its form: that error says more
        tried = "; ".join(f"{name}: {reason}" for name, reason in self._reasons.items())
        raise StructuredOutputError(
            f"{self._llm.model} gave no valid {self._output_cls.__name__}. {tried}. Simplify the "
            "class, allow more tokens, or choose another structured_output_mode or model.",
            self._reasons,
        ) from error


class Trying:
    """One form while it is tried."""

    def __init__(self, asking: Asking, form: Form, *, last: bool) -> None:
        self.form = form
        self._asking = asking
        self._last = last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, GonkaError):
            understood = getattr(error, "status_code", None) not in _NOT_UNDERSTOOD
        else:
            understood = not isinstance(error, ValueError)
        if understood or not isinstance(error, Exception):
            return False
        return self._asking.failed(self.form, error, last=self._last)


def _mode(llm: GonkaSettings) -> str:
    """The mode that holds: the LLM's own, else what the framework's program mode says."""
    if llm.structured_output_mode != "auto":
        return llm.structured_output_mode
    by_program = {PydanticProgramMode.FUNCTION: "function", PydanticProgramMode.LLM: "text"}
    return by_program.get(llm.pydantic_program_mode, "auto")


def _appended(messages: Sequence[ChatMessage], text: str) -> list[ChatMessage]:
    """The conversation with *text* at the end of its last user message, the given one unchanged."""
    *before, last = messages or [ChatMessage(role=MessageRole.USER, content="")]
    if last.role != MessageRole.USER:
        return [*before, last, ChatMessage(role=MessageRole.USER, content=text.strip())]
    blocks = [*last.blocks, TextBlock(text=text.strip())]
    return [*before, last.model_copy(update={"blocks": blocks})]
