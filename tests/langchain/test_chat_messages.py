"""LangChain messages of every dialect, as they go over the wire."""

# ruff: noqa: E501 - tables read better with a case on a line
from __future__ import annotations

import base64
import json

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from gonka_integrations._langchain.messages import to_wire
from gonka_integrations.errors import GonkaConfigError

DATA = base64.b64encode(b"bytes").decode()
PNG = f"data:image/png;base64,{DATA}"
PDF = f"data:application/pdf;base64,{DATA}"


def parts(*blocks):
    """Wire content of a user message with these blocks."""
    return to_wire([HumanMessage(list(blocks))])[0]["content"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (HumanMessage("q"), {"role": "user", "content": "q"}),
        (HumanMessage("q", name="ann"), {"role": "user", "content": "q", "name": "ann"}),
        (SystemMessage("s"), {"role": "system", "content": "s"}),
        (
            SystemMessage("s", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "system", "content": "s"},
        ),
        (ChatMessage(role="developer", content="s"), {"role": "system", "content": "s"}),
        (ChatMessage(role="human", content="q"), {"role": "user", "content": "q"}),
        (AIMessage("a"), {"role": "assistant", "content": "a"}),
        (
            ToolMessage("t", tool_call_id="c", name="f", status="error"),
            {"role": "tool", "content": "t", "tool_call_id": "c"},
        ),
        (FunctionMessage("t", name="f"), {"role": "function", "content": "t", "name": "f"}),
    ],
)
def test_roles(message, expected):
    assert to_wire([message]) == [expected]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        # OpenAI's own
        ({"type": "image_url", "image_url": "http://x/i.png"},
         {"type": "image_url", "image_url": {"url": "http://x/i.png"}}),
        ({"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
         {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}),
        ({"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}},
         {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}}),
        ({"type": "file", "file": {"file_id": "f1"}}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "video_url", "video_url": {"url": "http://x/v"}},
         {"type": "video_url", "video_url": {"url": "http://x/v"}}),
        # LangChain's standard blocks
        ({"type": "image", "url": "http://x/i.png"},
         {"type": "image_url", "image_url": {"url": "http://x/i.png"}}),
        ({"type": "image", "base64": DATA, "mime_type": "image/png", "extras": {"detail": "high"}},
         {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}}),
        ({"type": "audio", "base64": DATA, "mime_type": "audio/x-wav"},
         {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}),
        ({"type": "audio", "url": "http://x/a"},
         {"type": "audio_url", "audio_url": {"url": "http://x/a"}}),
        ({"type": "video", "base64": DATA, "mime_type": "video/mp4"},
         {"type": "video_url", "video_url": {"url": f"data:video/mp4;base64,{DATA}"}}),
        ({"type": "file", "base64": DATA, "mime_type": "application/pdf", "filename": "a.pdf"},
         {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}),
        ({"type": "file", "base64": DATA, "mime_type": "application/pdf"},
         {"type": "file", "file": {"filename": "document", "file_data": PDF}}),
        ({"type": "file", "file_id": "f1"}, {"type": "file", "file": {"file_id": "f1"}}),
        ({"type": "non_standard", "value": {"type": "image_url", "image_url": {"url": PNG}}},
         {"type": "image_url", "image_url": {"url": PNG}}),
        # LangChain's older blocks
        ({"type": "image", "source_type": "url", "url": "http://x/i.png"},
         {"type": "image_url", "image_url": {"url": "http://x/i.png"}}),
        ({"type": "image", "source_type": "base64", "data": DATA, "mime_type": "image/png"},
         {"type": "image_url", "image_url": {"url": PNG}}),
        ({"type": "file", "source_type": "base64", "data": DATA, "mime_type": "application/pdf",
          "metadata": {"name": "b.pdf"}},
         {"type": "file", "file": {"filename": "b.pdf", "file_data": PDF}}),
        ({"type": "file", "source_type": "id", "id": "f1"},
         {"type": "file", "file": {"file_id": "f1"}}),
        # Anthropic's
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
         {"type": "image_url", "image_url": {"url": PNG}}),
        ({"type": "image", "source": {"type": "url", "url": "http://x/i.png"}},
         {"type": "image_url", "image_url": {"url": "http://x/i.png"}}),
        ({"type": "document", "title": "c.pdf",
          "source": {"type": "base64", "media_type": "application/pdf", "data": DATA}},
         {"type": "file", "file": {"filename": "c.pdf", "file_data": PDF}}),
    ],
)  # fmt: skip
def test_media(block, expected):
    assert parts({"type": "text", "text": "look"}, block)[1] == expected


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ({"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}}, "t"),
        ({"type": "text-plain", "text": "t", "title": "T"}, "T\nt"),
        ({"type": "file", "base64": DATA, "mime_type": "text/markdown"}, "bytes"),
        ({"type": "file", "source_type": "text", "text": "t"}, "t"),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a!"}}, "a!"),
        ({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "t"}]}}, "t"),
        ("t", "t"),
        ({"text": "t"}, "t"),
        ({"cachePoint": {"type": "default"}, "type": "cachePoint"}, ""),
    ],
)  # fmt: skip
def test_text_in_other_forms(block, text):
    """Text is text, whatever it comes in; text alone goes as one string, which all servers take."""
    assert parts(block) == text


@pytest.mark.parametrize(
    "block",
    [
        {"type": "guard_content", "x": 1},
        {"type": "image"},
        {"type": "file", "url": "http://x/d.pdf", "mime_type": "application/pdf"},
        {"type": "non_standard", "value": {"type": "non_standard"}},
        {"odd": 1},
    ],
)
def test_what_has_no_form_is_named(block):
    with pytest.raises(GonkaConfigError, match=r"message 2 \(human\)") as raised:
        to_wire([HumanMessage("q"), HumanMessage([block])])
    assert raised.value.field == "messages"


def test_a_message_without_form_is_named():
    with pytest.raises(GonkaConfigError, match="RemoveMessage"):
        to_wire([RemoveMessage(id="1")])


def call(identity, name, arguments):
    return {
        "id": identity,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


CALL = {"name": "f", "args": {"x": 1}, "id": "c1"}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (AIMessage("", tool_calls=[CALL]), {"content": None, "tool_calls": [call("c1", "f", {"x": 1})]}),
        (AIMessage("so", tool_calls=[CALL]), {"content": "so", "tool_calls": [call("c1", "f", {"x": 1})]}),
        (AIMessage([], tool_calls=[CALL]), {"content": None, "tool_calls": [call("c1", "f", {"x": 1})]}),
        # invalid calls stay, since they may have been answered
        (AIMessage("", invalid_tool_calls=[{"name": "f", "args": '{"x', "id": "c1", "error": "e"}]),
         {"content": None, "tool_calls": [call("c1", "f", {"invalid_arguments": '{"x'})]}),
        # raw calls, as other classes keep them
        (AIMessage("", additional_kwargs={"tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
         {"content": None, "tool_calls": [call("c1", "f", {})]}),
        # Anthropic's
        (AIMessage([{"type": "text", "text": "so"}, {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}]),
         {"content": "so", "tool_calls": [call("c1", "f", {"x": 1})]}),
        (AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "a"}]),
         {"content": "a", "reasoning_content": "hm"}),
        # standard blocks
        (AIMessage([
            {"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"},
            {"type": "tool_call", "id": "c1", "name": "f", "args": {"x": 1}}], tool_calls=[CALL]),
         {"content": "ab", "reasoning_content": "hm", "tool_calls": [call("c1", "f", {"x": 1})]}),
        (AIMessage([{"type": "non_standard", "value": {"type": "refusal", "refusal": "no"}}]), {"content": "no"}),
        (AIMessage([{"type": "text", "text": "a"}, {"type": "server_tool_call", "name": "s"}]), {"content": "a"}),
        (AIMessage([{"type": "reasoning", "summary": [{"text": "hm"}]}, "a"]),
         {"content": "a", "reasoning_content": "hm"}),
        # beside the content
        (AIMessage("", additional_kwargs={"refusal": "no"}), {"content": "no"}),
        (AIMessage("a", additional_kwargs={"reasoning_content": "hm"}),
         {"content": "a", "reasoning_content": "hm"}),
        (AIMessage("a", additional_kwargs={"audio": {"id": "au", "data": DATA}}),
         {"content": "a", "audio": {"id": "au"}}),
        (AIMessage("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
         {"content": "", "function_call": {"name": "f", "arguments": "{}"}}),
        (AIMessage([{"type": "text", "text": "a"}, {"type": "image", "url": "http://x/i"}]),
         {"content": [{"type": "text", "text": "a"},
                      {"type": "image_url", "image_url": {"url": "http://x/i"}}]}),
    ],
)  # fmt: skip
def test_assistant_turns(message, expected):
    assert to_wire([message]) == [{"role": "assistant", **expected}]


def test_an_assistant_turn_that_says_nothing_is_left_out():
    assert to_wire([HumanMessage("q"), AIMessage("")]) == [{"role": "user", "content": "q"}]


def test_tool_results_in_a_user_turn():
    """Anthropic's dialect answers calls inside user turns."""
    block = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "r"}]}
    wire = to_wire([HumanMessage([block, {"type": "text", "text": "go on"}])])
    assert wire == [
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
        {"role": "user", "content": "go on"},
    ]


def test_data_as_a_tools_answer():
    """What is no content block is data, and goes as JSON."""
    message = ToolMessage([{"a": 1}, {"type": "text", "text": "t"}, "s"], tool_call_id="c")
    assert to_wire([message])[0]["content"] == '{"a": 1}\nt\ns'


def test_a_picture_as_a_tools_answer():
    """Only text is allowed in a tool's answer; pictures follow in a user turn."""
    image = {"type": "image", "base64": DATA, "mime_type": "image/png"}
    wire = to_wire([AIMessage("", tool_calls=[CALL]), ToolMessage([image], tool_call_id="c1")])
    assert [message["role"] for message in wire] == ["assistant", "tool", "user"]
    assert wire[2]["content"][1]["image_url"]["url"] == PNG


def test_messages_are_not_changed():
    message = AIMessage([{"type": "text", "text": "a"}], tool_calls=[CALL])
    before = message.model_dump_json()
    to_wire([message])
    assert message.model_dump_json() == before
