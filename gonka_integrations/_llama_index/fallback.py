"""Who answers a call: the network, then the LLMs of `fallback_llms`, one after the other.

Choosing does no I/O, so one iterator of turns serves calls of every kind. A turn is a context
manager: an error inside it passes the call on to the next turn, unless something of the answer has
reached the caller already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import GonkaConfigError, GonkaError
from .events import report_takeover
from .tools import OfferedTools, selections

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from llama_index.core.llms.llm import LLM

#: Arguments of a call that mean the same to other LLMs. Headers and connection options do not.
_SHARED = frozenset(
    {
        "temperature",
        "max_tokens",
        "top_p",
        "stop",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "response_format",
    }
)


class Turn:
    """One LLM's chance to answer.

    Args:
        chain: The turns of the same call.
        position: 0 for the network itself, then the place among the fallback LLMs plus one.

    Attributes:
        committed: Whether something of the answer has reached the caller.
    """

    def __init__(self, chain: Chain, position: int) -> None:
        self._chain = chain
        self._position = position
        self.committed = False

    @property
    def llm(self) -> LLM | None:
        """Whose turn it is; None for the network."""
        return self._chain.llms[self._position - 1] if self._position else None

    def run(self) -> Any:
        """Ask. What the method returns: a response, a generator, or something to await."""
        return self._chain.own() if self.llm is None else self._chain.ask(self.llm)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or self.committed or not self._passes_on(error):
            return False
        return self._chain.gave_up(self, error)

    def _passes_on(self, error: BaseException) -> bool:
        if self.llm is not None:
            return isinstance(error, Exception)
        return isinstance(error, GonkaError) and not isinstance(error, GonkaConfigError)

    def adopt(self, response: Any) -> Any:
        """The response, saying who gave it when it was not the network."""
        if self.llm is None:
            return response
        served = self._chain.served(response.additional_kwargs.get("gonka"))
        # A copy: the LLM that gave it goes on to report its own.
        extra = {**response.additional_kwargs, "gonka": served}
        return _with_calls(self.llm, response.model_copy(update={"additional_kwargs": extra}))

    def held(self, stream: Iterator[Any]) -> Iterator[Any]:
        """The responses of a stream; the first ones only when one of them says something.

        So an LLM that opens a stream and then fails is replaced unseen. The network's own streams
        are held back where they are read.
        """
        waiting: list[Any] = []
        for response in stream:
            yield from self._release(waiting, response)
        yield from waiting

    async def aheld(self, stream: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
        """`held`, asynchronous."""
        waiting: list[Any] = []
        async for response in stream:
            for ready in self._release(waiting, response):
                yield ready
        for ready in waiting:
            yield ready

    def _release(self, waiting: list[Any], response: Any) -> list[Any]:
        """What may be handed out now, given that *response* has come."""
        adopted = self.adopt(response)
        if self.committed:
            return [adopted]
        waiting.append(adopted)
        if self.llm is not None and not _says_something(response):
            return []
        self.committed = True
        ready = waiting.copy()
        waiting.clear()
        return ready


class Chain:
    """The turns of one call.

    Args:
        llms: The fallback LLMs, in order.
        own: Asks the network.
        ask: Asks one of the fallback LLMs the same.

    Raises:
        GonkaError: From the last turn, when nobody answered: the network's own error, with a note
            of what each fallback LLM said.
    """

    def __init__(
        self, llms: Sequence[LLM], own: Callable[[], Any], ask: Callable[[LLM], Any]
    ) -> None:
        self.llms = llms
        self.own = own
        self.ask = ask
        self._errors: list[BaseException] = []

    def __iter__(self) -> Iterator[Turn]:
        for position in range(len(self.llms) + 1):
            yield Turn(self, position)

    def gave_up(self, turn: Turn, error: BaseException) -> bool:
        """Note the error of a turn. True when another turn follows."""
        position = len(self._errors)
        self._errors.append(error)
        failed = turn.llm.class_name() if turn.llm is not None else None
        if position < len(self.llms):
            report_takeover(error, failed, self.llms[position])
            return True
        if position == 0:
            return False
        first = self._errors[0]
        for llm, later in zip(self.llms, self._errors[1:], strict=True):
            first.add_note(f"Fallback LLM {llm.class_name()}: {type(later).__name__}: {later}")
        raise first from error

    def served(self, inner: Any = None) -> dict[str, Any]:
        """Who serves now, as JSON values; *inner* is who served that LLM, when it knows."""
        position = len(self._errors) - 1
        llm = self.llms[position]
        attempts = [record.as_dict() for record in getattr(self._errors[0], "attempts", ())]
        return {
            "kind": "fallback_llm",
            "fallback": position,
            "endpoint": llm.class_name(),
            "model": llm.metadata.model_name,
            "failovers": len(self._errors),
            "error": str(self._errors[0]),
            "attempts": attempts,
            **({"served": inner} if inner else {}),
        }


def ask_other(
    llm: LLM, method: str, subject: Any, arguments: Mapping[str, Any], **more: Any
) -> Any:
    """Call *method* of another LLM for the same thing.

    Tools are given to it as tools, since each class has its own way to send them.

    Raises:
        GonkaConfigError: The call has tools, and the LLM cannot call any.
    """
    shared = {name: arguments[name] for name in _SHARED & arguments.keys()} | more
    offered = arguments.get("tools")
    if not isinstance(offered, OfferedTools):
        return getattr(llm, method)(subject, **shared)
    if not llm.metadata.is_function_calling_model:
        raise GonkaConfigError(f"{llm.class_name()} calls no tools.", field="fallback_llms")
    return getattr(llm, f"{method}_with_tools")(
        list(offered.tools),
        chat_history=list(subject),
        allow_parallel_tool_calls=offered.parallel,
        tool_required=offered.required,
        **shared,
    )


def _says_something(response: Any) -> bool:
    if response.delta or response.additional_kwargs.get("thinking_delta"):
        return True
    message = getattr(response, "message", None)
    return message is not None and bool(selections(message))


def _with_calls(llm: LLM, response: Any) -> Any:
    """The response with its tool calls where any LLM finds them."""
    read = getattr(llm, "get_tool_calls_from_response", None)
    message = getattr(response, "message", None)
    if read is None or message is None or selections(message):
        return response
    try:
        calls = read(response, error_on_no_tool_call=False)
    except (NotImplementedError, ValueError, KeyError, AttributeError):
        return response
    if calls:
        response.message = message.model_copy(
            update={"blocks": [*message.blocks, *map(_block_of, calls)]}
        )
    return response


def _block_of(call: Any) -> Any:
    from llama_index.core.base.llms.types import ToolCallBlock  # noqa: PLC0415

    return ToolCallBlock(
        tool_call_id=call.tool_id, tool_name=call.tool_name, tool_kwargs=call.tool_kwargs
    )
