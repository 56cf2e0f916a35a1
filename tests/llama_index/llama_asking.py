"""Calling any of the eight methods in one way, so that tests can be written once for all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from inspect import isawaitable
from typing import Any

from llama_index.core.llms import ChatMessage

CHATS = ("chat", "achat", "stream_chat", "astream_chat")
COMPLETIONS = ("complete", "acomplete", "stream_complete", "astream_complete")
METHODS = (*CHATS, *COMPLETIONS)
STREAMS = tuple(name for name in METHODS if "stream" in name)
TOOL_METHODS = tuple(f"{name}_with_tools" for name in CHATS)
PREDICTIONS = (
    "structured_predict",
    "astructured_predict",
    "stream_structured_predict",
    "astream_structured_predict",
)


async def ask(llm: Any, method: str, subject: Any = "Hello there", **kwargs: Any) -> list[Any]:
    """What a method gives: all responses of a stream, or the one there is."""
    if method in CHATS and isinstance(subject, str):
        subject = [ChatMessage(content=subject)]
    return await everything(getattr(llm, method)(subject, **kwargs))


async def everything(answer: Any) -> list[Any]:
    """An answer as a list, whether it is a value, a stream, or something to await."""
    if isawaitable(answer):
        answer = await answer
    if isinstance(answer, Generator):
        return list(answer)
    if isinstance(answer, AsyncGenerator):
        return [response async for response in answer]
    return [answer]


def text_of(response: Any) -> str:
    """The text of a response of either kind."""
    return response.text if hasattr(response, "text") else response.message.content or ""
