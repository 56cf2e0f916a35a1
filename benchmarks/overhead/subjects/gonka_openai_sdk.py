"""gonka-openai: signed, one host drawn when the client is made, sync only."""

from __future__ import annotations

from gonka_openai import GonkaOpenAI
from gonka_openai.utils import Endpoint

from . import MESSAGES, Place, check_chunks, check_text


class Gonka:
    def __init__(self, place: Place) -> None:
        self._client = GonkaOpenAI(
            gonka_private_key="1" * 64,
            endpoints=[Endpoint(place.base, "gonka1benchmarkhost")],
            max_retries=0,
        )
        self._model = place.model

    def call(self) -> None:
        done = self._client.chat.completions.create(model=self._model, messages=MESSAGES)
        check_text(done.choices[0].message.content)

    def stream(self) -> None:
        answer = self._client.chat.completions.create(
            model=self._model, messages=MESSAGES, stream=True
        )
        check_chunks(sum(1 for c in answer if c.choices and c.choices[0].delta.content))


def make(place: Place) -> Gonka:
    return Gonka(place)
