"""LiteLLM's Router over ten deployments of one model."""

from __future__ import annotations

import litellm

from . import MESSAGES, Place, check_chunks, check_text

litellm.telemetry = False
litellm.suppress_debug_info = True


class LiteLlm:
    def __init__(self, place: Place) -> None:
        self._router = litellm.Router(
            model_list=[
                {
                    "model_name": place.model,
                    "litellm_params": {
                        "model": f"openai/{place.model}",
                        "api_base": f"{url}/v1",
                        "api_key": "sk-benchmark",
                    },
                }
                for url in place.urls
            ],
            num_retries=2,
        )
        self._model = place.model

    def call(self) -> None:
        done = self._router.completion(model=self._model, messages=MESSAGES)
        check_text(done.choices[0].message.content)

    def stream(self) -> None:
        answer = self._router.completion(model=self._model, messages=MESSAGES, stream=True)
        check_chunks(sum(1 for chunk in answer if chunk.choices[0].delta.content))

    async def acall(self) -> None:
        done = await self._router.acompletion(model=self._model, messages=MESSAGES)
        check_text(done.choices[0].message.content)

    async def astream(self) -> None:
        count = 0
        answer = await self._router.acompletion(model=self._model, messages=MESSAGES, stream=True)
        async for chunk in answer:
            if chunk.choices[0].delta.content:
                count += 1
        check_chunks(count)


def make(place: Place) -> LiteLlm:
    return LiteLlm(place)
