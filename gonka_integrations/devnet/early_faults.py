"""Faults that leave no answer: silence, resets, errors, nonsense."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from .exchange import Exchange, dump
from .texts import BY_ID, HTML, JSON, PLAIN, ErrorAnswer, html_page

if TYPE_CHECKING:
    from .faults import Fault

ErrorEnvelope: TypeAlias = Callable[[int, str], ErrorAnswer]
"""Makes an error answer of a status and words."""

_GARBAGE = b"\x8b\x1f<<< not JSON >>>\x00\xff"
_EARLY = frozenset({"refuse", "reset", "hang", "status", "html", "garbage", "empty"})
_USUAL_WORDS = {
    400: "malformed request body",
    401: "Unable to validate request against PubKey:invalid signature",
    402: "Insufficient balance",
    403: "Transfer Agent not allowed",
    404: "model not found",
    408: "request body read timeout",
    413: "request body too large",
    429: "Transfer Agent capacity reached. Try another TA from "
    "http://host.example:8000/v1/epochs/current/participants",
    500: "Inference node response with an error. code = 502. error = upstream.",
    503: "no executors available for model",
}


async def deliver_early(exchange: Exchange, fault: Fault, envelope: ErrorEnvelope) -> bool:
    """Do what happens before an answer is even thought of.

    Args:
        exchange: The request.
        fault: What it meets.
        envelope: How this kind of server words errors.

    Returns:
        Whether the request is over.
    """
    if fault.kind in _EARLY:
        exchange.record.outcome = f"fault:{fault.kind}"
    if fault.delay and await exchange.leaves_within(fault.delay):
        return True
    if fault.kind not in _EARLY:
        return False
    if fault.kind in {"reset", "refuse"}:
        await exchange.cut(reset=True)
    elif fault.kind == "hang":
        await exchange.leaves_within(None)
    elif fault.kind in {"status", "html"}:
        await exchange.answer(fault_answer(fault, envelope), fault.headers)
    else:
        await _answer_nonsense(exchange, fault)
    return True


async def _answer_nonsense(exchange: Exchange, fault: Fault) -> None:
    body = b"" if fault.kind == "empty" else body_bytes(fault.body, _GARBAGE)
    if exchange.record.streams:
        await exchange.start_stream({})
        if body:
            await exchange.write(body)
        await exchange.finish()
    else:
        await exchange.answer_bytes(200, body, JSON, {})


def fault_answer(fault: Fault, envelope: ErrorEnvelope) -> ErrorAnswer:
    """The answer of a `status` or `html` fault."""
    if fault.kind == "html" and fault.body is None:
        return html_page(fault.status)
    if isinstance(fault.body, str) and fault.body in BY_ID:
        return BY_ID[fault.body]
    if fault.kind == "html":
        return ErrorAnswer(fault.status, body_bytes(fault.body, b""), HTML)
    if fault.body is None:
        return envelope(fault.status, _USUAL_WORDS.get(fault.status, "something failed"))
    text = isinstance(fault.body, str) and not fault.body.lstrip().startswith(("{", "["))
    return ErrorAnswer(fault.status, body_bytes(fault.body, b""), PLAIN if text else JSON)


def body_bytes(body: Any, fallback: bytes) -> bytes:
    """A fault's body as bytes: dicts as JSON, none as *fallback*."""
    if body is None:
        return fallback
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else dump(body)
