"""LlamaIndex LLMs: OpenAILike, and any other LLM handed in."""

from __future__ import annotations

from typing import Any

from . import MESSAGES, Place, check_chunks, check_text


class Llm:
    def __init__(self, llm: Any) -> None:
        from llama_index.core.llms import ChatMessage

        self._llm = llm
        self._messages = [ChatMessage(**message) for message in MESSAGES]

    def call(self) -> None:
        check_text(self._llm.chat(self._messages).message.content)

    def stream(self) -> None:
        check_chunks(sum(1 for part in self._llm.stream_chat(self._messages) if part.delta))

    async def acall(self) -> None:
        check_text((await self._llm.achat(self._messages)).message.content)

    async def astream(self) -> None:
        count = 0
        async for part in await self._llm.astream_chat(self._messages):
            if part.delta:
                count += 1
        check_chunks(count)


def make(place: Place) -> Llm:
    from llama_index.llms.openai_like import OpenAILike

    return Llm(
        OpenAILike(
            model=place.model, api_base=place.base, api_key="sk-benchmark", is_chat_model=True,
            max_retries=0,
        )
    )  # fmt: skip
