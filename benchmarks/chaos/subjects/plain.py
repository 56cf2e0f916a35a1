"""Plain AsyncOpenAI clients, one per host, drawn at random for each call."""

from __future__ import annotations

import random

from openai import AsyncOpenAI

from . import MESSAGES, MODEL, Place, take


class Plain:
    def __init__(self, place: Place) -> None:
        self._clients = [
            AsyncOpenAI(base_url=f"{url}/v1", api_key="sk-benchmark", timeout=place.limit)
            for url in place.urls
        ]
        self._chance = random.Random(place.seed)

    async def call(self, pieces: list[str]) -> None:
        client = self._chance.choice(self._clients)
        done = await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        pieces.append(done.choices[0].message.content)

    async def stream(self, pieces: list[str]) -> None:
        client = self._chance.choice(self._clients)
        async for chunk in await client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True
        ):
            take(chunk.choices and chunk.choices[0].delta.content, pieces)


def make(place: Place) -> Plain:
    return Plain(place)
