"""PinnedClient: what ``multiplexer_llm.Multiplexer`` takes for an openai client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import GonkaClientError
from .http_stack import httpx
from .transport import BASE_URL

if TYPE_CHECKING:
    from .multiplexer import Multiplexer

__all__ = ["PinnedClient"]


class PinnedClient:
    """Sends each request to the one participant that its model's name stands for.

    Args:
        multiplexer: Knows the participants by these names.

    Attributes:
        chat: As of `openai.AsyncOpenAI`, with ``completions.create`` alone.
    """

    def __init__(self, multiplexer: Multiplexer) -> None:
        self._multiplexer = multiplexer
        self.chat = self.completions = self

    async def create(self, **request: Any) -> Any:
        """Creates a completion at the participant.

        Raises:
            openai.APIStatusError: The participant's answer.
            openai.APIConnectionError: Every other failure; the one kind after which the outer
                multiplexer tries another participant.
            GonkaClientError: A stream is asked for, which the outer multiplexer cannot read.
        """
        import openai  # noqa: PLC0415 - half a second

        if request.get("stream"):
            # The text has none of the words that it would take for a sign of a dead endpoint.
            raise GonkaClientError(
                "multiplexer_llm reads whole answers only; "
                "use gonka_integrations.Multiplexer to stream"
            )
        try:
            return await self._multiplexer.chat.completions.create(**request)
        except openai.APIStatusError:
            raise
        except openai.OpenAIError as error:
            message = f"Connection error: {error}"
            sent = httpx.Request("POST", BASE_URL)
            raise openai.APIConnectionError(message=message, request=sent) from error

    async def post(self, path: str, **_: Any) -> Any:
        """Refuses: participants serve chat completions only."""
        raise GonkaClientError(f"participants serve chat completions only, not {path}")
