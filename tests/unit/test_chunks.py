"""Reading an answer: what is whole, what is broken, and what comes out of it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamed import (
    DONE,
    HEAD,
    chunk,
    completion,
    finish,
    role,
    spoken,
    sse,
    text,
    usage,
)

from gonka_integrations.core.chunks import ChunkReader, read_completion
from gonka_integrations.core.wire import WireFailure


def read(
    *parts: bytes, end: bool = True, reader: ChunkReader | None = None, **options: Any
) -> tuple[ChunkReader, list[Any]]:
    reader = reader or ChunkReader(**options)
    chunks = [one for part in parts for one in reader.take(part)]
    if end and not reader.over:
        chunks += reader.take(b"")
    return reader, chunks


def failure(*parts: bytes, **options: Any) -> WireFailure:
    with pytest.raises(WireFailure) as caught:
        read(*parts, **options)
    return caught.value


def said(chunks: list[dict[str, Any]]) -> str:
    return "".join(
        choice["delta"].get("content") or "" for one in chunks for choice in one["choices"]
    )


ENDS = {
    "classic_midstream_plain_text_error.txt": "garbage",
    "gateway_truncated_no_done.txt": "truncated",
    "gateway_error_event_no_done.txt": "error_event",
    "gateway_error_event_then_done.txt": "error_event",
}
WHOLE = {
    "gateway_ok.txt": "Hello 🌍",
    "crlf_and_comments.txt": "Hello 🌍",
    "devshard_host_raw.txt": "Hello 🌍",
    "tool_call_deltas.txt": "",
    "vllm_real_stream.txt": "Hello! How can I assist you today?",
    "vllm_real_stream_token_ids.txt": (
        "Hello! I'm just a piece of software, so I don't have feelings or experiences. But "
        "I'm here and ready to help you with any questions or information you need. How can "
        "I assist you today?"
    ),
}


class TestRecorded:
    """Streams as nodes and gateways really send them."""

    def test_every_one_is_known(self, shared: Path) -> None:
        files = {file.name for file in (shared / "fixtures/sse").iterdir()}
        assert files == {*ENDS, *WHOLE}

    @pytest.mark.parametrize("name", sorted(WHOLE))
    def test_whole(self, shared: Path, name: str) -> None:
        data = (shared / "fixtures/sse" / name).read_bytes()
        reader, chunks = read(data)
        assert said(chunks) == WHOLE[name]
        assert reader.over
        assert reader.assembler.finished
        assert reader.assembler.text() == WHOLE[name]

    @pytest.mark.parametrize("name", sorted(ENDS))
    def test_broken(self, shared: Path, name: str) -> None:
        data = (shared / "fixtures/sse" / name).read_bytes()
        reader = ChunkReader()
        assert failure(data, reader=reader).kind == ENDS[name]
        assert reader.assembler.text() == "Hello 🌍"

    @pytest.mark.parametrize("name", sorted(ENDS))
    @pytest.mark.parametrize("size", [1, 7, 64])
    def test_broken_in_small_reads(self, shared: Path, name: str, size: int) -> None:
        data = (shared / "fixtures/sse" / name).read_bytes()
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        assert failure(*parts).kind == ENDS[name]

    def test_tool_calls(self, shared: Path) -> None:
        reader, _ = read((shared / "fixtures/sse/tool_call_deltas.txt").read_bytes())
        message = reader.assembler.message()
        assert message["content"] is None
        assert message["tool_calls"] == [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
            }
        ]

    def test_events_of_the_host_protocol_are_not_passed_on(self, shared: Path) -> None:
        _, chunks = read((shared / "fixtures/sse/devshard_host_raw.txt").read_bytes())
        assert all("choices" in one and "id" in one for one in chunks)

    def test_a_plain_answer_with_token_ids(self, shared: Path) -> None:
        folder = shared / "fixtures/endpoints"
        data = (folder / "chat_completion_vllm_token_ids_real.json").read_bytes()
        strip = frozenset({"logprobs"})
        assert read_completion(data, strip)["choices"][0]["logprobs"] is None
        assert read_completion(data)["choices"][0]["logprobs"] is not None


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2_000), max_size=12))
def test_however_the_bytes_are_cut(places: list[int]) -> None:
    data = spoken("Grüße 🌍 und so weiter")
    at = [0, *sorted(place % len(data) for place in places), len(data)]
    parts = [data[start:end] for start, end in pairwise(at) if start < end]
    whole, cut = read(data), read(*parts)
    assert cut[1] == whole[1]
    assert cut[0].completion() == whole[0].completion()


class TestContent:
    """What may be shown to the caller begins with the first content."""

    @pytest.mark.parametrize(
        "first",
        [
            text("x"),
            chunk({"reasoning_content": "hm"}),
            chunk({"reasoning": "hm"}),
            chunk({"refusal": "no"}),
            chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}),
            finish("length"),
        ],
    )
    def test_is(self, first: dict[str, Any]) -> None:
        reader, _ = read(sse(role(), first), end=False)
        assert reader.content_seen

    @pytest.mark.parametrize(
        "first",
        [
            role(),
            usage(),
            chunk({"content": ""}),
            chunk({"content": None, "tool_calls": []}),
            chunk({"content": ""}, ""),
            {**HEAD},
            {**HEAD, "choices": None},
            {"choices": [{"index": 0, "delta": None}]},
        ],
    )
    def test_is_not(self, first: dict[str, Any]) -> None:
        reader, chunks = read(sse(role(), first), end=False)
        assert not reader.content_seen
        assert len(chunks) == 2
        assert isinstance(chunks[1]["choices"], list)


class TestTheEnd:
    def test_done_after_a_finish_reason(self) -> None:
        reader, _ = read(sse(text("x"), finish(), done=True), end=False)
        assert reader.over

    def test_a_finish_reason_alone_is_enough(self) -> None:
        reader, chunks = read(sse(text("x"), finish()))
        assert reader.over
        assert said(chunks) == "x"

    def test_done_alone_is_not(self) -> None:
        assert failure(sse(text("x"), done=True)).kind == "truncated"
        assert failure(DONE).kind == "truncated"

    def test_nor_is_nothing(self) -> None:
        assert failure().kind == "truncated"
        assert failure(b" \n\n").kind == "truncated"

    def test_an_empty_finish_reason_is_none(self) -> None:
        assert failure(sse(chunk({"content": "x"}, ""))).kind == "truncated"

    def test_a_last_event_without_its_blank_line(self) -> None:
        reader, _ = read(sse(text("x"), finish()).rstrip(b"\n"))
        assert reader.over

    @pytest.mark.parametrize(
        "tail",
        [
            b"unexpected end of JSON input\n",
            b'data: {"error":{"message":"late"}}\n\n',
            b"data: not json\n\n",
            b"data: [1]\n\n",
        ],
    )
    @pytest.mark.parametrize("together", [True, False])
    def test_what_follows_a_finished_answer_takes_nothing_back(
        self, tail: bytes, together: bool
    ) -> None:
        """Not even the chunks that came in the same read."""
        data = sse(text("Hello"), finish())
        reader, chunks = read(data + tail) if together else read(data, tail)
        assert said(chunks) == "Hello"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert reader.over


class TestSeveralChoices:
    def test_all_of_them_must_end(self) -> None:
        cut = sse(text("a", 0), text("b", 1), finish(index=0))
        assert failure(cut, choices=2).kind == "truncated"
        whole = sse(text("a", 0), text("b", 1), finish(index=0), finish(index=1))
        reader, _ = read(whole, choices=2)
        assert [one["message"]["content"] for one in reader.completion()["choices"]] == ["a", "b"]

    def test_one_that_has_not_begun_is_missed(self) -> None:
        assert failure(sse(text("a", 0), finish(index=0)), choices=2).kind == "truncated"

    def test_choices_one_after_the_other(self) -> None:
        reader = ChunkReader(choices=2)
        reader.take(sse(text("a", 0), finish(index=0)))
        assert not reader.assembler.finished
        reader.take(sse(text("b", 1)))
        assert not reader.assembler.finished
        reader.take(sse(finish(index=1)))
        assert reader.assembler.finished

    def test_an_endpoint_may_give_fewer_and_say_that_it_is_done(self) -> None:
        reader, _ = read(sse(text("a"), finish(), done=True), choices=3)
        assert reader.over

    def test_more_than_asked_for(self) -> None:
        cut = sse(text("a", 0), finish(index=0), text("b", 1))
        assert failure(cut).kind == "truncated"


class TestErrors:
    @pytest.mark.parametrize(
        ("event", "words"),
        [
            ({"error": {"message": "upstream closed"}}, "upstream closed"),
            ({"error": "busy", "choices": []}, "busy"),
            ({"object": "error", "message": "bad field", "code": 400}, "bad field"),
        ],
    )
    def test_an_error_in_the_stream(self, event: dict[str, Any], words: str) -> None:
        caught = failure(sse(role(), event))
        assert (caught.kind, caught.text) == ("error_event", words)

    def test_an_empty_error_field_is_none(self) -> None:
        reader, _ = read(sse({**text("x"), "error": None}, finish()))
        assert reader.over

    @pytest.mark.parametrize(
        "body",
        [
            b"data: {\n\n",
            b"data: [1, 2]\n\n",
            b"data: 7\n\n",
            b"error: {}\n\n",
            b"internal error\n",
            b"internal error",
            b"\x8b\x1f<<< not JSON >>>",
        ],
    )
    def test_text_that_is_no_stream(self, body: bytes) -> None:
        assert failure(body).kind == "garbage"

    @pytest.mark.parametrize(
        "choices",
        [
            "text",
            7,
            {"a": 1},
            [7],
            [None],
            ["text"],
            [{"delta": "text"}],
            [{"delta": [1]}],
            [{"delta": {"tool_calls": 7}}],
        ],
    )
    @pytest.mark.parametrize("strip", [frozenset(), frozenset({"logprobs"})], ids=["", "strip"])
    def test_choices_of_another_shape_are_garbage(
        self, choices: Any, strip: frozenset[str]
    ) -> None:
        """A host must not be able to make the client raise something of its own."""
        assert failure(sse({**HEAD, "choices": choices}), strip=strip).kind == "garbage"

    def test_log_probabilities_of_another_shape(self) -> None:
        stream = sse(chunk({"content": "x"}, logprobs="text"))
        assert failure(stream).kind == "garbage"
        assert read(stream, end=False, strip=frozenset({"logprobs"}))[0].content_seen

    def test_an_index_that_is_no_number(self) -> None:
        stream = sse(chunk({"content": "x"}, index="1"), finish())  # type: ignore[arg-type]
        reader, _ = read(stream)
        assert reader.completion()["choices"][0]["message"]["content"] == "x"


class TestPlainAnswers:
    """Servers that do not stream although they were asked to."""

    def test_become_chunks(self) -> None:
        body = completion("Hello")
        reader, chunks = read(body[:20], body[20:])
        assert said(chunks) == "Hello"
        assert chunks[0]["object"] == "chat.completion.chunk"
        assert chunks[-1] == {**HEAD, "choices": [], "usage": {"total_tokens": 4}}
        assert reader.completion() == json.loads(body)
        assert reader.over

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b"", "garbage"),
            (b"<html><title>Welcome</title></html>", "garbage"),
            (b'{"choices":', "garbage"),
            (b"[]", "garbage"),
            (b"{}", "garbage"),
            (b'{"choices":[]}', "garbage"),
            (b'{"choices":{"a":1}}', "garbage"),
            (b'{"choices":[1]}', "garbage"),
            (b'{"error":{"message":"late"}}', "error_event"),
            (b'{"object":"error","message":"bad","code":400}', "error_event"),
            (completion("Hel", None), "truncated"),
            (completion("Hel", ""), "truncated"),
        ],
    )
    def test_may_be_none(self, body: bytes, kind: str) -> None:
        with pytest.raises(WireFailure) as caught:
            read_completion(body)
        assert caught.value.kind == kind
        if body:
            assert failure(body).kind == kind

    def test_every_choice_must_end(self) -> None:
        answer = json.loads(completion())
        answer["choices"].append({**answer["choices"][0], "index": 1, "finish_reason": None})
        assert failure(json.dumps(answer).encode(), choices=2).kind == "truncated"

    def test_one_whose_message_is_none(self) -> None:
        body = b'{"choices":[{"message":"text","finish_reason":"stop"}]}'
        assert failure(body).kind == "garbage"

    def test_fewer_choices_than_asked_for(self) -> None:
        assert read(completion(), choices=3)[0].over

    def test_what_was_added_is_taken_out(self) -> None:
        answer = json.loads(completion())
        answer["choices"][0]["token_ids"] = [1]
        reader, chunks = read(json.dumps(answer).encode(), strip=frozenset({"token_ids"}))
        assert "token_ids" not in reader.completion()["choices"][0]
        assert said(chunks) == "Hello"


class TestSize:
    def test_of_a_stream(self) -> None:
        assert failure(*[sse(text("x" * 100))] * 20, limit=1_000).kind == "too_large"

    def test_of_a_plain_answer(self) -> None:
        assert failure(b"[", *[b" " * (1 << 20)] * 64).kind == "too_large"
