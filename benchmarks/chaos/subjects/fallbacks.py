"""LangChain: ten ChatOpenAI in a row, ``first.with_fallbacks(others)``."""

from __future__ import annotations

from langchain_openai import ChatOpenAI

from . import MESSAGES, MODEL, Place, take


class Fallbacks:
    def __init__(self, place: Place) -> None:
        models = [
            ChatOpenAI(
                model=MODEL, base_url=f"{url}/v1", api_key="sk-benchmark", timeout=place.limit
            )
            for url in place.urls
        ]
        self._model = models[0].with_fallbacks(models[1:])

    async def call(self, pieces: list[str]) -> None:
        pieces.append((await self._model.ainvoke(MESSAGES)).content)

    async def stream(self, pieces: list[str]) -> None:
        async for chunk in self._model.astream(MESSAGES):
            take(chunk.content, pieces)


def make(place: Place) -> Fallbacks:
    return Fallbacks(place)
