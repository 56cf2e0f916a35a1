"""Sends an answer, with or without a fault, byte for byte as a failing server would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .early_faults import body_bytes
from .engines import EngineError
from .exchange import Exchange, dump
from .texts import JSON

if TYPE_CHECKING:
    from .engines import Answer
    from .faults import Fault

# Deltas that share a system call when nothing waits between them.
_BURST = 8
_DONE = b"data: [DONE]"
_PLAIN_TAIL = b"unexpected end of JSON input\n"
_STREAM_ERROR = {"error": {"message": "inference failed: upstream closed"}}


@dataclass(frozen=True, slots=True)
class Manner:
    """How one endpoint writes streams.

    Attributes:
        separator: Bytes after each event; some builds of the node send two blank lines.
        token_delay: Seconds between deltas.
        error_events: Whether a failure in the middle is told by an event; else by bare text.
    """

    separator: bytes = b"\n\n"
    token_delay: float = 0.0
    error_events: bool = False


async def deliver(exchange: Exchange, answer: Answer, fault: Fault | None, manner: Manner) -> None:
    """Send *answer*, broken in the way of *fault*."""
    if answer.delay and await exchange.leaves_within(answer.delay):
        return
    if answer.raw is not None:
        await _deliver_raw(exchange, answer.raw)
    elif answer.body is not None:
        await _deliver_plain(exchange, answer, fault)
    else:
        try:
            await _deliver_stream(exchange, answer, fault, manner)
        except EngineError as error:
            await _give_up(exchange, error, manner)


async def _deliver_raw(exchange: Exchange, body: bytes) -> None:
    exchange.succeed()
    if not exchange.record.streams:
        await exchange.answer_bytes(200, body, JSON, {})
        return
    await exchange.start_stream({})
    await exchange.write(body)
    await exchange.finish()


async def _deliver_plain(exchange: Exchange, answer: Answer, fault: Fault | None) -> None:
    body = answer.body or {}
    if fault is None or fault.kind == "slow":
        exchange.succeed()
        await exchange.answer_json(body, answer.headers)
        return
    exchange.record.outcome = f"fault:{fault.kind}"
    if fault.kind == "error_event":
        event = fault.body if isinstance(fault.body, dict) else _STREAM_ERROR
        await exchange.answer_json(event, answer.headers)
    elif fault.kind == "no_finish":
        await exchange.answer_json(_unfinished(body, fault.after_tokens), answer.headers)
    elif fault.kind == "plain_text_tail":
        text = dump(body)
        torn = text[: len(text) // 2] + body_bytes(fault.body, _PLAIN_TAIL)
        await exchange.answer_bytes(200, torn, JSON, answer.headers)
    else:
        await _tear(exchange, answer, fault)


async def _tear(exchange: Exchange, answer: Answer, fault: Fault) -> None:
    text = dump(answer.body)
    await exchange.start(200, JSON, {**answer.headers, "Content-Length": str(len(text))})
    await exchange.write(text[: len(text) // 2])
    if fault.kind == "hang_mid_stream":
        await exchange.leaves_within(None)
    else:
        await exchange.cut(reset=fault.reset)


def _unfinished(body: dict[str, Any], words: int) -> dict[str, Any]:
    choices = [{**choice, "finish_reason": None} for choice in body.get("choices", ())]
    for choice in choices:
        message = dict(choice.get("message") or {})
        message["content"] = " ".join((message.get("content") or "").split()[:words])
        choice["message"] = message
    return {**body, "choices": choices, "usage": None}


async def _deliver_stream(
    exchange: Exchange, answer: Answer, fault: Fault | None, manner: Manner
) -> None:
    if fault is not None and fault.kind == "slow":
        answer.token_delay, fault = fault.token_delay or answer.token_delay, None
    pause = manner.token_delay if answer.token_delay is None else answer.token_delay
    allowed = _content_allowed(fault)
    await exchange.start_stream(answer.headers)
    content = 0
    async for chunk in each_chunk(answer.chunks):
        if content % _BURST == 0:
            exchange.uncork()
            exchange.cork()
        said = has_content(chunk)
        if fault is not None and (is_ending(chunk) or (said and content >= allowed)):
            await _strike(exchange, fault, manner)
            return
        await exchange.write(b"data: " + dump(chunk) + manner.separator)
        content += said
        if exchange.left or (said and pause and await exchange.leaves_within(pause)):
            return
    exchange.succeed()
    exchange.before_end()
    await exchange.write(_DONE + manner.separator)
    await exchange.finish()


async def _give_up(exchange: Exchange, error: EngineError, manner: Manner) -> None:
    """End a stream whose engine failed in the middle, as this endpoint does."""
    exchange.record.outcome, exchange.record.detail = "failed", error.message
    if manner.error_events:
        event = dump({"error": {"message": f"inference failed: {error.message}"}})
        await exchange.write(b"data: " + event + manner.separator)
    else:
        await exchange.write(f"{error.message}\n".encode())
    await exchange.finish()


def _content_allowed(fault: Fault | None) -> int:
    if fault is None or fault.kind == "role_then_cut":
        return 0
    return fault.after_tokens


async def _strike(exchange: Exchange, fault: Fault, manner: Manner) -> None:
    exchange.record.outcome = f"fault:{fault.kind}"
    if fault.kind in {"cut", "role_then_cut"}:
        # One turn of the loop, so that what was written is on its way before the end is.
        await asyncio.sleep(0)
        await exchange.cut(reset=fault.reset)
        return
    if fault.kind == "hang_mid_stream":
        await exchange.leaves_within(None)
        return
    if fault.kind == "error_event":
        event = fault.body if isinstance(fault.body, dict) else _STREAM_ERROR
        await exchange.write(b"data: " + dump(event) + manner.separator)
        if fault.done:
            await exchange.write(_DONE + manner.separator)
    elif fault.kind == "plain_text_tail":
        await exchange.write(body_bytes(fault.body, _PLAIN_TAIL))
    await exchange.finish()


def has_content(chunk: dict[str, Any]) -> bool:
    """Whether a chunk says something: text, reasoning, refusal or a tool call."""
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if any(delta.get(key) for key in _CONTENT_KEYS):
            return True
    return False


def is_ending(chunk: dict[str, Any]) -> bool:
    """Whether a chunk belongs to the end: a finish reason, or usage without choices."""
    choices = chunk.get("choices")
    return not choices or any(choice.get("finish_reason") for choice in choices)


_CONTENT_KEYS = ("content", "reasoning_content", "reasoning", "refusal", "tool_calls")


async def each_chunk(
    chunks: AsyncIterator[dict[str, Any]] | Iterable[dict[str, Any]],
) -> AsyncIterator[dict[str, Any]]:
    """One way to read chunks that are there and chunks that are still to come."""
    if isinstance(chunks, AsyncIterator):
        async for chunk in chunks:
            yield chunk
    else:
        for chunk in chunks:
            yield chunk
