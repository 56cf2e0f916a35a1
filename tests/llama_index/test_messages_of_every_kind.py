"""Every kind of block is converted, or refused before sending with an error that says what."""

from __future__ import annotations

import base64
import copy
import json
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from gonka_integrations._llama_index.messages import to_wire
from gonka_integrations.devnet import Devnet, Reply
from gonka_integrations.errors import GonkaConfigError
from gonka_integrations.llama_index import GonkaLLM

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABpfZFQAAAAABJRU5ErkJg"
    "gg=="
)
PDF = b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
WAV = b"RIFF$\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80>\x00\x00"
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


def _parts(*blocks: Any, role: str = "user") -> Any:
    return to_wire([ChatMessage(role=role, blocks=list(blocks))])[0]["content"]


def _data(url: str) -> bytes:
    return base64.b64decode(url.partition(";base64,")[2])


def test_text_is_a_string_that_every_server_takes() -> None:
    assert _parts(TextBlock(text="a")) == "a"
    assert _parts(TextBlock(text="a"), TextBlock(text="b")) == "a\nb"
    assert to_wire([ChatMessage(role="user", blocks=[])])[0]["content"] == ""


def test_pictures_by_bytes_file_address_and_stream(tmp_path: Path) -> None:
    file = tmp_path / "pixel.png"
    file.write_bytes(PIXEL)
    blocks = [
        ImageBlock(image=PIXEL, detail="low"),
        ImageBlock(path=file),
        ImageBlock(image=BytesIO(PIXEL), image_mimetype="image/png"),
        ImageBlock(url="https://example.com/a.png"),
    ]
    parts = _parts(TextBlock(text="see"), *blocks)

    assert parts[0] == {"type": "text", "text": "see"}
    assert [part["type"] for part in parts[1:]] == ["image_url"] * 4
    urls = [part["image_url"]["url"] for part in parts[1:]]
    assert [_data(url) for url in urls[:3]] == [PIXEL] * 3
    assert urls[0].startswith("data:image/png;base64,")
    assert urls[3] == "https://example.com/a.png"
    assert parts[1]["image_url"]["detail"] == "low"


def test_sound_and_film() -> None:
    sound, link, film, film_link = _parts(
        AudioBlock(audio=WAV, format="wav"),
        AudioBlock(url="https://example.com/a.mp3"),
        VideoBlock(video=MP4, video_mimetype="video/mp4"),
        VideoBlock(url="https://example.com/a.mp4"),
    )

    assert sound["input_audio"]["format"] == "wav"
    assert base64.b64decode(sound["input_audio"]["data"]) == WAV
    assert link == {"type": "audio_url", "audio_url": {"url": "https://example.com/a.mp3"}}
    assert _data(film["video_url"]["url"]) == MP4
    assert film_link["video_url"]["url"] == "https://example.com/a.mp4"


def test_text_documents_are_text_and_others_are_files(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# Notes")
    text = _parts(
        DocumentBlock(data=b"plain words", title="t.txt", document_mimetype="text/plain"),
        DocumentBlock(path=notes, title="notes.md"),
        DocumentBlock(data=b"no type given", title="x"),
    )
    (file,) = _parts(DocumentBlock(data=PDF, title="a.pdf", document_mimetype="application/pdf"))

    assert '<document title="t.txt">\nplain words\n</document>' in text
    assert "# Notes" in text
    assert "no type given" in text
    assert file["file"]["filename"] == "a.pdf"
    assert _data(file["file"]["file_data"]) == PDF


def test_a_document_by_address_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(GonkaConfigError, match=r"message 1 \(user\).*Download it") as caught:
        _parts(DocumentBlock(url="https://example.com/a.pdf", document_mimetype="application/pdf"))
    assert caught.value.field == "messages"


def test_sources_keep_their_title_and_citations_their_source() -> None:
    text = _parts(CitableBlock(title="Guide", source="g-1", content=[TextBlock(text="words")]))
    cited = CitationBlock(
        cited_content=TextBlock(text="words"), source="g-1", title="Guide",
        additional_location_info={},
    )  # fmt: skip

    assert text == '<source title="Guide" id="g-1">\nwords\n</source>'
    assert _parts(cited, role="assistant") == "words\n[Guide](g-1)"


def test_a_picture_inside_a_source_stays_inside() -> None:
    parts = _parts(CitableBlock(title="G", source="1", content=[ImageBlock(image=PIXEL)]))

    assert [part["type"] for part in parts] == ["text", "image_url", "text"]


def test_a_cache_point_changes_nothing() -> None:
    point = CachePoint(cache_control={"type": "ephemeral"})

    assert _parts(TextBlock(text="a"), point, TextBlock(text="b")) == "a\nb"


def test_no_kind_of_block_was_forgotten() -> None:
    from gonka_integrations._llama_index.messages import _CONVERTERS

    union = get_args(ContentBlock)[0]
    handled = set(_CONVERTERS) | {ThinkingBlock, ToolCallBlock}
    assert set(get_args(union)) <= handled


def test_a_block_of_an_unknown_kind_is_refused_by_name() -> None:
    class HologramBlock(TextBlock):
        pass

    message = ChatMessage(role="user", blocks=[TextBlock(text="x")])
    message.blocks.append(HologramBlock(text="y"))
    with pytest.raises(GonkaConfigError, match=r"message 1 \(user\), a HologramBlock has no form"):
        to_wire([message])


def test_thinking_outside_assistant_turns_is_refused() -> None:
    with pytest.raises(GonkaConfigError, match="ThinkingBlock"):
        _parts(ThinkingBlock(content="hm"))


@pytest.mark.parametrize(
    ("role", "wire"),
    [
        (MessageRole.SYSTEM, "system"),
        (MessageRole.DEVELOPER, "system"),
        (MessageRole.USER, "user"),
        (MessageRole.ASSISTANT, "assistant"),
        (MessageRole.CHATBOT, "assistant"),
        (MessageRole.MODEL, "assistant"),
    ],
)
def test_roles(role: MessageRole, wire: str) -> None:
    assert to_wire([ChatMessage(role=role, content="x")])[0] == {"role": wire, "content": "x"}


def test_function_messages_of_both_ages() -> None:
    call = ToolCallBlock(tool_call_id="c", tool_name="f")
    new, old = to_wire(
        [
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage(role="function", content="1", additional_kwargs={"tool_call_id": "c"}),
            ChatMessage(role="function", content="2", additional_kwargs={"name": "f"}),
        ]
    )[1:]

    assert new == {"role": "tool", "tool_call_id": "c", "content": "1"}
    assert old == {"role": "function", "name": "f", "content": "2"}
    with pytest.raises(GonkaConfigError, match="names neither"):
        to_wire([ChatMessage(role="function", content="3")])


def test_calls_are_taken_from_blocks_dicts_and_objects_of_the_sdk() -> None:
    from openai.types.chat import ChatCompletionMessageToolCall

    as_dict = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    as_object = ChatCompletionMessageToolCall.model_validate(as_dict)
    block = ToolCallBlock(tool_call_id="c", tool_name="f", tool_kwargs={"a": 1})
    answer = ChatMessage(role="tool", content="1", additional_kwargs={"tool_call_id": "c"})
    turns = [
        ChatMessage(role="assistant", blocks=[block]),
        ChatMessage(role="assistant", additional_kwargs={"tool_calls": [as_dict]}),
        ChatMessage(role="assistant", additional_kwargs={"tool_calls": [as_object]}),
        # Our own answers hold both; a call is sent once.
        ChatMessage(role="assistant", blocks=[block], additional_kwargs={"tool_calls": [as_dict]}),
    ]
    wires = [to_wire([turn, answer])[0]["tool_calls"] for turn in turns]

    assert wires == [[as_dict]] * 4


@pytest.mark.parametrize("arguments", ["", "{", "no json", None])
def test_broken_arguments_do_not_break_the_conversation(arguments: Any) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    turn = ChatMessage(role="assistant", additional_kwargs={"tool_calls": [call]})

    assert to_wire([turn])[0]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_other_things_in_additional_kwargs_are_not_sent() -> None:
    message = ChatMessage(content="x", additional_kwargs={"name": "Ann", "retrieved": [1], "y": {}})

    assert to_wire([message])[0] == {"role": "user", "content": "x", "name": "Ann"}


def test_pictures_in_tool_answers_reach_the_model(net: Devnet, llm: GonkaLLM, sent: Any) -> None:
    call = ToolCallBlock(tool_call_id="c", tool_name="camera")
    picture = [TextBlock(text="taken"), ImageBlock(image=PIXEL)]
    llm.chat(
        [
            ChatMessage(content="look"),
            ChatMessage(role="assistant", blocks=[call]),
            ChatMessage(role="tool", blocks=picture, additional_kwargs={"tool_call_id": "c"}),
        ]
    )
    answer, shown = sent()[-1]["messages"][-2:]

    assert answer == {"role": "tool", "tool_call_id": "c", "content": "taken"}
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]


def test_strict_hosts_take_every_kind_they_know(llm: GonkaLLM) -> None:
    blocks = [
        TextBlock(text="all of it"),
        ImageBlock(image=PIXEL),
        AudioBlock(audio=WAV, format="wav"),
        DocumentBlock(data=PDF, document_mimetype="application/pdf", title="a.pdf"),
        CitableBlock(title="G", source="1", content=[TextBlock(text="words")]),
        CachePoint(cache_control={"type": "ephemeral"}),
    ]
    messages = [ChatMessage(role="user", blocks=blocks)]
    before = copy.deepcopy(messages)

    assert "all of it" in (llm.chat(messages).message.content or "")
    assert messages == before


@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_what_a_known_model_cannot_read_is_refused_before_sending(
    net: Devnet, make: Any, sent: Any, method: str
) -> None:
    picture = [ChatMessage(role="user", blocks=[ImageBlock(image=PIXEL)])]
    with pytest.raises(GonkaConfigError, match=r"Message 1 \(user\) holds image content"):
        getattr(make("moonshotai/Kimi-K2.6"), method)(picture)
    assert sent() == []


def test_what_gateways_do_not_take_is_refused_before_sending(
    at_gateway: GonkaLLM, sent: Any
) -> None:
    picture = [ChatMessage(role="user", blocks=[ImageBlock(image=PIXEL)])]
    with pytest.raises(GonkaConfigError, match="image"):
        at_gateway.chat(picture)
    assert sent() == []


def test_the_refusal_can_be_overruled(net: Devnet, make: Any) -> None:
    net.responder = lambda request: Reply(json.dumps(request["messages"][0]["content"][0]["type"]))
    picture = [ChatMessage(role="user", blocks=[ImageBlock(image=PIXEL)])]
    llm = make(input_modalities=("text", "image"))

    assert llm.chat(picture).message.content == '"image_url"'
