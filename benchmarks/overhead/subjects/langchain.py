"""LangChain chat models: ChatOpenAI, ChatGroq, and any other BaseChatModel handed in."""

from __future__ import annotations

from typing import Any

from . import MESSAGES, Place, check_chunks, check_text


class Model:
    def __init__(self, model: Any) -> None:
        self._model = model
        self._messages = [(message["role"], message["content"]) for message in MESSAGES]

    def call(self) -> None:
        check_text(self._model.invoke(self._messages).content)

    def stream(self) -> None:
        check_chunks(sum(1 for chunk in self._model.stream(self._messages) if chunk.content))

    async def acall(self) -> None:
        check_text((await self._model.ainvoke(self._messages)).content)

    async def astream(self) -> None:
        count = 0
        async for chunk in self._model.astream(self._messages):
            if chunk.content:
                count += 1
        check_chunks(count)


def make(place: Place, library: str) -> Model:
    if library == "groq":
        from langchain_groq import ChatGroq

        base = place.urls[0]
        return Model(
            ChatGroq(model=place.model, base_url=base, api_key="gsk-benchmark", max_retries=0)
        )
    from langchain_openai import ChatOpenAI

    return Model(
        ChatOpenAI(model=place.model, base_url=place.base, api_key="sk-benchmark", max_retries=0)
    )
