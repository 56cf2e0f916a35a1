"""From failures to verdicts and errors: judging attempts, and saying why a call came to nothing."""

from __future__ import annotations

import email.utils
import importlib
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from .effects import Compute
from .error_bodies import error_text, parse_body
from .verdicts import judge_failure, judge_status
from .wire import WireFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .attempt import Attempt
    from .calls import Call
    from .effects import Flow
    from .endpoints import EndpointKind
    from .verdicts import Verdict
    from .wire import Exchange

_ERRORS = range(400, 600)
_GONE = 410
_CLASSES = f"{__package__}.call_errors"


def failed_verdict(kind: EndpointKind, failure: WireFailure) -> Verdict:
    """The verdict on a failed attempt; an error inside a 200 is judged by the code it carries."""
    if failure.kind == "error_event" and failure.status is None:
        failure.status = _status_inside(failure.body)
    if failure.status is not None:
        return judge_status(kind, failure.status, failure.text)
    return judge_failure(failure.kind)


def _status_inside(body: bytes) -> int | None:
    parsed = parse_body(body)
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and code in _ERRORS else None


def status_failure(exchange: Exchange, body: bytes) -> WireFailure:
    """The failure that an answer other than 2xx is."""
    return WireFailure(
        "status",
        error_text(body),
        status=exchange.status,
        headers=exchange.headers,
        body=body,
        ambiguous=False,
    )


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, in either of its forms; None without one."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        moment = email.utils.parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None
    return max(0.0, moment - time.time())


def load_errors() -> Flow[None]:
    """Load the classes of errors, where event loops do not wait for it.

    They need the openai SDK, whose import takes half a second and reads files.
    """
    if _CLASSES not in sys.modules:
        yield Compute(lambda: importlib.import_module(_CLASSES))


def call_error(call: Call) -> Exception:
    """The error of a call whose plan has come to its end."""
    from . import call_errors as errors  # noqa: PLC0415 - importing openai costs half a second

    plan, records, last = call.plan, call.records, call.last
    model, pool = plan.want.model, call.context.pool
    if not records and plan.stopped in ("nobody", "outage"):
        return _nobody(model, call)
    if plan.stopped == "full":
        return errors.GonkaBackpressureError(
            "every endpoint is full, and so is the queue; call less at once, raise max_concurrent, "
            "or add endpoints",
            records,
        )
    if plan.stopped == "deadline":
        seconds = pool.clock() - call.started
        return errors.GonkaTimeoutError(
            f"no answer within {seconds:.1f} s (timeout={call.limit('timeout'):g} s). "
            f"Raise timeout, or add endpoints.{errors.tried(records)}",
            records,
        )
    if last is not None and last.status is not None:
        return errors.status_error(last.status, last.headers, last.body, records, plan.advice)
    return errors.GonkaEndpointsExhaustedError(
        f"no endpoint gave an answer. {_advice(plan.advice)}{errors.tried(records)}", records
    )


def interrupted(call: Call, attempt: Attempt, failure: WireFailure) -> Exception:
    """The error of a stream that broke after content had reached the caller."""
    from . import call_errors as errors  # noqa: PLC0415 - importing openai costs half a second

    endpoint = attempt.endpoint
    call.records[-1] = attempt.record(failure.kind, failure.status, failure.text)
    assembler = attempt.reader.assembler if attempt.reader else None
    partial: dict[str, Any] = assembler.message() if assembler else {}
    size = len(assembler.text()) if assembler else 0
    return errors.StreamInterruptedError(
        f"the stream of {endpoint} broke after {size} characters: {failure}. Nothing was repeated, "
        "since content had been delivered; use .partial_text or call again",
        call.records,
        partial,
        assembler.usage if assembler else None,
    )


def _nobody(model: str, call: Call) -> Exception:
    from . import call_errors as errors  # noqa: PLC0415 - importing openai costs half a second

    pool = call.context.pool
    served = pool.models()
    if not pool.endpoints():
        return errors.GonkaEndpointsExhaustedError(
            "the pool has no endpoints: no participant could be used. See the log of "
            "gonka_integrations for what was skipped and why, or add a gateway or a fallback",
            [],
        )
    if pool.gone(model):
        moved = call.context.moved
        for one in pool.endpoints():
            if (said := moved.get(one.identity)) and said.status is not None:
                return errors.status_error(said.status, said.headers, said.body, [], "")
        advice = judge_status("participant", _GONE, "").advice
        return errors.status_error(_GONE, {}, b'{"error":"deprecated"}', [], advice)
    if excuses := pool.excuses(model):
        return errors.GonkaEndpointsExhaustedError(
            f"no endpoint takes requests for model {model!r} now: {'; '.join(excuses)}. Wait some "
            "minutes, or add a gateway or a fallback",
            [],
        )
    if not pool.serves(model) or pool.lacks(model):
        shown = ", ".join(served[:20]) or "none known"
        return errors.GonkaModelNotServedError(
            f"no endpoint of the pool serves model {model!r}; served: {shown}", model, served
        )
    return errors.GonkaEndpointsExhaustedError(
        "every endpoint is out of service for longer than this call may wait; "
        "session.stats() shows which and why",
        [],
    )


def _advice(advice: str) -> str:
    return f"What to do: {advice}." if advice else "Check that the endpoints are reachable."
