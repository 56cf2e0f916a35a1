"""gonka_integrations, signed, over ten hosts given explicitly, through each of its doors."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from gonka_integrations import GonkaConfig, GonkaSession, PrivateKey

from . import MESSAGES, MODEL, Place, take

_PAYLOAD = {"model": MODEL, "messages": MESSAGES}


def parameters(place: Place, hedge: float | None) -> dict[str, Any]:
    """Connection parameters for every door."""
    keys = [PrivateKey.from_hex(f"{index + 2:064x}") for index in range(len(place.urls))]
    return {
        "model": MODEL,
        "private_key": "1" * 64,
        "endpoints": [f"{url};{key.address}" for url, key in zip(place.urls, keys, strict=True)],
        "first_token_timeout": place.limit,
        "idle_timeout": place.limit,
        "timeout": place.deadline,
        "hedge_after": hedge,
        "refresh_enabled": False,
        "allow_private_hosts": True,
    }


class Chat:
    """`core.chat`, async."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._chat = GonkaSession(GonkaConfig.build(**given)).chat

    async def call(self, pieces: list[str]) -> None:
        done = await self._chat.acomplete(_PAYLOAD)
        pieces.append(done.data["choices"][0]["message"]["content"])

    async def stream(self, pieces: list[str]) -> None:
        async with await self._chat.astream(_PAYLOAD) as stream:
            async for chunk in stream:
                take(_text(chunk), pieces)


class Threads:
    """`core.chat`, sync, each call in one of twenty threads."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._chat = GonkaSession(GonkaConfig.build(**given)).chat
        self._threads = ThreadPoolExecutor(20)

    async def call(self, pieces: list[str]) -> None:
        loop = asyncio.get_running_loop()
        done = await loop.run_in_executor(self._threads, self._chat.complete, _PAYLOAD)
        pieces.append(done.data["choices"][0]["message"]["content"])

    async def stream(self, pieces: list[str]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, self._stream, pieces)

    def _stream(self, pieces: list[str]) -> None:
        with self._chat.stream(_PAYLOAD) as stream:
            for chunk in stream:
                take(_text(chunk), pieces)


class LangChain:
    def __init__(self, given: dict[str, Any]) -> None:
        from gonka_integrations import ChatGonka

        self._model = ChatGonka(**given)

    async def call(self, pieces: list[str]) -> None:
        pieces.append((await self._model.ainvoke(MESSAGES)).content)

    async def stream(self, pieces: list[str]) -> None:
        async for chunk in self._model.astream(MESSAGES):
            take(chunk.content, pieces)


class Sdk:
    """An unmodified AsyncOpenAI over our transport."""

    def __init__(self, given: dict[str, Any]) -> None:
        from gonka_integrations import GonkaClientFactory

        factory = GonkaClientFactory(config=GonkaConfig.build(**given))
        self._client = factory.create_async_client()

    async def call(self, pieces: list[str]) -> None:
        done = await self._client.chat.completions.create(model=MODEL, messages=MESSAGES)
        pieces.append(done.choices[0].message.content)

    async def stream(self, pieces: list[str]) -> None:
        async for chunk in await self._client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True
        ):
            take(chunk.choices and chunk.choices[0].delta.content, pieces)


_DOORS = {"chat": Chat, "threads": Threads, "langchain": LangChain, "sdk": Sdk}


def _text(chunk: dict[str, Any]) -> str | None:
    return chunk["choices"][0]["delta"].get("content") if chunk["choices"] else None


def make(place: Place, door: str, hedge: float | None = None) -> Any:
    return _DOORS[door](parameters(place, hedge))
