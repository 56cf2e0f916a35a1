"""The same request as each kind of endpoint wants it."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest
from made import gateway, node, provider

from gonka_integrations.core import dialect
from gonka_integrations.core.dialect import (
    GATEWAY_PARAMETERS,
    GATEWAY_REFUSED,
    adapt,
    injected_by,
    strip_injected,
)

MESSAGES = [{"role": "user", "content": "Hello"}]
PARTS = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
EVERYTHING: dict[str, Any] = {
    "model": "llama",
    "messages": [{"role": "user", "content": PARTS}],
    "max_completion_tokens": 7,
    "stream": False,
    "stream_options": {"include_usage": False},
    "top_k": 3,
    "unheard_of": 1,
}


def ask(**more: Any) -> dict[str, Any]:
    return {"model": "llama", "messages": MESSAGES, **more}


@pytest.mark.parametrize("endpoint", [node(1), gateway(), provider()], ids=lambda e: e.kind)
@pytest.mark.parametrize("stream", [True, False])
def test_the_caller_s_payload_is_not_changed(endpoint: Any, stream: bool) -> None:
    before = copy.deepcopy(EVERYTHING)
    adapt(EVERYTHING, endpoint, stream=stream, variation="retry-1a")
    assert before == EVERYTHING


class TestEverywhere:
    @pytest.mark.parametrize("endpoint", [node(1), gateway(), provider()], ids=lambda e: e.kind)
    def test_streaming_is_ours_to_say(self, endpoint: Any) -> None:
        plain = adapt(ask(stream=True), endpoint, stream=False)
        assert "stream" not in plain
        assert "stream_options" not in plain
        streamed = adapt(ask(), endpoint, stream=True)
        assert streamed["stream"] is True
        assert streamed["stream_options"] == {"include_usage": True}

    def test_the_caller_s_stream_options_hold(self) -> None:
        request = ask(stream_options={"include_usage": False})
        assert adapt(request, node(1), stream=True)["stream_options"] == {"include_usage": False}
        assert "stream_options" not in adapt(request, node(1), stream=False)

    @pytest.mark.parametrize(
        ("model_map", "default", "asked", "sent"),
        [
            ({}, None, "llama", "llama"),
            ({"llama": "meta/llama-3"}, None, "llama", "meta/llama-3"),
            ({"llama": "meta/llama-3"}, "small", "qwen", "small"),
            ({}, "small", "llama", "small"),
            ({}, None, "", ""),
        ],
    )
    def test_the_model_is_named_as_the_endpoint_names_it(
        self, model_map: dict[str, str], default: str | None, asked: str, sent: str
    ) -> None:
        endpoint = provider(model_map=model_map, default_model=default)
        assert adapt(ask(model=asked), endpoint, stream=False)["model"] == sent

    def test_a_request_without_a_model(self) -> None:
        assert adapt({"messages": MESSAGES}, node(1), stream=False)["model"] == ""


class TestClassic:
    def test_parts_of_text_become_text(self) -> None:
        messages = [
            {"role": "system", "content": "plain"},
            {"role": "user", "content": PARTS, "name": "Ann"},
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "user", "content": []},
        ]
        adapted = adapt(ask(messages=messages), node(1), stream=False)["messages"]
        assert adapted[0] == messages[0]
        assert adapted[1] == {"role": "user", "content": "one\ntwo", "name": "Ann"}
        assert adapted[2:] == messages[2:]

    def test_other_parts_stay(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
        for content in (
            [*PARTS, image],
            ["bare"],
            [{"type": "text"}],
            [{"type": "text", "text": 1}],
        ):
            messages = [{"role": "user", "content": content}]
            assert adapt(ask(messages=messages), node(1), stream=False)["messages"] == messages

    def test_messages_that_are_none_are_left_for_the_node_to_refuse(self) -> None:
        assert adapt(ask(messages="hi"), node(1), stream=False)["messages"] == "hi"
        assert adapt(ask(messages=["hi"]), node(1), stream=False)["messages"] == ["hi"]

    @pytest.mark.parametrize(
        ("given", "sent"),
        [
            ({"max_completion_tokens": 7}, 7),
            ({"max_completion_tokens": 7, "max_tokens": 5}, 5),
            ({"max_completion_tokens": 7, "max_tokens": None}, 7),
            ({"max_tokens": 5}, 5),
        ],
    )
    def test_the_limit_goes_by_its_old_name(self, given: dict[str, Any], sent: int) -> None:
        adapted = adapt(ask(**given), node(1), stream=False)
        assert adapted["max_tokens"] == sent
        assert "max_completion_tokens" not in adapted

    def test_no_limit_is_no_limit(self) -> None:
        adapted = adapt(ask(max_completion_tokens=None), node(1), stream=False)
        assert "max_tokens" not in adapted

    def test_anything_else_goes_through(self) -> None:
        adapted = adapt(ask(unheard_of=1, guided_json={}), node(1), stream=False)
        assert adapted["unheard_of"] == 1
        assert adapted["guided_json"] == {}


class TestGateway:
    def test_parameters_outside_the_list_are_left_out_and_told_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        dialect._told.discard("mirostat")
        with caplog.at_level(logging.WARNING, "gonka_integrations"):
            for _ in range(3):
                assert "mirostat" not in adapt(ask(mirostat=2), gateway(), stream=False)
        assert [record.getMessage().count("mirostat") for record in caplog.records] == [1]

    def test_what_is_on_the_list_goes_through(self) -> None:
        request = dict.fromkeys(GATEWAY_PARAMETERS | GATEWAY_REFUSED, 1)
        adapted = adapt(request, gateway(), stream=True)
        assert set(adapted) == set(request)

    def test_what_changes_the_answer_is_sent_to_be_refused(self) -> None:
        assert adapt(ask(guided_json={"a": 1}), gateway(), stream=False)["guided_json"] == {"a": 1}

    def test_a_retry_differs_from_what_failed(self) -> None:
        assert adapt(ask(), gateway(), stream=False, variation="retry-1a")["user"] == "retry-1a"
        mine = adapt(ask(user="ann"), gateway(), stream=False, variation="retry-1a")
        assert (mine["user"], mine["seed"]) == ("ann", 0x1A)
        long = adapt(ask(user="ann"), gateway(), stream=False, variation="retry-ffffffffffff")
        assert long["seed"] == 2**31 - 1, "a seed is an int32"
        both = adapt(ask(user="ann", seed=1), gateway(), stream=False, variation="retry-1a")
        assert (both["user"], both["seed"]) == ("ann", 1)

    def test_only_gateways_remember_failures(self) -> None:
        for endpoint in (node(1), provider()):
            adapted = adapt(ask(), endpoint, stream=False, variation="retry-1a")
            assert "user" not in adapted


def test_providers_get_what_the_caller_wrote() -> None:
    request = ask(messages=[{"role": "user", "content": PARTS}], max_completion_tokens=7, odd=1)
    assert adapt(request, provider(), stream=False) == request


class TestInjected:
    def test_names(self) -> None:
        assert injected_by(node(1), ask()) == {
            "logprobs", "token_ids", "prompt_token_ids", "prompt_logprobs",
        }  # fmt: skip
        assert injected_by(node(1), ask(logprobs=True, prompt_logprobs=1)) == {
            "token_ids", "prompt_token_ids",
        }  # fmt: skip
        assert injected_by(node(1), ask(return_token_ids=True)) == {"logprobs", "prompt_logprobs"}
        assert "logprobs" in injected_by(node(1), ask(logprobs=False))
        assert not injected_by(gateway(), ask())
        assert not injected_by(provider(), ask())

    def test_they_are_taken_out(self) -> None:
        answer = {
            "prompt_token_ids": [1],
            "prompt_logprobs": None,
            "choices": [
                {"index": 0, "token_ids": [2], "logprobs": {"content": []}, "delta": {}},
                {"index": 1, "delta": {}},
            ],
        }
        strip_injected(answer, injected_by(node(1), ask()))
        assert answer == {
            "choices": [{"index": 0, "logprobs": None, "delta": {}}, {"index": 1, "delta": {}}]
        }
        strip_injected(usage := {"choices": None, "usage": {}}, frozenset({"logprobs"}))
        assert usage == {"choices": None, "usage": {}}
