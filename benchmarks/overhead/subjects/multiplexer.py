"""multiplexer-llm over ten endpoints: async calls only, it does not stream."""

from __future__ import annotations

from multiplexer_llm import Multiplexer
from openai import AsyncOpenAI

from . import MESSAGES, Place, check_text


class MultiplexerLlm:
    def __init__(self, place: Place) -> None:
        self._multiplexer = Multiplexer()
        for index, url in enumerate(place.urls):
            client = AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-benchmark", max_retries=0)
            self._multiplexer.add_model(client, 1, f"{place.model}/{index}")

    async def acall(self) -> None:
        done = await self._multiplexer.chat.completions.create(messages=MESSAGES)
        check_text(done.choices[0].message.content)


def make(place: Place) -> MultiplexerLlm:
    return MultiplexerLlm(place)
