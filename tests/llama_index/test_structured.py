"""Structured prediction in all its forms and modes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_asking import METHODS, PREDICTIONS, ask, everything, text_of
from llama_index.core.llms import ChatMessage
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, Field

from gonka_integrations.devnet import Devnet, Reply, ToolCall
from gonka_integrations.errors import GonkaBadRequestError, GonkaConfigError
from gonka_integrations.llama_index import GonkaLLM, GonkaStructuredLLM, StructuredOutputError

PROMPT = PromptTemplate("Describe {topic}.")


class Track(BaseModel):
    """A track."""

    title: str
    seconds: int = Field(gt=0)


class Album(BaseModel):
    """An album."""

    name: str
    tracks: list[Track]


class Node(BaseModel):
    """A node that holds nodes."""

    value: int
    children: list[Node] = []


ALBUM = {"name": "Blue", "tracks": [{"title": "A", "seconds": 60}, {"title": "B", "seconds": 90}]}
WHOLE = Album.model_validate(ALBUM)


def _answering(request: dict[str, Any], arguments: Any = None) -> Reply:
    """A model that does what it is asked in whichever form."""
    said = arguments if arguments is not None else ALBUM
    text = said if isinstance(said, str) else json.dumps(said)
    if request.get("tools"):
        name = request["tools"][0]["function"]["name"]
        return Reply(None, tool_calls=[ToolCall(name, said)])
    return Reply(text, pieces=[text[i : i + 6] for i in range(0, len(text), 6)])


def _forms(sent: Any) -> list[str]:
    """The forms in which the model was asked."""
    return [
        "json_schema" if "response_format" in one else "function" if "tools" in one else "text"
        for one in sent()
    ]


async def _predict(llm: Any, method: str, cls: Any = Album, **kwargs: Any) -> list[Any]:
    return await everything(getattr(llm, method)(cls, PROMPT, topic="Blue", **kwargs))


@pytest.mark.parametrize("method", PREDICTIONS)
@pytest.mark.parametrize("mode", ["auto", "json_schema", "function", "text"])
async def test_every_mode_brings_the_object(
    net: Devnet, make: Any, sent: Any, method: str, mode: str
) -> None:
    net.responder = _answering
    found = await _predict(make(structured_output_mode=mode), method)

    assert found[-1] == WHOLE
    assert _forms(sent) == ["json_schema" if mode == "auto" else mode]
    if "stream" in method and mode != "function":
        assert len(found) > 3


@pytest.mark.parametrize("method", METHODS)
async def test_a_structured_llm_has_all_eight_methods(
    net: Devnet, llm: GonkaLLM, method: str
) -> None:
    net.responder = _answering
    structured = llm.as_structured_llm(Album)
    responses = await ask(structured, method, "Describe Blue.")

    assert isinstance(structured, GonkaStructuredLLM)
    assert responses[-1].raw == WHOLE
    assert json.loads(text_of(responses[-1])) == ALBUM
    if "stream" in method:
        assert json.loads("".join(response.delta for response in responses)) == ALBUM


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_the_tool_is_required_in_streams_too(
    net: Devnet, make: Any, sent: Any, method: str
) -> None:
    net.responder = _answering
    await _predict(make(structured_output_mode="function"), method)

    assert sent()[-1]["tool_choice"] == "required"
    assert sent()[-1]["tools"][0]["function"]["name"] == "Album"


@pytest.mark.parametrize("method", PREDICTIONS)
@pytest.mark.parametrize("mode", ["json_schema", "function", "text"])
async def test_the_system_prompt_goes_along_everywhere(
    net: Devnet, make: Any, sent: Any, method: str, mode: str
) -> None:
    net.responder = _answering
    await _predict(make(structured_output_mode=mode, system_prompt="Be brief."), method)

    assert sent()[-1]["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_an_answer_that_is_none_passes_on_to_the_next_form(
    net: Devnet, llm: GonkaLLM, sent: Any, method: str
) -> None:
    def in_prose_first(request: dict[str, Any]) -> Reply:
        if "response_format" in request:
            return Reply("I would rather talk.")
        if "tools" in request:
            return Reply(None, tool_calls=[ToolCall("Album", {"name": "Blue", "tracks": 3})])
        return Reply(f"Sure! Here {{you}} go:\n```json\n{json.dumps(ALBUM)}\n```\nDone.")

    net.responder = in_prose_first

    assert (await _predict(llm, method))[-1] == WHOLE
    assert _forms(sent) == ["json_schema", "function", "text"]


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_a_form_that_the_server_refuses_passes_on(
    net: Devnet, llm: GonkaLLM, sent: Any, method: str
) -> None:
    def old_server(request: dict[str, Any]) -> Reply:
        if "response_format" in request:
            return Reply(error=(400, "response_format is not supported"))
        return _answering(request)

    net.responder = old_server

    assert (await _predict(llm, method))[-1] == WHOLE
    assert _forms(sent)[-1] == "function"


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_a_tool_that_was_not_called_is_read_from_the_text(
    net: Devnet, make: Any, method: str
) -> None:
    net.responder = lambda request: Reply(json.dumps(ALBUM))

    assert (await _predict(make(structured_output_mode="function"), method))[-1] == WHOLE


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_when_no_form_works_the_error_says_why_for_each(
    net: Devnet, llm: GonkaLLM, method: str
) -> None:
    net.responder = lambda request: Reply("No.")
    with pytest.raises(StructuredOutputError, match="gave no valid Album") as caught:
        await _predict(llm, method)

    assert isinstance(caught.value, ValueError)
    assert caught.value.reasons.keys() == {"json_schema", "function", "text"}
    assert "structured_output_mode" in str(caught.value)


async def test_an_error_of_another_kind_is_not_taken_for_a_misunderstanding(
    net: Devnet, llm: GonkaLLM, sent: Any
) -> None:
    net.responder = lambda request: Reply(error=(400, "context length exceeded"))
    with pytest.raises(GonkaBadRequestError, match="context length"):
        await _predict(llm, "structured_predict")


@pytest.mark.parametrize("method", PREDICTIONS)
async def test_llm_kwargs_are_sent_and_not_changed(
    net: Devnet, make: Any, sent: Any, method: str
) -> None:
    net.responder = _answering
    given = {"temperature": 0.0, "tool_choice": "auto", "tool_required": False}
    before = dict(given)
    await _predict(make(structured_output_mode="function"), method, llm_kwargs=given)

    assert given == before
    assert sent()[-1]["temperature"] == 0.0
    assert sent()[-1]["tool_choice"] == "required"


def test_the_frameworks_program_mode_holds_too(net: Devnet, make: Any, sent: Any) -> None:
    net.responder = _answering
    make(pydantic_program_mode=PydanticProgramMode.FUNCTION).structured_predict(
        Album, PROMPT, topic="x"
    )
    make(pydantic_program_mode=PydanticProgramMode.LLM).structured_predict(Album, PROMPT, topic="x")

    assert _forms(sent) == ["function", "text"]


async def test_the_frameworks_own_program_works(net: Devnet, llm: GonkaLLM, sent: Any) -> None:
    net.responder = _answering
    program = FunctionCallingProgram.from_defaults(
        Album, prompt=PROMPT, llm=llm, allow_parallel_tool_calls=False
    )

    assert program(topic="x") == WHOLE
    assert await program.acall(topic="x") == WHOLE
    assert list(program.stream_call(topic="x"))[-1] == WHOLE
    assert sent()[0]["tool_choice"] == sent()[1]["tool_choice"] == "required"


def test_partial_objects_grow(net: Devnet, llm: GonkaLLM) -> None:
    net.responder = _answering
    sizes = [
        len(partial.tracks or [])
        for partial in llm.stream_structured_predict(Album, PROMPT, topic="x")
    ]

    assert sizes == sorted(sizes)
    assert {0, 1, 2} <= set(sizes)


def test_a_class_without_nesting_limits_is_asked_for_in_words(
    net: Devnet, llm: GonkaLLM, sent: Any
) -> None:
    tree = {"value": 1, "children": [{"value": 2, "children": []}]}
    net.responder = lambda request: _answering(request, tree)
    found = llm.structured_predict(Node, PROMPT, topic="x")

    assert found.children[0].value == 2
    assert _forms(sent) == ["function"]


def test_a_mode_that_cannot_carry_the_class_says_so(make: Any, sent: Any) -> None:
    llm = make(structured_output_mode="json_schema")
    with pytest.raises(GonkaConfigError, match="recursive"):
        llm.structured_predict(Node, PROMPT, topic="x")
    assert sent() == []


def test_gateways_get_schemas_that_they_take(net: Devnet, at_gateway: GonkaLLM, sent: Any) -> None:
    net.responder = _answering

    assert at_gateway.structured_predict(Album, PROMPT, topic="x") == WHOLE
    assert "$" not in json.dumps(sent()[-1]["response_format"])


def test_a_class_given_as_response_format(net: Devnet, llm: GonkaLLM, sent: Any) -> None:
    net.responder = _answering
    answer = llm.chat([ChatMessage(content="x")], response_format=Album)

    assert Album.model_validate_json(answer.message.content or "") == WHOLE
    assert sent()[-1]["response_format"]["json_schema"]["name"] == "Album"


def test_braces_in_messages_are_no_template(net: Devnet, llm: GonkaLLM, sent: Any) -> None:
    net.responder = _answering
    text = 'Look at {"json": {"a": 1}} and {name}.'
    llm.as_structured_llm(Album).chat([ChatMessage(content=text)])

    assert sent()[-1]["messages"][-1]["content"] == text


def test_instructions_leave_the_messages_alone(net: Devnet, make: Any, sent: Any) -> None:
    net.responder = _answering
    messages = [ChatMessage(role="system", content="s"), ChatMessage(content="Describe.")]
    prompt = ChatPromptTemplate(message_templates=messages)
    make(structured_output_mode="text").structured_predict(Album, prompt)

    assert messages[-1].content == "Describe."
    assert "JSON schema" in sent()[-1]["messages"][-1]["content"]
