"""Offline retrieval: embeddings without a download, and trouble between retrieval and answer."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import Any

from llama_index.core import Document, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from pydantic import PrivateAttr

from gonka_integrations.devnet import Devnet

FACTS = {
    "bolt": "The Bolt scooter has a battery of 480 watt hours and weighs 14 kilograms.",
    "crane": "The Crane lamp folds into a cube and shines for nine hours.",
    "delta": "The Delta tent sleeps four people and is sold in green only.",
    "ember": "The Ember stove burns wood pellets and boils a litre in three minutes.",
}


class HashedEmbedding(BaseEmbedding):
    """Words and their beginnings, counted in hashed places: the same on every machine."""

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * 256
        for word in re.findall(r"[a-z]+", text.lower()):
            for part in (word, word[:4]):
                vector[zlib.crc32(part.encode()) % 256] += 1.0
        return vector

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._embed(query)


class Trouble(BaseNodePostprocessor):
    """Does something to the network once, after retrieval and before the answer."""

    _strike: Callable[[], None] = PrivateAttr()

    def __init__(self, strike: Callable[[], None]) -> None:
        super().__init__()
        self._strike = strike

    def _postprocess_nodes(self, nodes: list[Any], query_bundle: Any = None) -> list[Any]:
        strike, self._strike = self._strike, _nothing
        strike()
        return nodes


def _nothing() -> None:
    return None


def index_of_facts() -> VectorStoreIndex:
    documents = [Document(text=text, metadata={"name": name}) for name, text in FACTS.items()]
    return VectorStoreIndex.from_documents(documents, embed_model=HashedEmbedding())


#: What may happen to the network while somebody works on it; calm is a control.
TROUBLES: dict[str, Callable[[Devnet], None]] = {
    "calm": lambda net: None,
    "hosts die": lambda net: [net.hosts[i].kill() for i in (0, 1)] and None,
    "epoch changes": lambda net: net.advance_epoch(leave=(0,), join=1) and None,
}
