"""A form of asking for an object, and what it takes to read one out of an answer."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llama_index.core.program.utils import create_flexible_model
from pydantic import ValidationError

from .partial_json import GrowingJson
from .tools import selections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llama_index.core.base.llms.types import ChatMessage, ChatResponse
    from pydantic import BaseModel


class Form:
    """One way to ask.

    Attributes:
        name: A value of `structured_output_mode`.
        messages: Conversation to send.
        kwargs: Arguments of the chat call.
    """

    def __init__(
        self,
        name: str,
        output_cls: type[BaseModel],
        messages: Sequence[ChatMessage],
        kwargs: dict[str, Any],
    ) -> None:
        self.name = name
        self.messages = list(messages)
        self.kwargs = kwargs
        self._output_cls = output_cls
        self._growing = GrowingJson()
        self._seen: dict[str, Any] = {}

    def read(self, response: ChatResponse) -> BaseModel:
        """The object of a whole answer.

        Raises:
            ValueError: The answer holds none; pydantic's error when it holds a wrong one.
        """
        calls = selections(response.message) if self.name == "function" else []
        if calls:
            return self._output_cls.model_validate(calls[0].tool_kwargs)
        return self._output_cls.model_validate(_object_in(response.message.content or ""))

    def partial(self, response: ChatResponse) -> BaseModel | None:
        """The object so far, None when nothing has been added to it."""
        text = self._object_text(response)
        parsed = self._growing.read(text) if text else {}
        if not parsed or parsed == self._seen:
            return None
        self._seen = parsed
        try:
            return self._output_cls.model_validate(parsed)
        except ValidationError:
            return _flexible(self._output_cls).model_validate(parsed)

    def _object_text(self, response: ChatResponse) -> str:
        calls = response.message.additional_kwargs.get("tool_calls")
        if self.name == "function" and calls:
            arguments: str = calls[0]["function"]["arguments"]
            return arguments
        text = response.message.content or ""
        start = text.find("{")
        return text[start:] if start >= 0 else ""


def _object_in(text: str) -> dict[str, Any]:
    """The first JSON object in a text, whatever stands around it."""
    decoder = json.JSONDecoder(strict=False)
    start = text.find("{")
    while start >= 0:
        with suppress(ValueError):
            found: dict[str, Any] = decoder.raw_decode(text, start)[0]
            return found
        start = text.find("{", start + 1)
    raise ValueError(f"the answer holds no whole JSON object: {text[:200]!r}")


@lru_cache(maxsize=64)
def _flexible(output_cls: type[BaseModel]) -> type[BaseModel]:
    return create_flexible_model(output_cls)
