"""The floor: an HTTP library alone, with `json.loads` of what comes back."""

from __future__ import annotations

import importlib
import json
from typing import Any

from . import MESSAGES, Place, check_chunks, check_text


def _count(lines: list[str]) -> int:
    count = 0
    for line in lines:
        if line.startswith("data: {"):
            choices = json.loads(line[6:])["choices"]
            if choices and choices[0]["delta"].get("content"):
                count += 1
    return count


class Httpx:
    """httpx or httpx2: the two have the same classes."""

    def __init__(self, library: Any, place: Place) -> None:
        self._client, self._aclient = library.Client(), library.AsyncClient()
        self._url = f"{place.base}/chat/completions"
        self._body = {"model": place.model, "messages": MESSAGES}

    def call(self) -> None:
        answer = self._client.post(self._url, json=self._body).json()
        check_text(answer["choices"][0]["message"]["content"])

    def stream(self) -> None:
        with self._client.stream("POST", self._url, json=self._body | {"stream": True}) as answer:
            check_chunks(_count(list(answer.iter_lines())))

    async def acall(self) -> None:
        answer = (await self._aclient.post(self._url, json=self._body)).json()
        check_text(answer["choices"][0]["message"]["content"])

    async def astream(self) -> None:
        body = self._body | {"stream": True}
        async with self._aclient.stream("POST", self._url, json=body) as answer:
            check_chunks(_count([line async for line in answer.aiter_lines()]))


class Aiohttp:
    def __init__(self, library: Any, place: Place) -> None:
        self._library, self._session = library, None
        self._url = f"{place.base}/chat/completions"
        self._body = {"model": place.model, "messages": MESSAGES}

    def _open(self) -> Any:
        if self._session is None:
            connector = self._library.TCPConnector(limit=0)
            self._session = self._library.ClientSession(connector=connector)
        return self._session

    async def acall(self) -> None:
        async with self._open().post(self._url, json=self._body) as answer:
            done = json.loads(await answer.read())
            check_text(done["choices"][0]["message"]["content"])

    async def astream(self) -> None:
        async with self._open().post(self._url, json=self._body | {"stream": True}) as answer:
            check_chunks(_count([line.decode() async for line in answer.content]))

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


def make(place: Place, library: str) -> Httpx | Aiohttp:
    module = importlib.import_module(library)
    return Aiohttp(module, place) if library == "aiohttp" else Httpx(module, place)
