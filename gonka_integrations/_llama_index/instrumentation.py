"""Decorators that report calls of the eight LLM methods.

The framework's own decorators make an event object for every token even when nobody listens, report
an abandoned stream as an error without its answer, and copy per-call headers into every trace.
These do the same work otherwise: the same events in the same order, through the same dispatcher,
each once. Spans come from the framework's base class.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar, cast

from llama_index.core.callbacks import CallbackManager

from .observation import CHAT, COMPLETION, Call, Kind, somebody_listens

if TYPE_CHECKING:
    from collections.abc import Callable

Method = TypeVar("Method", bound="Callable[..., Any]")


def _subject(kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The messages or the prompt of a call, however they were given."""
    return args[0] if args else kwargs.get(kind.subject)


def _begin(llm: Any, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    others = {name: value for name, value in kwargs.items() if name != kind.subject}
    return Call(llm, kind, _subject(kind, args, kwargs), others)


def _callbacks(llm: Any) -> CallbackManager:
    if not isinstance(getattr(llm, "callback_manager", None), CallbackManager):
        llm.callback_manager = CallbackManager()
    manager: CallbackManager = llm.callback_manager
    return manager


def _settle(call: Call, answer: Any) -> Any:
    """What to hand to the caller: an answer, or a stream that is watched."""
    if isinstance(answer, Generator):
        return _watch(call, answer)
    if isinstance(answer, AsyncGenerator):
        return _awatch(call, answer)
    call.ended(answer)
    return answer


def _watch(call: Call, stream: Generator[Any, None, None]) -> Generator[Any, None, None]:
    last = None
    report = call.progressed if somebody_listens() else None
    try:
        for response in stream:
            last = response
            if report:
                report(response)
            yield response
    except GeneratorExit as closing:
        stream.close()
        call.closed(last, closing)
        raise
    except BaseException as error:
        call.failed(error, in_stream=True)
        raise
    call.ended(last)


async def _awatch(call: Call, stream: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
    last = None
    report = call.progressed if somebody_listens() else None
    try:
        async for response in stream:
            last = response
            if report:
                report(response)
            yield response
    except GeneratorExit as closing:
        await stream.aclose()
        call.closed(last, closing)
        raise
    except BaseException as error:
        call.failed(error, in_stream=True)
        raise
    call.ended(last)


def _observing(kind: Kind, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _callbacks(self).as_trace(kind.trace):
            call = _begin(self, kind, args, kwargs)
            if self.rate_limiter is not None:
                self.rate_limiter.acquire()
            with call.guarding():
                answer = method(self, *args, **kwargs)
            return _settle(call, answer)

    return observed


def _aobserving(kind: Kind, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _callbacks(self).as_trace(kind.trace):
            call = _begin(self, kind, args, kwargs)
            if self.rate_limiter is not None:
                await self.rate_limiter.async_acquire()
            with call.guarding():
                answer = await method(self, *args, **kwargs)
            return _settle(call, answer)

    return observed


def observed_chat(method: Method) -> Method:
    """Report calls of a chat method, streaming or not, sync or async."""
    wrap = _aobserving if iscoroutinefunction(method) else _observing
    return cast("Method", wrap(CHAT, method))


def observed_completion(method: Method) -> Method:
    """Report calls of a completion method, streaming or not, sync or async."""
    wrap = _aobserving if iscoroutinefunction(method) else _observing
    return cast("Method", wrap(COMPLETION, method))
