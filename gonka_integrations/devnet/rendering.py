"""A reply as it goes over the wire: one completion, or chunks."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Any

from .merging import merge_chunks
from .replies import split_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .replies import Reply, ToolCall

_ARGUMENT_SLICE = 7
_TOP = 5
_call_ids = count(1)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What surrounds a reply, and who serves it.

    Attributes:
        id: Id of the answer.
        model: Model name as the caller wrote it.
        prompt_tokens: Size of the prompt.
        include_usage: Whether a stream ends with a usage chunk.
        executor_extras: Whether log probabilities and token ids are left in the answer, as the
            executors of the network do whatever the caller asked.
        created: Unix time, seconds.
    """

    id: str
    model: str
    prompt_tokens: int = 0
    include_usage: bool = False
    executor_extras: bool = False
    created: int = field(default_factory=lambda: int(time.time()))


def usage_of(reply: Reply, envelope: Envelope) -> dict[str, Any]:
    """Token counts of an answer."""
    if reply.usage is not None:
        return dict(reply.usage)
    reasoning = sum(len(split_words(one.reasoning or "")) for one in reply.choices)
    spoken = sum(_spoken_tokens(one) for one in reply.choices)
    completion = max(1, reasoning + spoken)
    return {
        "prompt_tokens": envelope.prompt_tokens,
        "total_tokens": envelope.prompt_tokens + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def completion_of(reply: Reply, envelope: Envelope) -> dict[str, Any]:
    """The plain answer, an OpenAI `chat.completion` object."""
    base = _head(envelope, "chat.completion")
    if reply.completion is not None:
        return {**base, **reply.completion}
    if reply.chunks is not None:
        return {**base, **merge_chunks(reply.chunks)}
    choices = [_choice(one, index, envelope) for index, one in enumerate(reply.choices)]
    answer = {**base, "choices": choices, "usage": usage_of(reply, envelope)}
    if envelope.executor_extras:
        answer["prompt_logprobs"] = None
        answer["prompt_token_ids"] = list(range(1, min(envelope.prompt_tokens, 16) + 1))
    return answer


def chunks_of(reply: Reply, envelope: Envelope) -> Iterator[dict[str, Any]]:
    """The streamed answer, OpenAI `chat.completion.chunk` objects, without `[DONE]`."""
    base = _head(envelope, "chat.completion.chunk")
    if reply.chunks is not None:
        yield from ({**base, **chunk} for chunk in reply.chunks)
        return
    for index, one in enumerate(reply.choices):
        for choice in _stream_choice(one, index, envelope):
            yield {**base, "choices": [choice]}
    if envelope.include_usage:
        yield {**base, "choices": [], "usage": usage_of(reply, envelope)}


def _head(envelope: Envelope, kind: str) -> dict[str, Any]:
    return {
        "id": envelope.id,
        "object": kind,
        "created": envelope.created,
        "model": envelope.model,
    }


def _choice(reply: Reply, index: int, envelope: Envelope) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.refusal is not None:
        message["refusal"] = reply.refusal
    if reply.tool_calls:
        message["content"] = reply.text or None
        message["tool_calls"] = [_wire_call(call) for call in reply.tool_calls]
    message.update(reply.message)
    choice: dict[str, Any] = {"index": index, "message": message}
    pieces = reply.text_pieces
    choice["logprobs"] = _logprobs(pieces, reply, envelope)
    choice["finish_reason"] = reply.ending
    if envelope.executor_extras:
        choice["stop_reason"] = None
        choice["token_ids"] = [_token_id(piece) for piece in pieces]
    return choice


def _stream_choice(reply: Reply, index: int, envelope: Envelope) -> Iterator[dict[str, Any]]:
    def choice(
        delta: dict[str, Any], finish: str | None = None, piece: str | None = None
    ) -> dict[str, Any]:
        made: dict[str, Any] = {"index": index, "delta": delta}
        made["logprobs"] = None if piece is None else _logprobs((piece,), reply, envelope)
        made["finish_reason"] = finish
        if envelope.executor_extras and piece is not None:
            made["token_ids"] = [_token_id(piece)]
        return made

    yield choice({"role": "assistant", "content": ""})
    for piece in split_words(reply.reasoning or ""):
        yield choice({"reasoning_content": piece})
    if reply.refusal is not None:
        yield choice({"refusal": reply.refusal})
    for piece in reply.text_pieces:
        yield choice({"content": piece}, piece=piece)
    for position, call in enumerate(reply.tool_calls):
        for delta in _call_deltas(call, position):
            yield choice({"tool_calls": [delta]})
    yield choice({}, reply.ending)


def _call_deltas(call: ToolCall, position: int) -> Iterator[dict[str, Any]]:
    opening = {**_wire_call(call), "index": position}
    opening["function"] = {"name": call.name, "arguments": ""}
    yield opening
    for piece in _slices(call.arguments_text):
        yield {"index": position, "function": {"arguments": piece}}


def _wire_call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id if call.id is not None else f"call_{next(_call_ids)}",
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments_text},
    }


def _slices(text: str) -> Iterator[str]:
    return (text[at : at + _ARGUMENT_SLICE] for at in range(0, len(text), _ARGUMENT_SLICE))


def _spoken_tokens(reply: Reply) -> int:
    called = sum(1 + len(list(_slices(call.arguments_text))) for call in reply.tool_calls)
    return len(reply.text_pieces) + called


def _logprobs(pieces: Sequence[str], reply: Reply, envelope: Envelope) -> dict[str, Any] | None:
    if envelope.executor_extras:
        return {"content": [_token_entry(piece, as_id=True) for piece in pieces]}
    if reply.logprobs:
        return {"content": [_token_entry(piece, as_id=False) for piece in pieces]}
    return None


@lru_cache(maxsize=4096)
def _token_entry(piece: str, *, as_id: bool) -> dict[str, Any]:
    """One entry of `logprobs.content`; executors print token ids instead of texts."""
    token = str(_token_id(piece)) if as_id else piece
    others = [str(number) for number in range(1, _TOP)]
    return {
        "token": token,
        "logprob": -0.0625,
        "bytes": list(piece.encode()),
        "top_logprobs": [
            {"token": one, "logprob": value, "bytes": list(one.encode())}
            for one, value in [(token, -0.0625), *((other, -9999.0) for other in others)]
        ],
    }


def _token_id(piece: str) -> int:
    return zlib.crc32(piece.encode()) % 150_000
