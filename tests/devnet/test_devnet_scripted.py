"""The scripted responder, and replies that tests write themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from devnet_wire import ask, chat, events, new_client, text_of

from gonka_integrations.devnet import Devnet, Reply, ToolCall, scripted


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with new_client() as client:
        yield client


@pytest.fixture(scope="module")
def shared_net() -> Iterator[Devnet]:
    with Devnet(hosts=1, gateways=0, providers=1) as net:
        yield net


@pytest.fixture
def net(shared_net: Devnet) -> Iterator[Devnet]:
    yield shared_net
    shared_net.responder = None


def provider(client: httpx.Client, net: Devnet, request: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {net.provider.api_key}"}
    url = f"{net.provider.base_url}/chat/completions"
    return client.post(url, json=request, headers=headers)


def tool(name: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": schema}}


MAGIC = tool("magic_function", input={"type": "integer"})
WEATHER = tool("get_weather", location={"type": "string"})
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USER = {"role": "user", "content": "Hello"}


def calls(request: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in scripted(request).tool_calls]


class TestTools:
    def test_the_first_one_for_a_user(self) -> None:
        request = chat(text="magic_function(3)", tools=[MAGIC, WEATHER])
        assert calls(request) == [("magic_function", {"input": 3})]

    def test_the_named_one(self) -> None:
        choice = {"type": "function", "function": {"name": "get_weather"}}
        request = chat(tools=[MAGIC, WEATHER], tool_choice=choice)
        assert calls(request) == [("get_weather", {"location": "location"})]

    def test_none(self) -> None:
        assert scripted(chat(tools=[MAGIC], tool_choice="none")).text == "You said: Hello"

    def test_text_after_the_tool_answered(self) -> None:
        request = chat(tools=[MAGIC])
        request["messages"] += [
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ]
        assert scripted(request).text == "The tool says: sunny"
        assert calls({**request, "tool_choice": "required"})

    @pytest.mark.parametrize("name", ["你好啊集团", "日本"])
    def test_unicode(self, name: str) -> None:
        unicode = tool(
            "unicode_customer", customer_name={"type": "string"}, note={"type": "string"}
        )
        [(_, arguments)] = calls(chat(text=f"Create '{name}' now", tools=[unicode]))
        assert arguments["customer_name"] == name

    def test_schemas_are_obeyed(self) -> None:
        schema = {
            "$defs": {"Colour": {"enum": ["red", "blue"]}},
            "type": "object",
            "properties": {
                "colour": {"$ref": "#/$defs/Colour"},
                "many": {
                    "type": "array",
                    "items": {"type": "integer", "minimum": 5},
                    "minItems": 2,
                },
                "maybe": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
                "merged": {"allOf": [{"properties": {"a": {"const": 1}}, "required": ["a"]}]},
                "left_out": {"type": "string"},
            },
            "required": ["colour", "many", "maybe", "merged"],
        }
        function = {"name": "f", "parameters": schema}
        [(_, arguments)] = calls(chat(tools=[{"type": "function", "function": function}]))
        expected = {"colour": "red", "many": [5, 5], "maybe": True, "merged": {"a": 1}}
        assert arguments == expected

    def test_streamed_in_slices(self, net: Devnet, client: httpx.Client) -> None:
        request = chat(tools=[WEATHER], stream=True)
        chunks = events(ask(client, net, net.hosts[0], request))
        deltas = [
            choice["delta"]["tool_calls"][0]
            for chunk in chunks[:-1]
            for choice in chunk["choices"]
            if "tool_calls" in choice["delta"]
        ]
        assert deltas[0]["function"] == {"name": "get_weather", "arguments": ""}
        assert deltas[0]["id"]
        pieces = [delta["function"]["arguments"] for delta in deltas[1:]]
        assert all(len(piece) <= 7 for piece in pieces)
        assert json.loads("".join(pieces)) == {"location": "location"}
        assert chunks[-3]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    "broken",
    [
        {"messages": [{"role": "robot", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "assistant", "content": None}]},
        {"messages": [{"role": "tool", "tool_call_id": "x", "content": "x"}]},
        {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]},
        {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "x"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}]},
        {"messages": []},
        {"tools": []},
        {"tools": [{"name": "f", "input_schema": {}}]},
        {"tool_choice": "required"},
        {"tools": [MAGIC], "tool_choice": {"type": "function", "function": {"name": "no"}}},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    ],
)
def test_malformed_requests_are_refused(broken: dict[str, Any]) -> None:
    error = scripted({**chat(), **broken}).error
    assert error is not None
    assert error[0] == 400


class TestText:
    def test_structured(self) -> None:
        schema = {"properties": {"setup": {"type": "string"}}, "required": ["setup"]}
        described = {"name": "joke", "schema": schema}
        wanted = {"type": "json_schema", "json_schema": described}
        assert json.loads(scripted(chat(response_format=wanted)).text or "") == {"setup": "setup"}
        wanted = {"type": "json_object"}
        reply = scripted(chat(text="a joke as JSON", response_format=wanted))
        assert json.loads(reply.text or "").keys() == {"setup", "punchline"}

    def test_limits(self) -> None:
        cut = scripted(chat(text="one two three", max_tokens=3))
        assert (cut.text, cut.ending) == ("You said: one", "length")
        stopped = scripted(chat(text="one two three", stop=["two"]))
        assert (stopped.text, stopped.ending) == ("You said: one ", "stop")

    def test_reasoning(self) -> None:
        assert scripted(chat()).reasoning is None
        assert scripted(chat(reasoning_effort="low")).reasoning
        assert scripted(chat(model="some/reasoner")).reasoning

    def test_several_choices(self, net: Devnet, client: httpx.Client) -> None:
        choices = provider(client, net, chat(n=3)).json()["choices"]
        assert [choice["index"] for choice in choices] == [0, 1, 2]
        assert choices[2]["message"]["content"] == "You said: Hello (3)"
        chunks = events(provider(client, net, chat(n=2, stream=True)))
        assert {chunk["choices"][0]["index"] for chunk in chunks[:-1]} == {0, 1}

    def test_usage_details(self, net: Devnet, client: httpx.Client) -> None:
        usage = provider(client, net, chat(reasoning_effort="low")).json()["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
        assert 0 < reasoning < usage["completion_tokens"]

    def test_logprobs_at_a_provider(self, net: Devnet, client: httpx.Client) -> None:
        plain = provider(client, net, chat()).json()["choices"][0]
        assert plain["logprobs"] is None
        asked = provider(client, net, chat(logprobs=True)).json()["choices"][0]
        assert asked["logprobs"]["content"][0]["token"] == "You"


class TestOwnReplies:
    def test_a_function_of_the_request(self, net: Devnet, client: httpx.Client) -> None:
        net.responder = lambda request: Reply(request["messages"][0]["content"].upper())
        answer = ask(client, net, net.hosts[0], chat()).json()
        assert answer["choices"][0]["message"]["content"] == "HELLO"

    def test_broken_arguments(self, net: Devnet, client: httpx.Client) -> None:
        net.responder = lambda request: Reply(None, [ToolCall("f", '{"a": ', id="c9")])
        [call] = provider(client, net, chat()).json()["choices"][0]["message"]["tool_calls"]
        assert call == {
            "id": "c9",
            "type": "function",
            "function": {"name": "f", "arguments": '{"a": '},
        }

    def test_raw_chunks(self, net: Devnet, client: httpx.Client) -> None:
        def piece(index: int | None, arguments: str, **more: Any) -> dict[str, Any]:
            call = {"index": index, "function": {"arguments": arguments}, **more}
            return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}

        chunks = [
            piece(0, "{", id="c1", function={"name": "f", "arguments": "{"}),
            piece(0, "}"),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}], "extra": 1},
        ]
        net.responder = lambda request: Reply(chunks=chunks)
        heard = events(provider(client, net, chat(stream=True)))
        assert [chunk["choices"] for chunk in heard[:-1]] == [one["choices"] for one in chunks]
        assert heard[2]["extra"] == 1
        assert heard[0]["model"] == "gonka/test-model"
        assert heard[0]["object"] == "chat.completion.chunk"
        plain = provider(client, net, chat()).json()["choices"][0]
        assert plain["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}
        assert plain["finish_reason"] == "tool_calls"

    def test_thoughts_inline_and_pieces(self, net: Devnet, client: httpx.Client) -> None:
        pieces = ["<thi", "nk>hm</th", "ink>", "yes"]
        net.responder = lambda request: Reply("".join(pieces), pieces=pieces)
        heard = events(provider(client, net, chat(stream=True)))
        assert text_of(heard) == "<think>hm</think>yes"
        spoken = [one["choices"][0]["delta"].get("content") for one in heard[:-1]]
        assert spoken == ["", *pieces, None]

    def test_refusal_usage_and_message_fields(self, net: Devnet, client: httpx.Client) -> None:
        net.responder = lambda request: Reply(
            None, refusal="no", usage={"prompt_tokens": 1}, message={"annotations": []}
        )
        answer = provider(client, net, chat()).json()
        message = answer["choices"][0]["message"]
        assert message == {
            "role": "assistant",
            "content": None,
            "refusal": "no",
            "annotations": [],
        }
        assert answer["usage"] == {"prompt_tokens": 1}

    def test_a_whole_completion(self, net: Devnet, client: httpx.Client) -> None:
        net.responder = lambda request: Reply(completion={"choices": [], "odd": True})
        answer = provider(client, net, chat()).json()
        assert (answer["choices"], answer["odd"]) == ([], True)
        assert answer["object"] == "chat.completion"

    def test_exact_bytes(self, net: Devnet, client: httpx.Client) -> None:
        body = b": ping\r\n\r\ndata: {}\r\n\r\nunexpected end"
        net.responder = lambda request: Reply(raw=body)
        for streams in (False, True):
            answer = ask(client, net, net.hosts[0], chat(stream=streams))
            assert answer.content == body
        assert net.hosts[0].requests[-1].outcome == "served"

    def test_other_separators(self, net: Devnet, client: httpx.Client) -> None:
        net.hosts[0].separator = b"\n\n\n"
        text = ask(client, net, net.hosts[0], chat(stream=True)).text
        net.hosts[0].separator = b"\n\n"
        assert text.endswith("}\n\n\ndata: [DONE]\n\n\n")

    def test_an_error_in_every_envelope(self, net: Devnet, client: httpx.Client) -> None:
        net.responder = lambda request: Reply(error=(503, "overloaded"))
        answer = provider(client, net, chat())
        assert (answer.status_code, answer.json()["error"]["message"]) == (503, "overloaded")
        answer = ask(client, net, net.hosts[0], chat())
        expected = "Inference node response with an error. code = 503. error = overloaded."
        assert (answer.status_code, answer.json()["error"]) == (500, expected)

    def test_a_coroutine(self, net: Devnet, client: httpx.Client) -> None:
        import asyncio

        async def responder(request: dict[str, Any]) -> Reply:
            await asyncio.sleep(0)
            return Reply("late")

        net.responder = responder
        answer = ask(client, net, net.hosts[0], chat()).json()
        assert answer["choices"][0]["message"]["content"] == "late"


class TestProvider:
    def test_key_model_and_body(self, net: Devnet, client: httpx.Client) -> None:
        url = f"{net.provider.base_url}/chat/completions"
        wrong = client.post(url, json=chat(), headers={"Authorization": "Bearer x"})
        assert wrong.status_code == 401
        assert wrong.json()["error"]["code"] == "invalid_api_key"
        assert provider(client, net, chat("anything/goes")).status_code == 200
        net.provider.models = ("only/this",)
        missing = provider(client, net, chat("other"))
        net.provider.models = None
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "model_not_found"

    def test_records(self, net: Devnet, client: httpx.Client) -> None:
        net.provider.requests.clear()
        provider(client, net, chat())
        [record] = net.provider.requests
        assert record.outcome == "served"
        assert record.headers["authorization"] == f"Bearer {net.provider.api_key}"
