"""LiteLLM's Router over ten deployments, two retries, as its documentation shows it."""

from __future__ import annotations

import litellm

from . import MESSAGES, MODEL, Place, take

litellm.telemetry = False
litellm.suppress_debug_info = True


class LiteLlm:
    def __init__(self, place: Place) -> None:
        self._router = litellm.Router(
            model_list=[
                {
                    "model_name": MODEL,
                    "litellm_params": {
                        "model": f"openai/{MODEL}",
                        "api_base": f"{url}/v1",
                        "api_key": "sk-benchmark",
                        "timeout": place.limit,
                        "stream_timeout": place.limit,
                    },
                }
                for url in place.urls
            ],
            num_retries=2,
        )

    async def call(self, pieces: list[str]) -> None:
        done = await self._router.acompletion(model=MODEL, messages=MESSAGES)
        pieces.append(done.choices[0].message.content)

    async def stream(self, pieces: list[str]) -> None:
        async for chunk in await self._router.acompletion(
            model=MODEL, messages=MESSAGES, stream=True
        ):
            take(chunk.choices and chunk.choices[0].delta.content, pieces)


def make(place: Place) -> LiteLlm:
    return LiteLlm(place)
