"""multiplexer-llm over ten hosts; *retries* is what its SDK clients do by themselves."""

from __future__ import annotations

from multiplexer_llm import Multiplexer
from openai import AsyncOpenAI

from . import MESSAGES, MODEL, Place


class MultiplexerLlm:
    def __init__(self, place: Place, retries: int) -> None:
        self._multiplexer = Multiplexer()
        for index, url in enumerate(place.urls):
            client = AsyncOpenAI(
                base_url=f"{url}/v1",
                api_key="sk-benchmark",
                timeout=place.limit,
                max_retries=retries,
            )
            self._multiplexer.add_model(client, 1, f"{MODEL}/{index}")

    async def call(self, pieces: list[str]) -> None:
        done = await self._multiplexer.chat.completions.create(messages=MESSAGES)
        pieces.append(done.choices[0].message.content)


def make(place: Place, retries: int) -> MultiplexerLlm:
    return MultiplexerLlm(place, retries)
