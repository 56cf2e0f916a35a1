"""Chat: the direct door. A request as a dict goes in, an answer as dicts comes out.

No SDK object is made on the way. Synchronous and asynchronous methods run the same flows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chat_calls import ChatCall, Completion
from .effects import adrive, drive
from .served import AttemptRecord, CallOptions, ServedBy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType
    from typing import Self

    from .context import CallContext
    from .network import Network
    from .streams import OpenStream

__all__ = [
    "AsyncChatStream",
    "AttemptRecord",
    "CallOptions",
    "Chat",
    "ChatStream",
    "Completion",
    "ServedBy",
]

_SESSION = CallOptions()


class Chat:
    """Chat completions over a pool of endpoints.

    Payloads are OpenAI chat-completions requests without "stream"; they are not changed.

    Args:
        context: What the calls share.
        network: Connections.
        prepare: Makes sure that the pool is filled; may block.
        aprepare: The same for event loops.
    """

    def __init__(
        self,
        context: CallContext,
        network: Network,
        prepare: Callable[[], None] = lambda: None,
        aprepare: Callable[[], Awaitable[None] | None] = lambda: None,
    ) -> None:
        self._context = context
        self._network = network
        self._prepare = prepare
        self._aprepare = aprepare

    def complete(self, payload: Mapping[str, Any], options: CallOptions = _SESSION) -> Completion:
        """The whole answer.

        Raises:
            GonkaCallError: No endpoint could serve; the subclass says why.
        """
        self._prepare()
        return drive(ChatCall(self._context, payload, options).complete(), self._network.blocking())

    async def acomplete(
        self, payload: Mapping[str, Any], options: CallOptions = _SESSION
    ) -> Completion:
        """`complete` for event loops."""
        connections = await self._ready()
        return await adrive(ChatCall(self._context, payload, options).complete(), connections)

    def stream(self, payload: Mapping[str, Any], options: CallOptions = _SESSION) -> ChatStream:
        """The answer as it is made; returns when the first content is here.

        Raises:
            GonkaCallError: No endpoint could serve; the subclass says why.
        """
        self._prepare()
        connections = self._network.blocking()
        opened = drive(ChatCall(self._context, payload, options).open(), connections)
        return ChatStream(opened, connections, self)

    async def astream(
        self, payload: Mapping[str, Any], options: CallOptions = _SESSION
    ) -> AsyncChatStream:
        """`stream` for event loops."""
        connections = await self._ready()
        opened = await adrive(ChatCall(self._context, payload, options).open(), connections)
        return AsyncChatStream(opened, connections, self)

    async def _ready(self) -> Any:
        waiting = self._aprepare()
        if waiting is not None:
            await waiting
        return self._network.here() or await self._network.ready_here()


class _Stream:
    """What both kinds of stream share: chunks that have been read, in the order to give them."""

    def __init__(self, opened: OpenStream, connections: Any, chat: Chat) -> None:
        self._opened = opened
        self._connections = connections
        self._chat = chat  # a session that is forgotten closes its connections
        self._chunks: list[dict[str, Any]] = []
        self._next = 0

    @property
    def served(self) -> ServedBy:
        """Who serves the stream."""
        return self._opened.served

    def _take(self) -> dict[str, Any] | None:
        if self._next < len(self._chunks):
            chunk = self._chunks[self._next]
            self._next += 1
            return chunk
        return None

    def _put(self, chunks: list[dict[str, Any]]) -> dict[str, Any] | None:
        self._chunks, self._next = chunks, 0
        return self._take()

    def __del__(self) -> None:
        self._opened.abandon()


class ChatStream(_Stream):
    """Chunks of an answer, as OpenAI ``chat.completion.chunk`` dicts.

    Iterate it to its end, or close it; as a context manager it closes itself. Iteration ends
    normally only after the answer's end; when the stream breaks it raises StreamInterruptedError.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> dict[str, Any]:
        chunk = self._take()
        if chunk is None:
            chunk = self._put(drive(self._opened.pull(), self._connections))
            if chunk is None:
                raise StopIteration
        return chunk

    def close(self) -> None:
        """Let go of the stream and of its connection at once."""
        drive(self._opened.close(), self._connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncChatStream(_Stream):
    """`ChatStream` for event loops."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        chunk = self._take()
        if chunk is None:
            chunk = self._put(await adrive(self._opened.pull(), self._connections))
            if chunk is None:
                raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Let go of the stream and of its connection at once."""
        await adrive(self._opened.close(), self._connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()
