"""The raw openai SDK: what every ratio is taken against."""

from __future__ import annotations

from typing import Any

import openai

from . import MESSAGES, Place, check_chunks, check_text


class Sdk:
    """An OpenAI and an AsyncOpenAI client, whoever made them."""

    def __init__(self, client: Any, aclient: Any, model: str) -> None:
        self._client, self._aclient, self._model = client, aclient, model

    def call(self) -> None:
        done = self._client.chat.completions.create(model=self._model, messages=MESSAGES)
        check_text(done.choices[0].message.content)

    def stream(self) -> None:
        count = 0
        for chunk in self._client.chat.completions.create(
            model=self._model, messages=MESSAGES, stream=True
        ):
            if chunk.choices and chunk.choices[0].delta.content:
                count += 1
        check_chunks(count)

    async def acall(self) -> None:
        done = await self._aclient.chat.completions.create(model=self._model, messages=MESSAGES)
        check_text(done.choices[0].message.content)

    async def astream(self) -> None:
        count = 0
        async for chunk in await self._aclient.chat.completions.create(
            model=self._model, messages=MESSAGES, stream=True
        ):
            if chunk.choices and chunk.choices[0].delta.content:
                count += 1
        check_chunks(count)


def make(place: Place) -> Sdk:
    return Sdk(
        openai.OpenAI(base_url=place.base, api_key="sk-benchmark", max_retries=0),
        openai.AsyncOpenAI(base_url=place.base, api_key="sk-benchmark", max_retries=0),
        place.model,
    )
