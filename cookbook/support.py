"""What the notebooks and the demo share: somewhere to connect to, and offline embeddings."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from llama_index.core.embeddings import BaseEmbedding

    from gonka_integrations.devnet import Devnet

_net: Devnet | None = None


def connect() -> str:
    """Make sure that the environment names somewhere to connect to; the model to use.

    With GONKA_BROKER_URL and GONKA_BROKER_API_KEY set, that gateway is used, with GONKA_MODEL or
    the network's base model. Otherwise a local network is started and its gateway is used.
    """
    if os.environ.get("GONKA_BROKER_URL"):
        return os.environ.get("GONKA_MODEL", "MiniMaxAI/MiniMax-M2.7")
    net = network()
    os.environ["GONKA_BROKER_URL"] = net.gateway.base_url
    os.environ["GONKA_BROKER_API_KEY"] = str(net.gateway.api_key)
    return net.models[0]


def network(**options: Any) -> Devnet:
    """The local network of this process, started when it is first asked for."""
    global _net  # noqa: PLW0603 - one for a process, as the environment is
    if _net is None:
        from offline_model import answer

        from gonka_integrations.devnet import Devnet

        _net = Devnet(responder=answer, **options).start()
    return _net


def _word_llama() -> Any:
    """A static embedding model whose weights are inside its package."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    import wordllama

    root.setLevel(level)  # importing it configures the root logger
    root.handlers[:] = handlers
    # Its tokenizer lies in another folder than it looks in, unless that is called its cache.
    return wordllama.WordLlama.load(
        cache_dir=Path(wordllama.__file__).parent, disable_download=True
    )


def llama_index_embeddings() -> BaseEmbedding:
    """Offline embeddings for LlamaIndex."""
    from llama_index.core.embeddings import BaseEmbedding
    from pydantic import PrivateAttr

    class WordLlamaEmbedding(BaseEmbedding):
        _model: Any = PrivateAttr(default_factory=_word_llama)

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return self._model.embed(texts, norm=True).tolist()

        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_text_embedding(query)

    return WordLlamaEmbedding(model_name="wordllama-l2-supercat-256")


def langchain_embeddings() -> Embeddings:
    """Offline embeddings for LangChain."""
    from langchain_core.embeddings import Embeddings

    class WordLlamaEmbeddings(Embeddings):
        def __init__(self) -> None:
            self._model = _word_llama()

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return self._model.embed(texts, norm=True).tolist()

        def embed_query(self, text: str) -> list[float]:
            return self.embed_documents([text])[0]

    return WordLlamaEmbeddings()
