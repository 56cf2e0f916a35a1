"""gonka_integrations through each of its doors, over ten endpoints, signed or with a bearer key."""

from __future__ import annotations

from typing import Any

from gonka_integrations import GonkaConfig, GonkaSession, PrivateKey

from . import MESSAGES, Place, check_chunks, check_text
from .langchain import Model
from .llama_index import Llm
from .sdk import Sdk

KEY = "1" * 64


def address(index: int) -> str:
    """The account of host *index*."""
    return PrivateKey.from_hex(f"{index + 2:064x}").address


def connection(place: Place, auth: str, inside: bool) -> dict[str, Any]:
    """The connection parameters every door takes."""
    common = {
        "model": place.model, "stream_internally": inside, "refresh_enabled": False,
        "allow_private_hosts": True,
    }  # fmt: skip
    if auth == "bearer":
        return common | {
            "gateways": [{"base_url": f"{u}/v1", "api_key": "sk-benchmark"} for u in place.urls]
        }
    hosts = [f"{url};{address(index)}" for index, url in enumerate(place.urls)]
    return common | {"private_key": KEY, "endpoints": hosts}


class Direct:
    """`core.chat`: dicts in, dicts out."""

    def __init__(self, session: GonkaSession, model: str) -> None:
        self._chat = session.chat
        self._payload = {"model": model, "messages": MESSAGES}

    def call(self) -> None:
        check_text(self._chat.complete(self._payload).data["choices"][0]["message"]["content"])

    def stream(self) -> None:
        with self._chat.stream(self._payload) as stream:
            check_chunks(sum(map(_has_text, stream)))

    async def acall(self) -> None:
        done = await self._chat.acomplete(self._payload)
        check_text(done.data["choices"][0]["message"]["content"])

    async def astream(self) -> None:
        count = 0
        async with await self._chat.astream(self._payload) as stream:
            async for chunk in stream:
                count += _has_text(chunk)
        check_chunks(count)


def _has_text(chunk: dict[str, Any]) -> bool:
    return bool(chunk["choices"] and chunk["choices"][0]["delta"].get("content"))


def session_for(place: Place, auth: str, *, inside: bool) -> GonkaSession:
    """A session of its own over the place's endpoints."""
    return GonkaSession(GonkaConfig.build(**connection(place, auth, inside)))


def make(place: Place, door: str, auth: str = "signed", inside: bool = False) -> Any:
    parameters = connection(place, auth, inside)
    if door == "langchain":
        from gonka_integrations import ChatGonka

        return Model(ChatGonka(**parameters))
    if door == "llama_index":
        from gonka_integrations import GonkaLLM

        return Llm(GonkaLLM(**parameters))
    if door == "sdk":
        from gonka_integrations import GonkaClientFactory

        factory = GonkaClientFactory(config=GonkaConfig.build(**parameters))
        return Sdk(factory.create_client(), factory.create_async_client(), place.model)
    return Direct(session_for(place, auth, inside=inside), place.model)
