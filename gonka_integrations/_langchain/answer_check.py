"""Answers that have to be an object, checked when they are whole.

LangChain's parsers pass over in silence what does not fit while they are fed by a stream, and
complete JSON that was cut. An application would take nothing, or half of an object, for the answer.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from langchain_core import exceptions
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from langchain_core.runnables import AddableDict, RunnableGenerator
from langchain_core.utils.json import parse_json_markdown

from ..errors import GonkaError
from .missing import MissingToolCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from langchain_core.runnables import Runnable

_Refusal: Any = getattr(exceptions, "ModelRefusalError", exceptions.ModelError)
"""LangChain's own error for this, where it has one (since langchain-core 1.7.5)."""


class AnswerRefusedError(GonkaError, _Refusal):  # type: ignore[misc]
    """The model declined to give a structured answer.

    Attributes:
        raw_message: Its answer.
    """

    def __init__(self, text: str, raw_message: AIMessage) -> None:
        super().__init__(text)
        self.raw_message = raw_message


class AnswerCheck:
    """Makes the object out of a message.

    Args:
        parser: Reads the object.
        calls: Whether it is in a call of a tool rather than in the text.
    """

    def __init__(self, parser: Any, *, calls: bool) -> None:
        self._parser = parser
        self._calls = calls

    def whole(self, pieces: Sequence[Any]) -> Any:
        """The object.

        Args:
            pieces: A message, or the chunks of one.

        Raises:
            AnswerRefusedError: The message is a refusal.
            MissingToolCallError: It calls no tool, although it has to.
            OutputParserException: It is no object, or was cut before its end.
            ValueError: The object does not fit the schema.
        """
        message = pieces[0] if len(pieces) == 1 else pieces and pieces[0] + list(pieces[1:])
        if not isinstance(message, AIMessage):
            return None
        if not message.tool_calls:
            refusal = _refusal_in(message)
            if refusal:
                raise AnswerRefusedError(f"The model refused to answer: {refusal}", message)
            if self._calls:
                raise _missing(message)
        if not self._calls:
            _check_end(message)
        return self._parser.parse_result([ChatGeneration(message=message)])


def _refusal_in(message: AIMessage) -> str:
    """What a message says in refusal, wherever the installed langchain-core puts it."""
    found = message.additional_kwargs.get("refusal") or ""
    for block in message.content if isinstance(message.content, list) else ():
        inner = block.get("value", block) if isinstance(block, dict) else {}
        if isinstance(inner, dict) and inner.get("type") == "refusal":
            found += inner.get("refusal") or ""
    return found


def _missing(message: AIMessage) -> Exception:
    if message.invalid_tool_calls:
        bad = message.invalid_tool_calls[0]
        cut = message.response_metadata.get("finish_reason") == "length"
        reason = _CUT if cut else bad.get("error") or "the arguments are no JSON object"
        return exceptions.OutputParserException(
            f"{reason}: {bad.get('args')!r}", llm_output=str(bad.get("args"))
        )
    return MissingToolCallError.of(message, ("a tool",))


_CUT = (
    "the answer was cut at the token limit before its object was complete; raise max_tokens (the "
    "network's gateways cap it), or turn thinking off"
)


def _check_end(message: AIMessage) -> None:
    """Find out whether the JSON of a text was cut, which parsers would not notice."""
    if message.response_metadata.get("finish_reason") != "length":
        return
    text = str(message.text)
    try:
        parse_json_markdown(text, parser=partial(json.loads, strict=False))
    except ValueError as error:
        raise exceptions.OutputParserException(f"{_CUT}: {text!r}", llm_output=text) from error


def guard(check: AnswerCheck) -> Runnable[Any, Any]:
    """Lets messages pass, piece by piece, and raises what is wrong with the whole."""
    return RunnableGenerator(
        partial(_guarded, check=check), partial(_aguarded, check=check), name="gonka_answer_check"
    )


def _guarded(messages: Iterator[Any], *, check: AnswerCheck) -> Iterator[Any]:
    seen = []
    for message in messages:
        seen.append(message)
        if not _refusal_in(message):  # parsers would raise at its first word
            yield message
    check.whole(seen)


async def _aguarded(messages: AsyncIterator[Any], *, check: AnswerCheck) -> AsyncIterator[Any]:
    seen = []
    async for message in messages:
        seen.append(message)
        if not _refusal_in(message):  # parsers would raise at its first word
            yield message
    check.whole(seen)


def report(check: AnswerCheck) -> Runnable[Any, Any]:
    """Adds `parsed` and `parsing_error` to messages that come as `raw`; raises nothing."""
    return RunnableGenerator(
        partial(_reported, check=check), partial(_areported, check=check), name="gonka_answer"
    )


def _outcome(seen: Sequence[Any], check: AnswerCheck) -> AddableDict:
    try:
        return AddableDict(parsed=check.whole(seen), parsing_error=None)
    except Exception as error:  # noqa: BLE001 - validators of a schema may raise anything
        return AddableDict(parsed=None, parsing_error=error)


def _reported(pieces: Iterator[Any], *, check: AnswerCheck) -> Iterator[Any]:
    seen = []
    for piece in pieces:
        seen.append(piece["raw"])
        yield AddableDict(piece)
    yield _outcome(seen, check)


async def _areported(pieces: AsyncIterator[Any], *, check: AnswerCheck) -> AsyncIterator[Any]:
    seen = []
    async for piece in pieces:
        seen.append(piece["raw"])
        yield AddableDict(piece)
    yield _outcome(seen, check)
