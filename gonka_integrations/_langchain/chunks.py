"""Message chunks made cheaply: a model's constructor checks what is known to be right here.

A template made by the real constructor says which fields there are, so that a field added by
another version of langchain-core has its default here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

if TYPE_CHECKING:
    from pydantic import BaseModel

_set = object.__setattr__
_new = object.__new__


class _Template:
    """Fields of a fresh instance, and which of them must not be shared."""

    __slots__ = ("cls", "extra", "fields", "fresh", "private")

    def __init__(self, made: BaseModel) -> None:
        self.cls = type(made)
        self.fields = dict(made.__dict__)
        self.fresh: list[tuple[str, Any]] = [
            (name, type(value))
            for name, value in self.fields.items()
            if isinstance(value, list | dict)
        ]
        self.extra = made.__pydantic_extra__ is not None
        self.private = made.__pydantic_private__

    def make(self, given: dict[str, Any]) -> Any:
        """An instance with *given* fields, as if validated."""
        fields = self.fields.copy()
        for name, container in self.fresh:
            fields[name] = container()
        fields.update(given)
        made = _new(self.cls)
        _set(made, "__dict__", fields)
        _set(made, "__pydantic_fields_set__", set(given))
        _set(made, "__pydantic_extra__", {} if self.extra else None)
        _set(made, "__pydantic_private__", self.private and dict(self.private))
        return made


_MESSAGE = _Template(AIMessageChunk(content=""))
_GENERATION = _Template(ChatGenerationChunk(message=AIMessageChunk(content="")))


def generation_chunk(
    text: str, message: dict[str, Any], info: dict[str, Any] | None = None
) -> ChatGenerationChunk:
    """A chunk whose message has the fields *message*; *text* is their text."""
    made: ChatGenerationChunk = _GENERATION.make(
        {"text": text, "message": _MESSAGE.make(message), "generation_info": info}
    )
    return made
