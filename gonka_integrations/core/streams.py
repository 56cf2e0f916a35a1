"""An open stream: content has come, the rest is being read. No attempt is repeated from here on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .effects import Close, Finish, Read
from .failures import interrupted, load_errors
from .leases import Outcome
from .verdicts import judge_failure
from .wire import WireFailure

if TYPE_CHECKING:
    from .attempt import Attempt
    from .chat_calls import ChatCall
    from .chunks import ChunkReader
    from .effects import Flow
    from .served import ServedBy
    from .wire import Exchange


@dataclass(slots=True, eq=False)
class OpenStream:
    """The rest of a stream, as flows.

    Attributes:
        chunks: Chunks that have been read and not been taken.
        served: Who serves it.
        ended: Whether nothing more will come.
    """

    _call: ChatCall
    _attempt: Attempt
    _exchange: Exchange
    _reader: ChunkReader
    chunks: list[dict[str, Any]]
    served: ServedBy
    ended: bool = False

    def pull(self) -> Flow[list[dict[str, Any]]]:
        """The next chunks; an empty list when the stream is over.

        Raises:
            StreamInterruptedError: The stream broke.
        """
        if self.chunks:
            chunks, self.chunks = self.chunks, []
            return chunks
        reader = self._reader
        while not self.ended:
            if reader.over:
                yield from self._end()
                break
            try:
                self._call.set_wait(self._attempt, reader)
                data = yield Read(self._exchange)
                chunks = reader.take(data)
            except WireFailure as failure:
                if not reader.assembler.finished:
                    yield from self._broken(failure)
                chunks, data = [], b""
            if not data:
                yield from self._end()
            if chunks:
                return chunks
        return []

    def close(self) -> Flow[None]:
        """Let go of the stream before its end."""
        if not self.ended:
            if self._reader.assembler.finished:
                yield from self._end()
            else:
                self.abandon()
                yield Close(self._exchange)

    def abandon(self) -> None:
        """Give the lease back without I/O."""
        if not self.ended:
            self.ended = True
            self._attempt.settle_cancelled()

    def _end(self) -> Flow[None]:
        self.ended = True
        clock = self._call.context.pool.clock
        self.served.total_seconds = clock() - self._call.started
        self._attempt.settle_served()
        yield Finish(self._exchange)

    def _broken(self, failure: WireFailure) -> Flow[None]:
        self.ended = True
        if failure.kind == "timeout":
            failure.kind = "idle_timeout"
        health = judge_failure(failure.kind).health
        outcome = Outcome(health, failure.kind, ambiguous=failure.ambiguous)
        self._attempt.pool.settle(self._attempt.lease, outcome)
        yield Close(self._exchange)
        yield from load_errors()
        raise interrupted(self._call, self._attempt, failure) from failure
