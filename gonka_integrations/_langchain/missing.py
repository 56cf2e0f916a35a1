"""When a tool call was asked for and none came: asking once more, then saying so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.exceptions import OutputParserException

from ..errors import GonkaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import AIMessage

_SHOWN = 200


class MissingToolCallError(GonkaError, OutputParserException):
    """A tool call was required, and the model answered without one, twice.

    Attributes:
        message: The answer it gave.
        llm_output: Its text.
    """

    def __init__(self, text: str, message: AIMessage) -> None:
        OutputParserException.__init__(self, text, llm_output=str(message.text))
        self.message = message

    @classmethod
    def of(cls, message: Any, tools: Sequence[str]) -> MissingToolCallError:
        """The error for an answer in which none of *tools* is called."""
        said = str(message.text)
        shown = said if len(said) <= _SHOWN else said[:_SHOWN] + "…"
        if message.response_metadata.get("finish_reason") == "length":
            reason = (
                "its answer was cut at the token limit before a call came; raise max_tokens (the "
                "network's gateways cap it), or turn thinking off"
            )
        else:
            reason = (
                "it was asked twice. Gateways of the network turn tool_choice='required' into "
                "'auto', so the model may decline; with_structured_output(…, "
                "method='json_schema') is enforced there"
            )
        return cls(
            f"A call of {' or '.join(repr(name) for name in tools)} was required, and "
            f"{message.response_metadata.get('model_name')} called nothing: {reason}. It said: "
            f"{shown!r}",
            message,
        )


def worth_asking(finish_reason: str | None, said: Mapping[str, Any]) -> bool:
    """Whether asking again may help: not when the answer was cut, filtered or refused."""
    return finish_reason not in ("length", "content_filter") and not said.get("refusal")


def ask_again(payload: Mapping[str, Any], tools: Sequence[str], text: str) -> dict[str, Any]:
    """The request once more, with what was said and what is wanted."""
    which = f"the tool `{tools[0]}`" if len(tools) == 1 else f"one of the tools {', '.join(tools)}"
    messages = list(payload["messages"])
    if text:
        messages.append({"role": "assistant", "content": text})
    messages.append(
        {"role": "user", "content": f"Answer by calling {which}. Do not answer in text."}
    )
    return {**payload, "messages": messages}
