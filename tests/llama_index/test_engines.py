"""Query engines, chat engines, routers and sub-questions, also while the network has trouble."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from llama_corpus import FACTS, TROUBLES, HashedEmbedding, Trouble, index_of_facts
from llama_index.core import PromptTemplate, Settings, SummaryIndex, VectorStoreIndex
from llama_index.core.base.response.schema import AsyncStreamingResponse, StreamingResponse
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.query_engine import RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import ResponseMode, get_response_synthesizer
from llama_index.core.selectors import LLMMultiSelector, LLMSingleSelector, PydanticSingleSelector
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel

from gonka_integrations.devnet import Devnet, Reply, ToolCall, scripted
from gonka_integrations.llama_index import GonkaLLM

# The framework's chat memory leaves its database to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:<aiosqlite:ResourceWarning")

MODEL = "gonka/test-model"
QUESTION = "How heavy is the Bolt scooter and what battery has it?"
WRITTEN = [
    ResponseMode.COMPACT,
    ResponseMode.REFINE,
    ResponseMode.TREE_SUMMARIZE,
    ResponseMode.SIMPLE_SUMMARIZE,
    ResponseMode.ACCUMULATE,
    ResponseMode.COMPACT_ACCUMULATE,
    ResponseMode.GENERATION,
]
STREAMED = [mode for mode in WRITTEN if "accumulate" not in mode.value]
CHAT_MODES = [
    ChatMode.SIMPLE,
    ChatMode.CONTEXT,
    ChatMode.CONDENSE_QUESTION,
    ChatMode.CONDENSE_PLUS_CONTEXT,
]


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    return index_of_facts()


@pytest.fixture
def shaken(devnet: Devnet, request: pytest.FixtureRequest) -> Iterator[tuple[GonkaLLM, Trouble]]:
    """A model, and the trouble that strikes between retrieval and answer."""
    llm = GonkaLLM(MODEL, source_url=devnet.source_urls, private_key=devnet.private_key)
    llm.complete("warm up")
    yield llm, Trouble(lambda: TROUBLES[request.param](devnet))
    llm.session.close()


every_trouble = pytest.mark.parametrize("shaken", TROUBLES, indirect=True)


def _echo_all(request: dict[str, Any]) -> Reply:
    """Says the whole of the last message, as a model that copies its context would."""
    return Reply(str(request["messages"][-1]["content"]))


@pytest.mark.parametrize("mode", WRITTEN)
async def test_every_response_mode_answers(
    net: Devnet, llm: GonkaLLM, index: VectorStoreIndex, mode: ResponseMode
) -> None:
    net.responder = _echo_all
    engine = index.as_query_engine(llm=llm, response_mode=mode, similarity_top_k=2)
    answers = [engine.query(QUESTION), await engine.aquery(QUESTION)]

    for answer in answers:
        assert answer.source_nodes[0].metadata["name"] == "bolt"
        assert QUESTION in str(answer)
        assert ("480 watt hours" in str(answer)) is (mode is not ResponseMode.GENERATION)


@pytest.mark.parametrize("mode", STREAMED)
async def test_every_response_mode_streams(
    net: Devnet, llm: GonkaLLM, index: VectorStoreIndex, mode: ResponseMode
) -> None:
    net.responder = _echo_all
    engine = index.as_query_engine(llm=llm, response_mode=mode, similarity_top_k=2, streaming=True)
    answer, answer_later = engine.query(QUESTION), await engine.aquery(QUESTION)
    assert isinstance(answer, StreamingResponse)
    pieces = list(answer.response_gen)
    assert isinstance(answer_later, AsyncStreamingResponse)
    later = [piece async for piece in answer_later.async_response_gen()]

    for got in (pieces, later):
        assert len(got) > 5
        assert QUESTION in "".join(got)


@pytest.mark.parametrize("mode", [ResponseMode.NO_TEXT, ResponseMode.CONTEXT_ONLY])
async def test_modes_that_ask_no_model(
    llm: GonkaLLM,
    index: VectorStoreIndex,
    sent: Any,
    mode: ResponseMode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Settings, "_llm", llm)
    engine = index.as_query_engine(llm=llm, response_mode=mode)
    engine.query(QUESTION)
    await engine.aquery(QUESTION)

    assert sent() == []


class Facts(BaseModel):
    """Facts of a product."""

    product: str
    kilograms: int


@pytest.mark.parametrize("mode", [ResponseMode.COMPACT, ResponseMode.REFINE])
async def test_query_engines_answer_with_objects(
    net: Devnet, llm: GonkaLLM, index: VectorStoreIndex, mode: ResponseMode
) -> None:
    net.responder = lambda request: Reply(json.dumps({"product": "Bolt", "kilograms": 14}))
    engine = index.as_query_engine(llm=llm, output_cls=Facts, response_mode=mode)

    assert engine.query(QUESTION).response == Facts(product="Bolt", kilograms=14)
    assert (await engine.aquery(QUESTION)).response == Facts(product="Bolt", kilograms=14)


@pytest.mark.parametrize("streaming", [False, True])
def test_refine_with_structured_filtering(
    net: Devnet, llm: GonkaLLM, index: VectorStoreIndex, streaming: bool
) -> None:
    said = {"answer": "14 kilograms", "query_satisfied": True}
    call = ToolCall("StructuredRefineResponse", said)
    net.responder = lambda request: Reply(None, tool_calls=[call])
    try:
        synthesizer = get_response_synthesizer(
            llm=llm,
            response_mode=ResponseMode.REFINE,
            structured_answer_filtering=True,
            streaming=streaming,
        )
    except ValueError as trouble:
        if streaming and "Streaming not supported" in str(trouble):
            pytest.skip("this llama-index-core does not stream filtered answers")
        raise
    engine = index.as_query_engine(llm=llm, response_synthesizer=synthesizer)
    assert str(engine.query(QUESTION)) == "14 kilograms"


def test_a_prompt_that_does_not_fit_is_packed_in_parts(net: Devnet, make: Any, sent: Any) -> None:
    from llama_index.core import Document

    llm = make(context_window=1_500, num_output=200)
    long = " ".join(f"Sentence {n} is about the Bolt." for n in range(600))
    index = SummaryIndex.from_documents([Document(text=long)])
    index.as_query_engine(llm=llm, response_mode=ResponseMode.TREE_SUMMARIZE).query(QUESTION)

    assert len(sent()) > 2


@every_trouble
@pytest.mark.parametrize("mode", WRITTEN)
def test_answers_come_whatever_happens_to_the_network(
    shaken: tuple[GonkaLLM, Trouble], index: VectorStoreIndex, mode: ResponseMode
) -> None:
    llm, trouble = shaken
    engine = index.as_query_engine(
        llm=llm, response_mode=mode, node_postprocessors=[trouble], similarity_top_k=2
    )
    answer = engine.query(QUESTION)

    assert "You said" in str(answer)
    assert answer.source_nodes[0].metadata["name"] == "bolt"


@every_trouble
@pytest.mark.parametrize("mode", STREAMED)
async def test_streams_come_whatever_happens_to_the_network(
    shaken: tuple[GonkaLLM, Trouble], index: VectorStoreIndex, mode: ResponseMode
) -> None:
    llm, trouble = shaken
    engine = index.as_query_engine(
        llm=llm, response_mode=mode, node_postprocessors=[trouble], streaming=True
    )
    answer = await engine.aquery(QUESTION)
    assert isinstance(answer, AsyncStreamingResponse)

    assert "You said" in "".join([piece async for piece in answer.async_response_gen()])


def _conversing(request: dict[str, Any]) -> Reply:
    """Condenses when it is asked to, else answers with the system prompt's facts or an echo."""
    texts = [str(message["content"]) for message in request["messages"]]
    if "standalone question" in texts[-1].lower() or "follow up" in texts[-1].lower():
        return Reply("How heavy is the Bolt scooter?")
    context = next((text for text in texts if "14 kilograms" in text), "")
    return Reply("It weighs 14 kilograms." if context else f"You said: {texts[-1]}")


@pytest.mark.parametrize("mode", CHAT_MODES)
@pytest.mark.parametrize("way", ["chat", "achat", "stream_chat", "astream_chat"])
async def test_every_chat_engine_holds_a_conversation(
    net: Devnet, llm: GonkaLLM, index: VectorStoreIndex, mode: ChatMode, way: str
) -> None:
    net.responder = _conversing
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, similarity_top_k=1)
    texts = [await _say(engine, way, text) for text in ("Tell me of the Bolt.", "And its weight?")]

    if mode is ChatMode.SIMPLE:
        assert texts[1] == "You said: And its weight?"
    else:
        assert texts[1] == "It weighs 14 kilograms."
    assert [message.role.value for message in engine.chat_history][-2:] == ["user", "assistant"]


async def _say(engine: Any, way: str, text: str) -> str:
    answer = getattr(engine, way)(text)
    if way.startswith("a"):
        answer = await answer
    if way == "stream_chat":
        return "".join(answer.response_gen)
    if way == "astream_chat":
        return "".join([piece async for piece in answer.async_response_gen()])
    return str(answer)


@every_trouble
@pytest.mark.parametrize("mode", CHAT_MODES)
async def test_conversations_go_on_whatever_happens_to_the_network(
    devnet: Devnet, shaken: tuple[GonkaLLM, Trouble], index: VectorStoreIndex, mode: ChatMode
) -> None:
    llm, trouble = shaken
    devnet.responder = _conversing
    extra = {} if mode is ChatMode.SIMPLE else {"node_postprocessors": [trouble]}
    engine = index.as_chat_engine(chat_mode=mode, llm=llm, similarity_top_k=1, **extra)
    for way in ("chat", "astream_chat", "stream_chat", "achat"):
        assert await _say(engine, way, "How heavy is the Bolt?")
        trouble.postprocess_nodes([])

    assert len(engine.chat_history) == 8


def _tools(index: VectorStoreIndex, llm: GonkaLLM, **extra: Any) -> list[QueryEngineTool]:
    scooters = index.as_query_engine(llm=llm, similarity_top_k=1, **extra)
    summary = SummaryIndex.from_documents([]).as_query_engine(llm=llm)
    return [
        QueryEngineTool.from_defaults(summary, name="nothing", description="Knows nothing."),
        QueryEngineTool.from_defaults(scooters, name="products", description="Knows products."),
    ]


def _selecting(request: dict[str, Any]) -> Reply:
    text = str(request["messages"][-1]["content"])
    if "choices" in text and request.get("response_format") is None and not request.get("tools"):
        return Reply('[{"choice": 2, "reason": "It is about a product."}]')
    if "tools" in request:
        return Reply(None, tool_calls=[ToolCall("SingleSelection", {"index": 2, "reason": "x"})])
    return Reply(f"It weighs 14 kilograms. {text}")


@pytest.mark.parametrize("selector", [LLMSingleSelector, PydanticSingleSelector, LLMMultiSelector])
async def test_routers_choose(
    net: Devnet, llm: GonkaLLM, index: VectorStoreIndex, selector: Any
) -> None:
    net.responder = _selecting
    engine = RouterQueryEngine(
        selector=selector.from_defaults(llm=llm), query_engine_tools=_tools(index, llm), llm=llm
    )

    assert "14 kilograms" in str(engine.query(QUESTION))
    assert "14 kilograms" in str(await engine.aquery(QUESTION))


@every_trouble
def test_routers_choose_whatever_happens_to_the_network(
    devnet: Devnet, shaken: tuple[GonkaLLM, Trouble], index: VectorStoreIndex
) -> None:
    llm, trouble = shaken
    devnet.responder = _selecting
    engine = RouterQueryEngine(
        selector=LLMSingleSelector.from_defaults(llm=llm),
        query_engine_tools=_tools(index, llm, node_postprocessors=[trouble]),
        llm=llm,
    )

    assert "14 kilograms" in str(engine.query(QUESTION))


SUB_QUESTIONS = {
    "items": [
        {"sub_question": "How heavy is the Bolt scooter?", "tool_name": "products"},
        {"sub_question": "How long does the Crane lamp shine?", "tool_name": "products"},
    ]
}


def _dividing(request: dict[str, Any]) -> Reply:
    text = str(request["messages"][-1]["content"])
    if "sub_question" in text or "sub-question" in text.lower().split("given")[0]:
        return Reply(f"```json\n{json.dumps(SUB_QUESTIONS)}\n```")
    asked = text.rpartition("Query:")[2]
    named = [fact for name, fact in FACTS.items() if fact in text and name.capitalize() in asked]
    return Reply(" ".join(named) or text)


@every_trouble
@pytest.mark.parametrize("use_async", [False, True])
def test_sub_questions_are_answered_from_their_sources(
    devnet: Devnet, shaken: tuple[GonkaLLM, Trouble], index: VectorStoreIndex, use_async: bool
) -> None:
    llm, trouble = shaken
    devnet.responder = _dividing
    engine = SubQuestionQueryEngine.from_defaults(
        query_engine_tools=_tools(index, llm, node_postprocessors=[trouble])[1:],
        llm=llm,
        question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
        response_synthesizer=get_response_synthesizer(llm=llm, use_async=use_async),
        use_async=use_async,
        verbose=False,
    )
    answer = engine.query("Compare the weight of the Bolt and the light of the Crane.")
    names = {node.metadata.get("name") for node in answer.source_nodes}

    assert {"bolt", "crane"} <= names
    assert "14 kilograms" in str(answer)
    assert "nine hours" in str(answer)


def test_predictions_by_prompt(llm: GonkaLLM) -> None:
    assert llm.predict(PromptTemplate("About {x}"), x="Bolt") == "You said: About Bolt"
    assert "".join(llm.stream(PromptTemplate("About {x}"), x="Bolt")) == "You said: About Bolt"


async def test_predictions_by_prompt_asynchronously(make: Any, sent: Any) -> None:
    llm = make(system_prompt="Be brief.")
    assert await llm.apredict(PromptTemplate("About {x}"), x="Bolt") == "You said: About Bolt"
    pieces = [piece async for piece in await llm.astream(PromptTemplate("About {x}"), x="Bolt")]

    assert "".join(pieces) == "You said: About Bolt"
    assert [one["messages"][0]["content"] for one in sent()] == ["Be brief."] * 2


def test_the_embedding_of_these_tests_finds_what_it_should(index: VectorStoreIndex) -> None:
    assert isinstance(index._embed_model, HashedEmbedding)
    assert scripted({"messages": [{"role": "user", "content": "x"}]}).text == "You said: x"
