"""Thinking: out as blocks and deltas, back by policy, on and off where the model has a switch."""

from __future__ import annotations

from typing import Any

import pytest
from llama_asking import CHATS, ask
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock, ToolCallBlock
from llama_index.core.llms import ChatResponse

from gonka_integrations.devnet import Devnet, Reply
from gonka_integrations.errors import GonkaConfigError
from gonka_integrations.llama_index import GonkaLLM

INLINE = ["<th", "ink>R1 ", "R2 ", "R3</thi", "nk>\n\nThe ", "answer"]


def _chunk(**delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
WAYS = {
    "reasoning_content": [
        *(_chunk(reasoning_content=part) for part in ("R1 ", "R2 ", "R3")),
        *(_chunk(content=part) for part in ("The ", "answer")),
    ],
    "reasoning": [
        *(_chunk(reasoning=part) for part in ("R1 ", "R2 ", "R3")),
        *(_chunk(content=part) for part in ("The ", "answer")),
    ],
    "inline": [_chunk(content=part) for part in INLINE],
}


def _thoughts(response: ChatResponse) -> str:
    blocks = response.message.blocks
    return "".join(b.content or "" for b in blocks if isinstance(b, ThinkingBlock))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", CHATS)
async def test_reasoning_is_a_block_and_its_deltas_join_to_it(
    net: Devnet, llm: GonkaLLM, method: str, way: str
) -> None:
    net.responder = lambda request: Reply(chunks=[*WAYS[way], END])
    responses = await ask(llm, method)
    deltas = [r.additional_kwargs.get("thinking_delta", "") for r in responses]

    assert _thoughts(responses[-1]) == "R1 R2 R3"
    assert responses[-1].message.content == "The answer"
    if "stream" in method:
        assert "".join(deltas) == "R1 R2 R3"
        assert len([delta for delta in deltas if delta]) > 1
        assert "".join(response.delta or "" for response in responses) == "The answer"


@pytest.mark.parametrize("method", CHATS)
async def test_text_about_tags_is_text(net: Devnet, llm: GonkaLLM, method: str) -> None:
    text = "Use <think> and </think> as tags, 1 < 2"
    net.responder = lambda request: Reply(text)
    last = (await ask(llm, method))[-1]

    assert last.message.content == text
    assert _thoughts(last) == ""


@pytest.mark.parametrize("method", CHATS)
async def test_an_answer_that_is_cut_within_its_reasoning(
    net: Devnet, llm: GonkaLLM, method: str
) -> None:
    net.responder = lambda request: Reply("<think>never en", finish_reason="length")
    last = (await ask(llm, method))[-1]

    assert _thoughts(last) == "never en"
    assert not last.message.content


@pytest.mark.parametrize("method", ["complete", "stream_complete"])
async def test_completions_are_the_text_alone(net: Devnet, llm: GonkaLLM, method: str) -> None:
    net.responder = lambda request: Reply(
        "<think>hm</think>Yes", pieces=["<think>hm", "</think>Yes"]
    )

    assert (await ask(llm, method))[-1].text == "Yes"


def _history() -> list[ChatMessage]:
    call = ToolCallBlock(tool_call_id="c", tool_name="f")
    return [
        ChatMessage(content="first"),
        ChatMessage(role="assistant", blocks=[ThinkingBlock(content="old"), *_text("done")]),
        ChatMessage(content="second"),
        ChatMessage(role="assistant", blocks=[ThinkingBlock(content="new"), call]),
        ChatMessage(role="tool", content="42", additional_kwargs={"tool_call_id": "c"}),
    ]


def _text(text: str) -> list[Any]:
    return list(ChatMessage(content=text).blocks)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("auto", [None, "new"]), ("always", ["old", "new"]), ("never", [None, None])],
)
def test_reasoning_is_sent_back_by_policy(
    make: Any, sent: Any, policy: str, expected: list[str | None]
) -> None:
    make(replay_reasoning=policy).chat(_history())
    turns = [m for m in sent()[-1]["messages"] if m["role"] == "assistant"]

    assert [turn.get("reasoning_content") for turn in turns] == expected
    assert turns[0]["content"] == "done"


@pytest.mark.parametrize(("policy", "inline"), [("auto", True), ("never", False)])
def test_a_model_that_thinks_in_its_text_gets_it_back_there(
    sent: Any, policy: Any, inline: bool
) -> None:
    with Devnet(hosts=1, gateways=0, models=("MiniMaxAI/MiniMax-M2.7",)) as net:
        llm = GonkaLLM(
            "MiniMaxAI/MiniMax-M2.7",
            source_url=net.source_url,
            private_key=net.private_key,
            replay_reasoning=policy,
        )
        first = llm.chat([ChatMessage(content="Hello")])
        llm.chat(_history())
        payload = net.hosts[0].requests[-1].json

    assert _thoughts(first) == "The caller expects an echo."
    assert payload is not None
    turn = payload["messages"][3]
    assert ("<think>\nnew\n</think>" in (turn["content"] or "")) is inline
    assert "reasoning_content" not in turn


def test_thinking_is_switched_where_there_is_a_switch(net: Devnet, sent: Any) -> None:
    provider = {"base_url": net.provider.base_url, "api_key": net.provider.api_key}
    kimi = GonkaLLM("moonshotai/Kimi-K2.6", fallbacks=[provider], thinking=False)
    kimi.complete("x")
    kimi.complete("x", thinking=True)
    kimi.complete("x", thinking={"type": "disabled"})
    first, second, third = sent()

    assert first["chat_template_kwargs"] == {"thinking": False}
    assert second["chat_template_kwargs"] == {"thinking": True}
    assert third["thinking"] == {"type": "disabled"}


def test_no_switch_is_a_clear_error(net: Devnet, make: Any, sent: Any) -> None:
    with pytest.raises(GonkaConfigError, match="How to turn thinking off is not known"):
        make("MiniMaxAI/MiniMax-M2.7", thinking=False).complete("x")
    with pytest.raises(GonkaConfigError, match="this model") as caught:
        make(thinking=True).complete("x")
    assert caught.value.field == "thinking"
    assert sent() == []


async def test_responses_of_a_stream_are_what_the_framework_would_make_of_them(
    net: Devnet, llm: GonkaLLM
) -> None:
    net.responder = lambda request: Reply("one two", reasoning="R1 R2")
    responses = await ask(llm, "stream_chat")

    for response in responses:
        again = ChatResponse(
            message=ChatMessage(
                role=response.message.role,
                blocks=[type(b)(**b.model_dump()) for b in response.message.blocks],
            ),
            delta=response.delta,
            raw=response.raw,
            additional_kwargs=response.additional_kwargs,
        )
        assert response == again
        assert response.model_dump() == again.model_dump()
        assert ChatResponse.model_validate_json(response.model_dump_json()) == again
        assert response.model_copy(deep=True) == again
