"""Retrieval over real documents with real embeddings, offline: answers come from the right source.

The documents are what the modules of Python's standard library say of themselves, the embeddings
are those of wordllama, and the model copies the beginning of the context it is given.
"""

from __future__ import annotations

import ast
import importlib.util
import logging
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from llama_corpus import TROUBLES, Trouble
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.response.schema import StreamingResponse
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from pydantic import PrivateAttr

from gonka_integrations.devnet import Devnet, Reply
from gonka_integrations.llama_index import GonkaLLM

pytestmark = pytest.mark.filterwarnings("ignore:<aiosqlite:ResourceWarning")
pytest.importorskip("wordllama")

QUESTIONS = {
    "How do I keep a priority queue so that the smallest item is always first?": "heapq",
    "Which module finds differences between two sequences of lines?": "difflib",
    "How do I write unit tests with fixtures and suites?": "unittest",
    "Compute the mean, median and standard deviation": "statistics",
    "How do I send an email?": "smtplib",
    "Run a queue of events at scheduled times": "sched",
    "Measure the execution time of small code snippets": "timeit",
    "Generate random numbers from a distribution": "random",
}


class WordEmbedding(BaseEmbedding):
    """Static word embeddings that ship with their package."""

    _model: Any = PrivateAttr()

    def __init__(self) -> None:
        import wordllama

        super().__init__(model_name="wordllama")
        place = pathlib.Path(wordllama.__file__).parent  # looked up here, nothing is downloaded
        self._model = wordllama.WordLlama.load(cache_dir=place, disable_download=True)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._model.embed(list(texts), norm=True).tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


def _docstring(module: str) -> str:
    spec = importlib.util.find_spec(module)
    if spec is None or not (spec.origin or "").endswith(".py"):
        return ""
    return ast.get_docstring(ast.parse(pathlib.Path(spec.origin).read_text("utf-8"))) or ""


def _documents() -> list[Document]:
    names = [name for name in sorted(sys.stdlib_module_names) if not name.startswith("_")]
    texts = {name: _docstring(name) for name in names if name not in {"antigravity", "this"}}
    return [
        Document(text=text, metadata={"module": name}, excluded_embed_metadata_keys=["module"])
        for name, text in texts.items()
        if len(text) > 250
    ]


@pytest.fixture(scope="module")
def library() -> Iterator[VectorStoreIndex]:
    levels = {name: logging.getLogger(name).level for name in (None, "llama_index", "httpx2")}
    documents = _documents()
    assert len(documents) >= 50
    splitter = SentenceSplitter(chunk_size=512, chunk_overlap=0)
    yield VectorStoreIndex.from_documents(
        documents, embed_model=WordEmbedding(), transformations=[splitter]
    )
    for name, level in levels.items():  # the embedding's package configures logging
        logging.getLogger(name).setLevel(level)


def _extracting(request: dict[str, Any]) -> Reply:
    """Answers with the beginning of the first document in its context."""
    context = str(request["messages"][-1]["content"]).split("---------------------")[1]
    return Reply(" ".join(context.split())[:160])


@pytest.mark.parametrize("question", QUESTIONS)
async def test_answers_come_from_the_right_source(
    net: Devnet, llm: GonkaLLM, library: VectorStoreIndex, question: str
) -> None:
    net.responder = _extracting
    engine = library.as_query_engine(llm=llm, similarity_top_k=2)
    streaming = library.as_query_engine(llm=llm, similarity_top_k=2, streaming=True)
    streamed = streaming.query(question)
    assert isinstance(streamed, StreamingResponse)
    wanted = QUESTIONS[question]

    for answer in (engine.query(question), await engine.aquery(question), streamed):
        text = str(answer.get_response() if answer is streamed else answer)
        assert answer.source_nodes[0].metadata["module"] == wanted
        assert f"module: {wanted}" in text


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_answers_come_whatever_happens_between_retrieval_and_answer(
    devnet: Devnet, library: VectorStoreIndex, trouble: str, streaming: bool
) -> None:
    devnet.responder = _extracting
    llm = GonkaLLM(devnet.models[0], source_url=devnet.source_urls, private_key=devnet.private_key)
    llm.complete("warm up" + "-" * 21 + "x")
    for question, wanted in QUESTIONS.items():
        strike = Trouble(lambda: TROUBLES[trouble](devnet))
        engine = library.as_query_engine(
            llm=llm, similarity_top_k=2, node_postprocessors=[strike], streaming=streaming
        )
        answer = engine.query(question)
        text = str(answer.get_response() if isinstance(answer, StreamingResponse) else answer)
        assert f"module: {wanted}" in text
        for host in devnet.hosts:
            host.revive()
        if trouble == "epoch changes":
            break  # the host that left is gone for good
    llm.session.close()


def test_settings_make_it_the_default(
    net: Devnet, llm: GonkaLLM, library: VectorStoreIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "_llm", llm)
    net.responder = _extracting
    question, wanted = next(iter(QUESTIONS.items()))
    chat = library.as_chat_engine(chat_mode="context", similarity_top_k=1)

    assert f"module: {wanted}" in str(library.as_query_engine().query(question))
    net.responder = lambda request: Reply(str(request["messages"][0]["content"]))
    assert f"module: {wanted}" in str(chat.chat(question))
