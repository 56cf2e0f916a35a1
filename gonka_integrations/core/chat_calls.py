"""A chat completion, whole or as a stream, as flows (see `effects`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .calls import OK, Call, in_time
from .chunks import ChunkReader, read_completion
from .dialect import injected_by
from .effects import Finish, Open, Read
from .failures import status_failure
from .streams import OpenStream
from .wire import WireFailure

if TYPE_CHECKING:
    from .attempt import Attempt
    from .effects import Flow
    from .served import ServedBy
    from .wire import Exchange

_TAIL = 2.0


@dataclass(slots=True)
class Completion:
    """A whole answer.

    Attributes:
        data: OpenAI ``chat.completion`` object.
        served: Who served it.
    """

    data: dict[str, Any]
    served: ServedBy


@dataclass(slots=True, eq=False)
class ChatCall(Call):
    """A call to ``/chat/completions``."""

    def complete(self) -> Flow[Completion]:
        """The whole answer, whatever it takes."""
        return self.run(self._complete_once)

    def open(self) -> Flow[OpenStream]:
        """A stream that has begun to say something."""
        return self.run(self._open_once)

    def dispose(self, result: Completion | OpenStream) -> Flow[None]:
        """Let go of an answer that came second."""
        if isinstance(result, OpenStream):
            yield from result.close()

    def _complete_once(self, attempt: Attempt) -> Flow[Completion]:
        stream = self._streams_inside()
        exchange = yield from self._send(attempt, stream=stream)
        if stream:
            reader = self._reader(attempt)
            yield from self._read_to_end(attempt, exchange, reader)
            data = reader.completion()
        else:
            body = yield from self.read_body(exchange, attempt.wait)
            data = read_completion(body, injected_by(attempt.endpoint, self.payload))
        self.note_served(attempt)
        attempt.settle_served()
        yield Finish(exchange)
        served = self.served_by(attempt)
        served.total_seconds = self.context.pool.clock() - self.started
        return Completion(data, served)

    def _read_to_end(self, attempt: Attempt, exchange: Exchange, reader: ChunkReader) -> Flow[None]:
        while not reader.over:
            try:
                self.set_wait(attempt, reader)
                data = yield Read(exchange)
                reader.take(data)
            except WireFailure:
                if not reader.assembler.finished:
                    raise
                return
            if reader.content_seen and attempt.first_token is None:
                attempt.content()
            if not data:
                return

    def _open_once(self, attempt: Attempt) -> Flow[OpenStream]:
        exchange = yield from self._send(attempt, stream=True)
        reader = self._reader(attempt)
        chunks: list[dict[str, Any]] = []
        while not reader.content_seen:
            self.set_wait(attempt, reader)
            data = yield Read(exchange)
            chunks += reader.take(data)
        attempt.content()
        self.note_served(attempt)
        attempt.lease.handed_on = True
        return OpenStream(self, attempt, exchange, reader, chunks, self.served_by(attempt))

    def _reader(self, attempt: Attempt) -> ChunkReader:
        wanted = self.payload.get("n")
        attempt.reader = ChunkReader(
            injected_by(attempt.endpoint, self.payload),
            choices=wanted if type(wanted) is int else 1,
        )
        return attempt.reader

    def _send(self, attempt: Attempt, *, stream: bool) -> Flow[Exchange]:
        request = yield from self.requests.chat(
            attempt.endpoint, attempt.wait, stream=stream, bare=attempt.lease.state.bare_streams
        )
        attempt.wait.until = self.plan.first_token_limit(self.limit("first_token_timeout"))
        exchange: Exchange = yield Open(request)
        attempt.exchange = exchange
        if exchange.status not in OK:
            body = yield from self.read_body(exchange, attempt.wait)
            raise status_failure(exchange, body)
        return exchange

    def set_wait(self, attempt: Attempt, reader: ChunkReader) -> None:
        """How long the next read may take: to the first content, to the next, to the very end.

        Raises:
            WireFailure: That time is over. Reading from an endpoint that never stops sending never
                waits, so it would not notice.
        """
        now, wait = self.context.pool.clock(), attempt.wait
        if reader.assembler.finished:
            if attempt.tail_until is None:
                attempt.tail_until = now + _TAIL
            wait.until = min(attempt.tail_until, self.plan.deadline)
        elif reader.content_seen:
            wait.until = min(now + self.limit("idle_timeout"), self.plan.deadline)
        in_time(wait)

    def _streams_inside(self) -> bool:
        payload = self.payload
        spoken = payload.get("audio") or "audio" in (payload.get("modalities") or ())
        return self.context.stream_internally and not spoken
