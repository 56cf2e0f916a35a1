"""What stands behind an endpoint: a responder in this process, or a model server elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .rendering import Envelope, chunks_of, completion_of, usage_of
from .replies import Reply

Responder: TypeAlias = Callable[[dict[str, Any]], Reply | Awaitable[Reply]]
"""Takes a request dict and gives the model's answer; runs in the network's thread, so quickly."""


class EngineError(Exception):
    """The engine refused or failed.

    Attributes:
        status: HTTP status it gave.
        message: Its words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(slots=True)
class Answer:
    """An answer about to be sent: a plain one has *body*, a streamed one *chunks*.

    Attributes:
        body: A `chat.completion` object.
        chunks: `chat.completion.chunk` objects.
        raw: The exact bytes of the body, instead of both.
        delay: Seconds before it begins.
        token_delay: Seconds between chunks with content; None is the network's.
        tokens: Tokens to charge for, 0 while unknown.
        headers: Response headers.
    """

    body: dict[str, Any] | None = None
    chunks: AsyncIterator[dict[str, Any]] | Iterable[dict[str, Any]] = ()
    raw: bytes | None = None
    delay: float = 0.0
    token_delay: float | None = None
    tokens: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)


class Engine(Protocol):
    """Answers requests.

    Attributes:
        waits: Whether answering takes time, so that a client may leave meanwhile.
    """

    @property
    def waits(self) -> bool:
        """See the class."""
        ...

    async def answer(self, request: dict[str, Any], envelope: Envelope) -> Answer:
        """Answer *request*.

        Raises:
            EngineError: The engine refused it.
        """
        ...

    async def aclose(self) -> None:
        """Let go of what it holds; called when the network stops."""
        ...


@dataclass(slots=True)
class ResponderEngine:
    """Answers by calling a function.

    Attributes:
        responder: The function.
    """

    responder: Responder

    @property
    def waits(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(self.responder)

    async def answer(self, request: dict[str, Any], envelope: Envelope) -> Answer:
        """Answer *request* with what the responder says."""
        made = self.responder(request)
        reply = await made if inspect.isawaitable(made) else made
        if reply.error is not None:
            raise EngineError(*reply.error)
        answer = Answer(delay=reply.delay, token_delay=reply.token_delay)
        answer.tokens = usage_of(reply, envelope).get("total_tokens", 0)
        if reply.raw is not None:
            answer.raw = reply.raw
        elif request.get("stream"):
            answer.chunks = chunks_of(reply, envelope)
        else:
            answer.body = completion_of(reply, envelope)
        return answer

    async def aclose(self) -> None:
        """Nothing is held."""
