"""One call of ChatGonka: what is asked, what is asked again, what comes of it. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import ModelInvalidRequestError
from langchain_core.messages import AIMessage

from ..errors import GonkaConfigError, GonkaError
from .answers import result_of, text_of
from .metadata import total
from .missing import MissingToolCallError, ask_again, worth_asking

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType

    from langchain_core.outputs import ChatGenerationChunk, ChatResult

    from ..core.chat import Completion, ServedBy
    from .requests import Request
    from .streaming import StreamReader


class ChatGonkaConfigError(GonkaConfigError, ModelInvalidRequestError):
    """A call that cannot be sent as it is; trying again does not help."""


class AsModelErrors:
    """A block whose errors leave it as LangChain's (see `errors.as_model_error`)."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if isinstance(error, GonkaConfigError):
            raise ChatGonkaConfigError(str(error), field=error.field) from error
        if isinstance(error, GonkaError):
            from .errors import as_model_error  # noqa: PLC0415 - imports the openai SDK

            translated = as_model_error(error)
            if translated is not error:
                raise translated from error


def exchange(request: Request) -> Generator[dict[str, Any], Completion, ChatResult]:
    """Yields payloads to send, takes completions, returns the result.

    Where a call of a tool was asked for and text came, it is asked for once more: gateways turn
    `tool_choice="required"` into "auto", and the model may not know that it has to.

    Raises:
        MissingToolCallError: No tool was called then either.
    """
    completion = yield request.payload
    data, facts = completion.data, completion.served.as_dict()
    usage = data.get("usage")
    if request.must_call and _has_no_call(data):
        choice = data["choices"][0]
        if worth_asking(choice.get("finish_reason"), choice.get("message") or {}):
            text = text_of(choice["message"].get("content"))
            completion = yield ask_again(request.payload, request.must_call, text)
            data, facts = completion.data, completion.served.as_dict() | {"reasked": True}
            usage = total(usage, data.get("usage"))
    result = result_of(data, facts, usage)
    if request.must_call and not request.report_missing and _has_no_call(data):
        refused = (data["choices"][0].get("message") or {}).get("refusal")
        if not refused:
            raise MissingToolCallError.of(result.generations[0].message, request.must_call)
    return result


def _has_no_call(data: dict[str, Any]) -> bool:
    choices = data.get("choices") or ()
    return bool(choices) and not any((c.get("message") or {}).get("tool_calls") for c in choices)


def next_payload(request: Request, reader: StreamReader) -> dict[str, Any] | None:
    """What to send after a stream has ended: None, or the question asked again, once."""
    if not request.must_call or reader.tools or reader.refused or reader.asked_again:
        return None
    if not worth_asking(reader.finish_reason, {}):
        return None
    reader.begin_again()
    return ask_again(request.payload, request.must_call, "".join(reader.text))


def ending(request: Request, reader: StreamReader, served: ServedBy) -> ChatGenerationChunk:
    """The last chunk of a stream.

    Raises:
        MissingToolCallError: A tool was to be called, and was not.
    """
    last = reader.last(served)
    if request.must_call and not (reader.tools or reader.refused or request.report_missing):
        metadata = last.message.response_metadata
        said = AIMessage("".join(reader.text), response_metadata=metadata)
        raise MissingToolCallError.of(said, request.must_call)
    return last
