"""What listeners are told of one call: that it started, went on, and ended or failed."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)
from llama_index.core.instrumentation.span import active_span_id
from llama_index.core.llms.callbacks import dispatcher
from llama_index_instrumentation.event_handlers import NullEventHandler

from ..errors import GonkaError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDDEN = "**********"
#: Per-call arguments whose values may be secret.
_SECRET_ARGUMENTS = ("extra_headers", "api_key", "private_key")


@dataclass(frozen=True)
class Kind:
    """What chat and completion calls call the same things."""

    trace: str
    subject: str
    subject_key: EventPayload
    answer_key: EventPayload
    start: Any
    progress: Any
    end: Any


CHAT = Kind(
    trace="chat",
    subject="messages",
    subject_key=EventPayload.MESSAGES,
    answer_key=EventPayload.RESPONSE,
    start=LLMChatStartEvent,
    progress=LLMChatInProgressEvent,
    end=LLMChatEndEvent,
)
COMPLETION = Kind(
    trace="completion",
    subject="prompt",
    subject_key=EventPayload.PROMPT,
    answer_key=EventPayload.COMPLETION,
    start=LLMCompletionStartEvent,
    progress=LLMCompletionInProgressEvent,
    end=LLMCompletionEndEvent,
)


class Call:
    """One call as listeners see it: started, in progress, then ended or failed, once."""

    def __init__(self, llm: Any, kind: Kind, subject: Any, kwargs: dict[str, Any]) -> None:
        self.callbacks: CallbackManager = llm.callback_manager
        self._llm = llm
        self._kind = kind
        self._subject = subject
        self._span = active_span_id.get()
        payload, shown = llm.to_payload(), _shown(kwargs)
        dispatcher.event(
            kind.start(
                model_dict=payload,
                additional_kwargs=shown,
                span_id=self._span,
                **{kind.subject: subject},
            )
        )
        self._event_id = self.callbacks.on_event_start(
            CBEventType.LLM,
            payload={
                kind.subject_key: subject,
                EventPayload.ADDITIONAL_KWARGS: shown,
                EventPayload.SERIALIZED: payload,
            },
        )

    def progressed(self, response: Any) -> None:
        dispatcher.event(
            self._kind.progress(
                response=response, span_id=self._span, **{self._kind.subject: self._subject}
            )
        )

    def ended(self, response: Any) -> None:
        counted_elsewhere = _reported_by_another(self._llm, response)
        self.callbacks.on_event_end(
            CBEventType.LLM,
            # The LLM that took over reports to the same handlers: its event has the usage.
            payload={EventPayload.EXCEPTION: counted_elsewhere}
            if counted_elsewhere
            else {self._kind.subject_key: self._subject, self._kind.answer_key: response},
            event_id=self._event_id,
        )
        dispatcher.event(
            self._kind.end(
                response=response, span_id=self._span, **{self._kind.subject: self._subject}
            )
        )

    def failed(self, error: BaseException, *, in_stream: bool = False) -> None:
        self.callbacks.on_event_end(
            CBEventType.LLM, payload={EventPayload.EXCEPTION: error}, event_id=self._event_id
        )
        if in_stream:  # the span ended when the generator was handed out
            dispatcher.event(ExceptionEvent(exception=error, span_id=self._span))

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Report an error of what runs inside, and let it pass."""
        try:
            yield
        except BaseException as error:
            self.failed(error)
            raise

    def closed(self, last: Any, reason: BaseException) -> None:
        """The caller wanted no more. What it got is an answer, and is counted as one."""
        if last is None:
            self.failed(reason, in_stream=True)
        else:
            self.ended(last)


def _shown(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call, without the values that may be secret."""
    shown = dict(kwargs)
    for name in _SECRET_ARGUMENTS:
        value = shown.get(name)
        if isinstance(value, dict):
            shown[name] = dict.fromkeys(value, _HIDDEN)
        elif value is not None:
            shown[name] = _HIDDEN
    return shown


def _reported_by_another(llm: Any, response: Any) -> GonkaError | None:
    """Why the network did not answer, when an LLM did that reports to the same handlers."""
    served = getattr(response, "additional_kwargs", {}).get("gonka") or {}
    if served.get("kind") != "fallback_llm":
        return None
    other = llm.fallback_llms[served["fallback"]].callback_manager
    same = {id(h) for h in other.handlers} & {id(h) for h in llm.callback_manager.handlers}
    return GonkaError(served["error"]) if same else None


def somebody_listens() -> bool:
    """Whether any handler would get an event of an LLM call."""
    node: Any = dispatcher
    while node:
        if any(type(handler) is not NullEventHandler for handler in node.event_handlers):
            return True
        node = node.parent if node.propagate else None
    return False
