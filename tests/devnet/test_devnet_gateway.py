"""A gateway seen from outside: keys, its closed parameter list, its cache, its bad days."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from devnet_wire import ask_gateway, chat, events, new_client, text_of

from gonka_integrations.devnet import Devnet, Fault, Reply

KIMI = "moonshotai/Kimi-K2.6"
MINIMAX = "MiniMaxAI/MiniMax-M2.7"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with new_client() as client:
        yield client


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=1, models=("gonka/test-model", KIMI, MINIMAX)) as net:
        yield net


@pytest.fixture
def heard(net: Devnet) -> list[dict[str, Any]]:
    """What the gateway passed on."""
    heard: list[dict[str, Any]] = []

    def responder(request: dict[str, Any]) -> Reply:
        heard.append(request)
        return Reply("heard")

    net.responder = responder
    return heard


def refusal(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    return response.status_code, json.loads(response.text)["error"]["message"]


def test_serves_with_its_key(net: Devnet, client: httpx.Client) -> None:
    response = ask_gateway(client, net.gateway, chat())
    assert response.status_code == 200
    assert response.headers["x-request-id"]
    assert response.headers["x-devshard-id"] == "42"
    answer = response.json()
    assert answer["id"] == "devshard-42-1"
    assert answer["choices"][0]["message"]["content"] == "You said: Hello"
    assert answer["choices"][0]["logprobs"] is None
    assert "prompt_token_ids" not in answer


def test_streams_usage_only_when_asked(net: Devnet, client: httpx.Client) -> None:
    without = events(ask_gateway(client, net.gateway, chat(stream=True)))
    assert all(chunk["choices"] for chunk in without[:-1])
    asked = chat(stream=True, stream_options={"include_usage": True})
    with_usage = events(ask_gateway(client, net.gateway, asked))
    assert with_usage[-2]["choices"] == []
    assert with_usage[-2]["usage"]["completion_tokens"] == 3
    assert with_usage[-1] == "[DONE]"


class TestAccess:
    def test_a_wrong_key(self, net: Devnet, client: httpx.Client) -> None:
        url = f"{net.gateway.base_url}/chat/completions"
        response = client.post(url, json=chat(), headers={"Authorization": "Bearer nope"})
        assert refusal(response) == (401, 'model "gonka/test-model" requires an API key')
        assert response.headers["x-request-id"]

    def test_open_and_admin_only_models(self, net: Devnet, client: httpx.Client) -> None:
        net.gateway.access_modes = {"gonka/test-model": "open", KIMI: "admin_only"}
        url = f"{net.gateway.base_url}/chat/completions"
        assert client.post(url, json=chat()).status_code == 200
        status, text = refusal(ask_gateway(client, net.gateway, chat(KIMI)))
        assert (status, text) == (401, f'model "{KIMI}" requires an admin API key')

    def test_unknown_model(self, net: Devnet, client: httpx.Client) -> None:
        status, text = refusal(ask_gateway(client, net.gateway, chat("foo")))
        assert status == 400
        expected = f"gonka/test-model, {KIMI}, {MINIMAX}"
        assert text == f'unsupported model "foo"; supported models: {expected}'

    def test_get(self, net: Devnet, client: httpx.Client) -> None:
        response = client.get(f"{net.gateway.base_url}/chat/completions")
        assert refusal(response) == (405, "method not allowed")

    def test_admin_routes(self, net: Devnet, client: httpx.Client) -> None:
        assert client.get(f"{net.gateway.base_url}/admin/keys").status_code == 404
        net.gateway.admin_api_key = "root"
        response = client.get(f"{net.gateway.base_url}/admin/keys")
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize(
    "name",
    [
        "guided_json",
        "guided_regex",
        "enforced_tokens",
        "tags",
        "allowed_token_ids",
        "ignore_eos",
        "use_beam_search",
        "prompt_logprobs",
        "a_parameter_nobody_knows",
    ],
)
def test_parameters_that_are_refused(net: Devnet, client: httpx.Client, name: str) -> None:
    status, text = refusal(ask_gateway(client, net.gateway, chat(**{name: 1})))
    assert status == 400
    assert text.startswith(
        f'Chat completions parameter "{name}" is currently rejected by the Gonka'
    )


def test_parameters_that_are_dropped(
    net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
) -> None:
    more: dict[str, Any] = {
        "service_tier": "auto",
        "store": True,
        "provider": {},
        "plugins": [],
        "prompt_cache_key": "k",
        "extra_headers": {},
        "safety_identifier": "s",
        "reasoning_effort": "low",
        "return_token_ids": True,
        "stream_options": {"include_usage": True},
    }
    assert ask_gateway(client, net.gateway, chat(**more)).status_code == 200
    assert heard[0].keys() == {"model", "messages", "max_tokens"}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"temperature": 5}, {"temperature": 2}),
        ({"temperature": -1}, {"temperature": 0}),
        ({"top_p": 3}, {"top_p": 1}),
        ({"frequency_penalty": -9}, {"frequency_penalty": -2}),
        ({"repetition_penalty": 9}, {"repetition_penalty": 2}),
        ({"max_tokens": 100_000}, {"max_tokens": 4096}),
        ({"max_completion_tokens": 100_000}, {"max_completion_tokens": 4096}),
        ({}, {"max_tokens": 3072}),
        ({"n": 3, "temperature": 0}, {"n": 1, "temperature": 0}),
        ({"enable_thinking": False}, {"chat_template_kwargs": {"enable_thinking": False}}),
        ({"extra_body": {"top_k": 5}}, {"top_k": 5}),
        ({"min_tokens": 5000, "max_tokens": 10}, {"min_tokens": 10, "max_tokens": 10}),
        (
            {"stream": False, "stop": ["a"], "seed": 1, "user": "u"},
            {"stream": False, "stop": ["a"], "seed": 1, "user": "u"},
        ),
    ],
)
def test_parameters_that_are_changed(
    net: Devnet,
    client: httpx.Client,
    heard: list[dict[str, Any]],
    sent: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    assert ask_gateway(client, net.gateway, chat(**sent)).status_code == 200
    base = {} if "max_completion_tokens" in expected else {"max_tokens": 3072}
    expected = {**base, **expected}
    assert {key: value for key, value in heard[0].items() if key not in chat()} == expected


@pytest.mark.parametrize(
    "sent",
    [
        {"top_p": 0},
        {"top_k": 0},
        {"max_tokens": 0},
        {"n": 6},
        {"seed": -1},
        {"stream": "yes"},
        {"stop": ["x"] * 17},
        {"user": "u" * 513},
        {"metadata": {str(number): "" for number in range(17)}},
        {"logit_bias": {"1": 101}},
        {"reasoning_effort": "extreme"},
        {"chat_template_kwargs": {"chat_template": "x"}},
        {"tool_choice": "sometimes"},
        {"response_format": {"type": "yaml"}},
        {
            "structured_outputs": {"regex": "a"},
            "response_format": {"type": "json_object"},
        },
    ],
)
def test_values_that_are_refused(net: Devnet, client: httpx.Client, sent: dict[str, Any]) -> None:
    assert refusal(ask_gateway(client, net.gateway, chat(**sent)))[0] == 400


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth - 1):
        schema = {"type": "array", "items": schema}
    return schema


def tool(schema: dict[str, Any], name: str = "f", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": schema, **more}}


def response_format(schema: dict[str, Any], name: str = "answer") -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema}}


def wide(nodes: int) -> dict[str, Any]:
    return {"properties": {f"p{number}": {} for number in range(nodes - 2)}}


class TestSchemas:
    @pytest.mark.parametrize(
        ("schema", "allowed"),
        [
            (nested(16), True),
            (nested(17), False),
            ({"$ref": "#/$defs/A"}, False),
            ({"$defs": {"A": {}}}, False),
            ({"definitions": {}}, False),
            ({"anyOf": [{}] * 17}, False),
            ({"enum": [*range(257)]}, False),
            ({"pattern": "x" * 513}, False),
            ({"pattern": "("}, False),
            ({"description": "x" * 16_384}, False),
        ],
    )
    def test_bounds(
        self, net: Devnet, client: httpx.Client, schema: dict[str, Any], allowed: bool
    ) -> None:
        for more in ({"tools": [tool(schema)]}, {"response_format": response_format(schema)}):
            status = ask_gateway(client, net.gateway, chat(**more)).status_code
            assert status == (200 if allowed else 400)

    def test_nodes(self, net: Devnet, client: httpx.Client) -> None:
        def status(**more: Any) -> int:
            return ask_gateway(client, net.gateway, chat(**more)).status_code

        assert status(tools=[tool(wide(256))]) == 200
        assert status(tools=[tool(wide(257))]) == 400
        assert status(response_format=response_format(wide(128))) == 200
        assert status(response_format=response_format(wide(129))) == 400

    def test_names(self, net: Devnet, client: httpx.Client) -> None:
        for name, expected in (("f" * 64, 200), ("f" * 65, 400)):
            tools = [tool({}, name)]
            assert ask_gateway(client, net.gateway, chat(tools=tools)).status_code == expected
        wanted = response_format({}, "not a name")
        assert ask_gateway(client, net.gateway, chat(response_format=wanted)).status_code == 400

    def test_strict_is_dropped_and_required_becomes_auto(
        self, net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
    ) -> None:
        more = {"tools": [tool({}, strict=True)], "tool_choice": "required"}
        assert ask_gateway(client, net.gateway, chat(**more)).status_code == 200
        assert heard[0]["tool_choice"] == "auto"
        assert heard[0]["tools"] == [tool({})]


def test_nesting(net: Devnet, client: httpx.Client) -> None:
    deep: Any = "x"
    for _ in range(33):
        deep = [deep]
    status, text = refusal(ask_gateway(client, net.gateway, chat(metadata={"k": deep})))
    assert (status, text) == (400, "request nesting exceeds 32")


USER = {"role": "user", "content": "Hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


class TestMessages:
    def send(self, client: httpx.Client, net: Devnet, *messages: dict[str, Any]) -> httpx.Response:
        request = {"model": "gonka/test-model", "messages": list(messages)}
        return ask_gateway(client, net.gateway, request)

    def test_what_is_forgiven(
        self, net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
    ) -> None:
        answer = self.send(
            client,
            net,
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            },
            {"role": "assistant", "content": []},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [CALL],
                "function_call": None,
            },
            {"role": "tool", "tool_call_id": "c1", "content": "", "name": "f"},
            {"role": "tool", "tool_call_id": "orphan", "content": "lost"},
        )
        assert answer.status_code == 200
        user, assistant, answered = heard[0]["messages"]
        assert user["content"] == "ab"
        assert assistant == {"role": "assistant", "content": None, "tool_calls": [CALL]}
        assert answered["content"]
        assert "name" not in answered

    def test_duplicated_call_ids(self, net: Devnet, client: httpx.Client) -> None:
        calls = {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]}
        answer = self.send(client, net, USER, calls)
        assert refusal(answer) == (400, "messages[1].tool_calls[1].id is duplicated")

    def test_images(self, net: Devnet, client: httpx.Client) -> None:
        part = {"type": "image_url", "image_url": {"url": "x"}}
        answer = self.send(client, net, {"role": "user", "content": [part]})
        assert refusal(answer) == (400, "messages[0].content[0].type must be text")

    def test_too_many(self, net: Devnet, client: httpx.Client) -> None:
        assert refusal(self.send(client, net, *[USER] * 2049))[0] == 400


class TestCache:
    def test_the_same_question_gets_the_same_answer(
        self, net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
    ) -> None:
        first = ask_gateway(client, net.gateway, chat())
        # Normalised away: the body that goes on is the same.
        again = ask_gateway(client, net.gateway, chat(max_tokens=3072, store=True))
        assert again.json() == first.json()
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
        assert len(heard) == 1
        assert net.gateway.requests[-1].outcome == "cached"
        ask_gateway(client, net.gateway, chat(seed=7))
        assert len(heard) == 2

    def test_streams_are_remembered_when_heard_out(
        self, net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
    ) -> None:
        first = ask_gateway(client, net.gateway, chat(stream=True))
        assert ask_gateway(client, net.gateway, chat(stream=True)).text == first.text
        assert len(heard) == 1

    def test_not_after_an_hour(
        self, net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
    ) -> None:
        ask_gateway(client, net.gateway, chat())
        net.gateway.cache.seconds = -1
        ask_gateway(client, net.gateway, chat())
        assert len(heard) == 2

    def test_failures_only_where_wanted(self, net: Devnet, client: httpx.Client) -> None:
        net.gateway.fault = Fault("status", body="g503-poc", times=1)
        codes = [ask_gateway(client, net.gateway, chat()).status_code for _ in range(2)]
        assert codes == [503, 200]
        net.gateway.cache.keeps = "everything"
        net.gateway.fault = Fault("status", body="g503-poc", times=1)
        codes = [ask_gateway(client, net.gateway, chat()).status_code for _ in range(2)]
        assert codes == [503, 503]
        assert ask_gateway(client, net.gateway, chat(user="other")).status_code == 200

    def test_can_be_switched_off(
        self, net: Devnet, client: httpx.Client, heard: list[dict[str, Any]]
    ) -> None:
        net.gateway.cache.keeps = "nothing"
        for _ in range(2):
            ask_gateway(client, net.gateway, chat())
        assert len(heard) == 2


class TestBadDays:
    @pytest.mark.parametrize(
        ("phase", "words"),
        [
            ("PoCGenerate", "PoC generation"),
            ("PoCGenerateWindDown", "PoC generation wind down"),
            ("PoCValidate", "PoC validation"),
        ],
    )
    def test_proof_of_compute(
        self, net: Devnet, client: httpx.Client, phase: str, words: str
    ) -> None:
        net.phase = phase
        expected = (503, f"devshard temporarily unavailable during {words}")
        assert refusal(ask_gateway(client, net.gateway, chat())) == expected
        shown = client.get(f"{net.gateway.base_url}/status").json()["devshards"][0]
        assert (shown["requests_blocked"], shown["block_reason"]) == (True, "poc")
        assert shown["chain_phase"] == phase
        net.gateway.poc_mode = "relaxed"
        assert ask_gateway(client, net.gateway, chat()).status_code == 200

    def test_confirmation(self, net: Devnet, client: httpx.Client) -> None:
        net.confirmation_poc = "validation"
        expected = (503, "devshard temporarily unavailable during confirmation PoC validation")
        assert refusal(ask_gateway(client, net.gateway, chat())) == expected
        latest = client.get(f"{net.source_url}/v1/epochs/latest").json()
        assert latest["is_confirmation_poc_active"]
        assert latest["active_confirmation_poc_event"]["phase"] == 3

    def test_switched_off(self, net: Devnet, client: httpx.Client) -> None:
        net.gateway.disabled = ("please move", "https://new.example/v1/chat/completions")
        response = ask_gateway(client, net.gateway, chat())
        assert response.status_code == 308
        assert "location" not in response.headers
        assert response.json() == {
            "status": 308,
            "message": "please move",
            "new_url": "https://new.example/v1/chat/completions",
        }

    def test_devshards(self, net: Devnet, client: httpx.Client) -> None:
        key = {"Authorization": f"Bearer {net.gateway.api_key}"}

        def named(name: str) -> httpx.Response:
            url = f"{net.gateway.url}/devshard/{name}/v1/chat/completions"
            return client.post(url, json=chat(), headers=key)

        assert named("42").status_code == 200
        assert refusal(named("7")) == (404, "unknown devshard 7")
        net.gateway.devshards["42"] = False
        net.gateway.cache.clear()
        message = "devshard 42 is unavailable for new inferences: deactivated"
        assert refusal(named("42")) == (409, message)
        status, text = refusal(ask_gateway(client, net.gateway, chat()))
        assert status == 502
        assert text.endswith("for new inferences (skipped: 42=deactivated)")

    def test_limits(self, net: Devnet, client: httpx.Client) -> None:
        net.gateway.max_concurrent = 0
        expected = (429, "rate limit exceeded: too many concurrent requests")
        assert refusal(ask_gateway(client, net.gateway, chat())) == expected
        net.gateway.max_concurrent = None
        net.gateway.max_input_tokens = 3
        expected = (429, "rate limit exceeded: too many input tokens in flight")
        assert refusal(ask_gateway(client, net.gateway, chat())) == expected


def test_models_of_a_gateway(net: Devnet, client: httpx.Client) -> None:
    listed = client.get(f"{net.gateway.base_url}/models").json()["data"]
    assert [one["id"] for one in listed] == ["gonka/test-model", KIMI, MINIMAX]
    assert listed[0]["context_length"] == 4096
    assert listed[0]["pricing"] == {"prompt": "0", "completion": "0", "request": "0"}
    status = client.get(f"{net.gateway.base_url}/status").json()
    assert status["capacity"]["models"][KIMI]["routable"]


def test_kimi_thinks_aside_and_minimax_aloud(net: Devnet, client: httpx.Client) -> None:
    kimi = ask_gateway(client, net.gateway, chat(KIMI)).json()["choices"][0]["message"]
    assert kimi["reasoning_content"]
    assert kimi["content"] == "You said: Hello"
    silent = chat(KIMI, thinking={"type": "disabled"})
    message = ask_gateway(client, net.gateway, silent).json()["choices"][0]["message"]
    assert "reasoning_content" not in message
    streamed = events(ask_gateway(client, net.gateway, chat(MINIMAX, stream=True)))
    assert text_of(streamed).startswith("<think>\n")
    assert text_of(streamed).endswith("</think>\n\nYou said: Hello")


def test_logprobs_stay_for_who_asked(net: Devnet, client: httpx.Client) -> None:
    answer = ask_gateway(client, net.gateway, chat(logprobs=True, top_logprobs=2)).json()
    assert answer["choices"][0]["logprobs"]["content"][0]["token"] == "You"


def test_engines_refuse_through_it(net: Devnet, client: httpx.Client) -> None:
    net.responder = lambda request: Reply(error=(400, "maximum context length exceeded"))
    expected = (400, "maximum context length exceeded")
    assert refusal(ask_gateway(client, net.gateway, chat())) == expected
