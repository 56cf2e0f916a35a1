"""Secrets, dumps, pickles, copies: nothing leaks, everything works after, the original stays."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.storage.chat_store import SimpleChatStore
from pydantic import BaseModel

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet
from gonka_integrations.errors import GonkaConfigError
from gonka_integrations.llama_index import GonkaLLM

MODEL = "gonka/test-model"
COPIES: dict[str, Callable[[GonkaLLM], GonkaLLM]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": GonkaLLM.model_copy,
    "deep model_copy": lambda llm: llm.model_copy(deep=True),
    "pickle": lambda llm: pickle.loads(pickle.dumps(llm)),
}


@pytest.fixture
def full(net: Devnet) -> GonkaLLM:
    """A model with a secret of every kind."""
    return GonkaLLM(
        MODEL,
        source_url=net.source_url,
        private_key=net.private_key,
        gateways=[{"base_url": net.gateway.base_url, "api_key": "sk-secret-gateway"}],
        fallbacks=[{"base_url": net.provider.base_url, "api_key": "sk-secret-provider"}],
        temperature=0.5,
        additional_kwargs={"seed": 1},
    )


def _secrets(net: Devnet) -> tuple[str, ...]:
    return (net.private_key.removeprefix("0x"), "sk-secret-gateway", "sk-secret-provider")


@pytest.mark.parametrize("used", [False, True])
def test_no_dump_shows_a_secret(net: Devnet, full: GonkaLLM, used: bool) -> None:
    if used:
        full.complete("x")
    shown = [
        str(full.to_dict()),
        full.to_json(),
        full.model_dump_json(),
        repr(full),
        str(full),
        str(full.__dict__),
        str(full.to_payload()),
        repr(full.config),
        str(full.metadata),
    ]

    for secret in _secrets(net):
        assert not any(secret in text for text in shown)


def test_one_gateway_by_its_short_form_shows_no_key(net: Devnet) -> None:
    llm = GonkaLLM(MODEL, base_url=net.gateway.base_url, api_key="sk-secret-gateway")

    assert "sk-secret" not in repr(llm) + str(llm.to_dict()) + str(llm.__dict__)
    assert "api_key" not in llm.to_dict()


def test_logs_and_errors_show_no_secret(
    net: Devnet, full: GonkaLLM, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        full.complete("x")
        for server in net.servers:
            server.fault = lambda request: None
        with pytest.raises(GonkaConfigError) as caught:
            GonkaLLM(MODEL, private_key=net.private_key + "ff")

    for secret in _secrets(net):
        assert secret not in caplog.text
        assert secret not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("way", COPIES)
def test_copies_answer_and_the_original_does_too(
    net: Devnet, make: Any, way: str, used: bool
) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    llm = make(temperature=0.5, callback_manager=CallbackManager([counter]))
    if used:
        llm.complete("x")
    before = dict(llm.__dict__)
    copied = COPIES[way](llm)

    assert copied.complete("Hello").text == "You said: Hello"
    assert copied.temperature == 0.5
    assert copied.to_dict() == llm.to_dict()
    assert llm.__dict__ == before
    counted = len(counter.llm_token_counts)
    assert llm.complete("Hello").text == "You said: Hello"
    assert len(counter.llm_token_counts) == counted + 1


async def test_copies_made_after_asynchronous_use_answer(llm: GonkaLLM) -> None:
    await llm.acomplete("x")
    for way in COPIES.values():
        assert (await way(llm).acomplete("Hello")).text == "You said: Hello"


@pytest.mark.parametrize("way", ["copy", "deepcopy", "model_copy", "pickle"])
def test_copies_share_the_connections(llm: GonkaLLM, way: str) -> None:
    llm.complete("x")

    assert COPIES[way](llm).session is llm.session


@pytest.mark.parametrize("way", ["deepcopy", "deep model_copy", "pickle"])
def test_deep_copies_have_data_of_their_own(make: Any, way: str) -> None:
    llm = make(additional_kwargs={"metadata": {"a": 1}}, stop=["x"], fallback_llms=[MockLLM()])
    copied = COPIES[way](llm)
    copied.additional_kwargs["metadata"]["a"] = 2
    copied.stop.append("y")
    copied.fallback_llms.clear()

    assert llm.additional_kwargs == {"metadata": {"a": 1}}
    assert llm.stop == ["x"]
    assert len(llm.fallback_llms) == 1


def test_a_changed_copy_uses_what_was_changed(net: Devnet, at_gateway: GonkaLLM) -> None:
    at_gateway.complete("x")
    changed = at_gateway.model_copy(update={"api_key": "sk-other", "temperature": 1.0})
    with pytest.raises(Exception, match="API key"):
        changed.complete("y")

    assert net.gateway.requests[-1].headers["authorization"] == "Bearer sk-other"
    assert changed.temperature == 1.0
    assert "sk-other" not in repr(changed) + str(changed.__dict__)
    assert at_gateway.complete("z").text == "You said: z"


def test_a_changed_field_holds_from_the_next_call_on(net: Devnet, at_gateway: GonkaLLM) -> None:
    at_gateway.complete("x")
    at_gateway.seed = 7
    at_gateway.api_key = "sk-other"
    with pytest.raises(Exception, match="API key"):
        at_gateway.complete("y")

    assert net.gateway.requests[-1].headers["authorization"] == "Bearer sk-other"
    assert "sk-other" not in str(at_gateway.__dict__)


@pytest.mark.parametrize("used", [False, True])
def test_from_dict_brings_it_back(
    net: Devnet, full: GonkaLLM, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    if used:
        full.complete("x")
    data = json.loads(full.to_json())
    before = copy.deepcopy(data)
    monkeypatch.setenv("GONKA_PRIVATE_KEY", net.private_key)
    back = GonkaLLM.from_dict(data)

    assert data == before
    assert back.to_dict() == full.to_dict()
    assert back.complete("Hello").text == "You said: Hello"
    assert GonkaLLM.from_json(full.to_json()).temperature == 0.5


def test_keys_of_the_environment_stay_there(net: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_PRIVATE_KEY", net.private_key)
    monkeypatch.setenv("GONKA_SOURCE_URL", net.source_url)
    monkeypatch.setenv("MY_PROVIDER_KEY", "sk-secret-provider")
    provider = {"base_url": net.provider.base_url, "api_key_env": "MY_PROVIDER_KEY"}
    llm = GonkaLLM(MODEL, fallbacks=[provider])
    llm.complete("x")
    data = pickle.dumps(llm)

    for secret in _secrets(net):
        assert secret.encode() not in data
    assert llm.to_dict()["fallbacks"][0]["api_key_env"] == "MY_PROVIDER_KEY"
    assert pickle.loads(data).complete("Hello").text == "You said: Hello"
    assert GonkaLLM.from_dict(llm.to_dict()).config == llm.config


def test_a_key_that_was_given_travels_in_pickles(net: Devnet, full: GonkaLLM) -> None:
    back = pickle.loads(pickle.dumps(full))

    assert back.config == full.config
    assert back.complete("Hello").text == "You said: Hello"


def test_what_cannot_be_pickled_is_left_out_of_the_pickle_alone(make: Any) -> None:
    class Odd(TokenCountingHandler):
        """Holds something that cannot be pickled."""

        def __init__(self) -> None:
            super().__init__(tokenizer=str.split)
            self.odd = lambda: None

    counter = Odd()
    llm = make(callback_manager=CallbackManager([counter]))
    back = pickle.loads(pickle.dumps(llm))
    llm.complete("x")

    assert back.complete("Hello").text == "You said: Hello"
    assert llm.callback_manager.handlers == [counter]
    assert len(counter.llm_token_counts) == 1


def test_fallback_llms_travel_and_stay_whole(make: Any) -> None:
    other = MockLLM(callback_manager=CallbackManager([]))
    other.callback_manager.odd = lambda: None  # type: ignore[attr-defined]
    llm = make(fallback_llms=[other])
    back = pickle.loads(pickle.dumps(llm))

    assert isinstance(back.fallback_llms[0], MockLLM)
    assert other.callback_manager.odd() is None  # type: ignore[attr-defined]
    assert "fallback_llms" not in llm.to_dict()


def test_settings_take_it(llm: GonkaLLM) -> None:
    before = Settings._llm
    try:
        Settings.llm = llm
        assert Settings.llm is llm
    finally:
        Settings._llm = before


def test_its_answers_are_stored_in_memories(llm: GonkaLLM) -> None:
    store = SimpleChatStore()
    memory = ChatMemoryBuffer.from_defaults(llm=llm, chat_store=store)
    memory.put(ChatMessage(content="x"))
    memory.put(llm.chat([ChatMessage(content="x")]).message)
    (key,) = store.get_keys()
    kept = [ChatMessage.model_validate_json(m.model_dump_json()) for m in store.get_messages(key)]

    assert kept == memory.get()


def test_responses_survive_json(llm: GonkaLLM) -> None:
    response = llm.chat([ChatMessage(content="x")])

    assert type(response).model_validate_json(response.model_dump_json()) == response


def test_a_configuration_can_be_given_whole(net: Devnet) -> None:
    config = GonkaConfig(
        model=MODEL, source_url=net.source_url, private_key=net.private_key, timeout=60.0
    )
    llm = GonkaLLM(config=config, timeout=30.0)
    back = GonkaLLM.from_dict(llm.to_dict(), private_key=net.private_key)

    assert (llm.model, llm.config.timeout) == (MODEL, 30.0)
    assert llm.complete("Hello").text == "You said: Hello"
    assert net.private_key.removeprefix("0x") not in str(llm.to_dict()) + repr(llm)
    assert back.config == llm.config


def test_a_gateway_given_by_argument_goes_before_those_of_a_configuration(net: Devnet) -> None:
    config = GonkaConfig(gateways=[{"base_url": "http://127.0.0.1:9/v1", "api_key": "other"}])
    llm = GonkaLLM(MODEL, config=config, base_url=net.gateway.base_url, api_key=net.gateway.api_key)

    assert [gateway.base_url for gateway in llm.config.gateways] == [net.gateway.base_url]
    assert pickle.loads(pickle.dumps(llm)).complete("x").text == "You said: x"


def test_a_session_can_be_given(net: Devnet, make: Any) -> None:
    config = make().config
    with GonkaSession(config) as session:
        llm = GonkaLLM(MODEL, session=session)
        assert llm.session is copy.deepcopy(llm).session is session
        assert llm.config == config
        assert llm.complete("Hello").text == "You said: Hello"
        back = pickle.loads(pickle.dumps(llm))
        assert back.session is not session
        assert back.complete("Hello").text == "You said: Hello"


def test_headers_are_sent_and_not_shown(net: Devnet, at_gateway: GonkaLLM) -> None:
    at_gateway.extra_headers = {"X-Tenant": "sk-secret-tenant", "X-Trace": "1"}
    at_gateway.complete("x", extra_headers={"X-Trace": "2"})
    headers = net.gateway.requests[-1].headers

    assert (headers["x-tenant"], headers["x-trace"]) == ("sk-secret-tenant", "2")
    assert "sk-secret-tenant" not in repr(at_gateway) + str(at_gateway.to_dict())


def test_structured_llms_show_no_secret(net: Devnet, full: GonkaLLM) -> None:
    class Name(BaseModel):
        """A name."""

        name: str

    shown = str(full.as_structured_llm(Name).to_dict()) + repr(full.as_structured_llm(Name))
    for secret in _secrets(net):
        assert secret not in shown


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"structured_output_mode": "xml"}, "structured_output_mode"),
        ({"fallback_llms": ["gpt"]}, "fallback_llms"),
        ({"timeout": -1}, "timeout"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"source_url": "http://x.example", "verify_proofs": True}, "trust"),
        ({"api_base": "http://x/v1"}, "api_base"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(GonkaConfigError, match=field) as caught:
        GonkaLLM("m", **arguments)
    assert caught.value.field == field


def test_models_share_connections_whatever_their_names(make: Any) -> None:
    assert make("one").session is make("two").session
