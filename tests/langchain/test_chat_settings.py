"""What the constructor takes, what copies and pickles keep, and what nobody gets to see."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import threading
import traceback
import weakref
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.runnables import ConfigurableField
from pydantic import ValidationError

from gonka_integrations import ChatGonka, GonkaConfig, GonkaConfigError, GonkaError, GonkaSession
from gonka_integrations._langchain import arguments
from gonka_integrations._langchain.lingering import Lingering
from gonka_integrations._langchain.signature import ChatArguments
from gonka_integrations.devnet import Devnet

KEY = "0x" + "17" * 32
SOURCE = "http://127.0.0.1:1"
HERE = {"model": "m", "private_key": KEY, "source_url": SOURCE}


# Spellings and values.


def test_model_has_two_names():
    for chat in (ChatGonka(model="m"), ChatGonka(model_name="m")):
        assert (chat.model, chat.model_name) == ("m", "m")
    assert "model" in ChatGonka.model_fields


@pytest.mark.parametrize(
    ("spelling", "field", "value"),
    [
        ("max_completion_tokens", "max_tokens", 7),
        ("request_timeout", "timeout", 9.0),
        ("stop_sequences", "stop", ["x"]),
        ("reasoning_replay", "replay_reasoning", "never"),
        ("default_max_concurrent", "max_concurrent", 2),
        ("openai_api_base", "base_url", "http://127.0.0.1:1/v1"),
    ],
)
def test_spellings_of_other_classes(spelling, field, value):
    assert getattr(ChatGonka(**{spelling: value}), field) == value


def test_type_checkers_know_every_argument():
    """And no other: what is written down for them is what the constructor takes."""
    own = set(ChatGonka.model_fields) - set(BaseChatModel.model_fields)
    named = own - {"base_config", "given_session"} | set(arguments._SPELLINGS)
    inherited = set(ChatArguments.__optional_keys__) - named
    assert named <= set(ChatArguments.__optional_keys__)
    assert "cache" in inherited
    assert not inherited & own


def test_two_spellings_that_disagree():
    with pytest.raises(GonkaConfigError, match="given twice") as raised:
        ChatGonka(model="a", model_name="b")
    assert raised.value.field == "model"


def test_unknown_arguments_warn_and_are_sent():
    with pytest.warns(UserWarning, match=r"'min_tokens' is not a field.*model_kwargs"):
        chat = ChatGonka(min_tokens=3)
    assert chat.model_kwargs == {"min_tokens": 3}


def test_a_misspelt_field_is_recognised():
    with pytest.warns(UserWarning, match="Did you mean 'temperature'"):
        ChatGonka(temprature=0.1)


def test_a_misspelt_secret_is_not_sent():
    with pytest.raises(GonkaConfigError, match="did you mean 'private_key'") as raised:
        ChatGonka(privat_key=KEY)
    assert KEY[2:] not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["gonka_api_key", "groq_api_key", "mnemonic", "auth_token", "secret", "apikey"]
)
def test_what_may_be_a_secret_is_not_sent(name):
    """Arguments of other classes, which would be in every request and in every repr."""
    with pytest.raises(GonkaConfigError, match="may be a secret") as raised:
        ChatGonka(**{name: "sk-other"})
    assert raised.value.field == name
    assert "sk-other" not in str(raised.value)


def test_the_key_by_the_name_of_other_classes():
    chat = ChatGonka(model="m", openai_api_base="http://127.0.0.1:1/v1", openai_api_key="sk-other")
    assert chat.config.gateways[0].api_key.reveal() == "sk-other"
    assert "sk-other" not in repr(chat)


def test_given_both_ways():
    with pytest.raises(GonkaConfigError, match="in model_kwargs too"):
        ChatGonka(min_tokens=3, model_kwargs={"min_tokens": 4})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"private_key": "nonsense"}, "private_key"),
        ({"timeout": -1}, "timeout"),
        ({"source_url": "ftp://x"}, "source_url"),
        ({"session": 3}, "session"),
        ({"config": {}}, "config"),
        ({"private_key": KEY, "source_url": SOURCE, "verify_proofs": True}, "trust"),
    ],
)
def test_wrong_connections_name_the_field(given, field):
    with pytest.raises(GonkaConfigError, match=field) as raised:
        ChatGonka(model="m", **given)
    assert raised.value.field == field


def test_wrong_sampling_names_the_field():
    with pytest.raises(ValidationError, match="temperature"):
        ChatGonka(temperature=-1)


def test_nowhere_to_send_to_is_said_at_the_call():
    chat = ChatGonka(model="m", api_key="k")
    with pytest.raises(GonkaConfigError, match="base_url") as raised:
        chat.invoke("q")
    assert raised.value.field == "source_url"


def test_no_model_is_said_at_the_call(devnet):
    chat = ChatGonka(private_key=devnet.private_key, endpoints=devnet.endpoints)
    with pytest.raises(GonkaConfigError, match="model: no model is named"):
        chat.invoke("q")


def test_environment(monkeypatch):
    monkeypatch.setenv("GONKA_PRIVATE_KEY", KEY)
    monkeypatch.setenv("GONKA_SOURCE_URL", SOURCE)
    monkeypatch.setenv("GONKA_MODEL", "m")
    chat = ChatGonka()
    assert (chat.model, chat.source_url) == ("m", SOURCE)
    assert chat.private_key.get_secret_value() == KEY
    assert chat.config == ChatGonka(**HERE).config
    assert ChatGonka(model="other").model == "other"


def test_a_signer_stands_in_for_the_key_of_the_environment(monkeypatch):
    monkeypatch.setenv("GONKA_PRIVATE_KEY", KEY)

    class Signer:
        address = ChatGonka(**HERE).config.private_key.address

        def sign(self, digest: bytes) -> bytes:
            return digest * 2

    chat = ChatGonka(model="m", source_url=SOURCE, signer=Signer())
    assert chat.private_key is None
    assert chat.config.private_key is None
    again = ChatGonka(**{n: v for n, v in chat.__dict__.items() if n in ChatGonka.model_fields})
    assert again.config == chat.config


def test_config_and_session():
    config = GonkaConfig(model="m", source_url=SOURCE, private_key=KEY, timeout=7.0)
    assert ChatGonka(config=config).model == "m"
    assert ChatGonka(config=config).config == config
    assert ChatGonka(config=config, timeout=8).config.timeout == 8.0
    with GonkaSession(config) as session:
        chat = ChatGonka(session=session)
        assert chat.session is session
        chat.close()
        assert chat.session is session


def test_equal_configurations_share_a_session():
    first, second = ChatGonka(**HERE), ChatGonka(**HERE, temperature=0.5)
    assert first.session is second.session
    assert ChatGonka(**HERE, timeout=5).session is not first.session


# Tracing and caches.


def test_identifying_params():
    """All that changes answers, nothing that says where or by whom."""
    with pytest.warns(UserWarning, match="is not a field"):
        chat = ChatGonka(**HERE, temperature=0.5, stop=["x"], min_tokens=3)
    assert chat._identifying_params == {
        "model": "m",
        "temperature": 0.5,
        "stop": ["x"],
        "min_tokens": 3,
        "replay_reasoning": "auto",
    }


def test_tracing_params():
    chat = ChatGonka(**HERE, temperature=0.5, max_tokens=9, stop=["x"])
    params = chat._get_ls_params()
    assert params["ls_provider"] == "gonka"
    assert params["ls_model_name"] == "m"
    assert (params["ls_temperature"], params["ls_max_tokens"]) == (0.5, 9)
    assert params["ls_stop"] == ["x"]
    assert chat._get_ls_params(stop=["y"], model="n")["ls_stop"] == ["y"]
    assert chat._get_ls_params(model="n")["ls_model_name"] == "n"
    assert chat.metadata["lc_versions"]["gonka-integrations"]


def test_cache_keys_follow_the_model(model):
    """A copy with other parameters does not get the first one's cached answers."""
    cache = InMemoryCache()
    chat = model(cache=cache)
    first = chat.invoke("q")
    assert chat.invoke("q").response_metadata["id"] == first.response_metadata["id"]
    with pytest.warns(UserWarning, match="is not a field"):
        others = [
            chat.model_copy(update={"temperature": 0.7}),
            chat.model_copy(update={"model_name": "gonka/test-model", "seed": 3}),
            model(cache=cache, some_parameter=1),
            model(cache=cache, output_version="v1"),
        ]
    for other in others[:2]:
        assert other.invoke("q").response_metadata["id"] != first.response_metadata["id"]
    keys = {chat._get_llm_string()} | {other._get_llm_string() for other in others}
    assert len(keys) == 5
    chat.temperature = 0.9
    assert chat._get_llm_string() not in keys


def test_what_is_shown_follows_changes():
    chat = ChatGonka(**HERE)
    before = chat._serialized["repr"]
    chat.model = "n"
    assert chat._serialized["repr"] != before
    assert "model='o'" in chat.model_copy(update={"model": "o"})._serialized["repr"]


# Changes.


def test_configurable_model(devnet):
    chat = ChatGonka(
        model="gonka/test-model", private_key=devnet.private_key, source_url=devnet.source_url
    ).configurable_fields(
        model=ConfigurableField(id="model"), temperature=ConfigurableField(id="warmth")
    )
    config = {"configurable": {"model": "gonka/test-model", "warmth": 0.3}}
    chat.invoke("q", config)
    (request,) = [r for h in devnet.hosts for r in h.requests]
    assert request.json["temperature"] == 0.3


async def test_models_made_for_each_call_share_a_session(devnet):
    """Configurable models are; the network is not discovered anew for each."""
    chat = ChatGonka(
        model="gonka/test-model", private_key=devnet.private_key, source_url=devnet.source_url
    ).configurable_fields(model=ConfigurableField(id="model"))
    made = []
    for _ in range(3):
        model, config = chat.prepare({"configurable": {"model": "gonka/test-model"}})
        await model.ainvoke("q", config)
        made.append(weakref.ref(model.session))
        del model
        gc.collect()
    assert made[0]() is made[1]() is made[2]() is not None


def test_lingering():
    """Held for a while after each use, and no more than some."""
    now = [0.0]
    kept = Lingering[Any](seconds=10.0, limit=2, clock=lambda: now[0])
    kept._thread = threading.current_thread()  # the sweeps are this test's
    things = [type("Thing", (), {})() for _ in range(3)]
    gone = [weakref.ref(thing) for thing in things]
    for thing in things:
        kept.hold(thing)
        now[0] += 1.0
    kept.hold(things[1])
    del thing, things
    assert [ref() is None for ref in gone] == [True, False, False]
    assert kept.sweep() == 9.0
    now[0] = 12.0
    assert kept.sweep() == 1.0
    assert [ref() is None for ref in gone] == [True, False, True]
    kept.release(gone[1]())
    assert gone[1]() is None
    assert kept.sweep() is None
    thing = type("Thing", (), {})()
    gone = weakref.ref(thing)
    kept.hold(thing)
    del thing
    kept.clear()
    assert gone() is None


def test_lingering_ends_by_itself():
    kept = Lingering[Any](seconds=0.01, limit=2)
    thing = type("Thing", (), {})()
    gone = weakref.ref(thing)
    kept.hold(thing)
    thread = kept._thread
    del thing
    thread.join(10)
    assert not thread.is_alive()
    assert gone() is None


def test_a_profile_follows_the_model():
    chat = ChatGonka(model="moonshotai/Kimi-K2.6", **{n: HERE[n] for n in ("private_key",)})
    assert chat.profile["max_input_tokens"] == 240_000
    assert chat.profile["tool_calling"]
    assert chat.profile["reasoning_output"]
    assert (
        chat.model_copy(update={"model": "MiniMaxAI/MiniMax-M2.7"}).profile["max_input_tokens"]
        == 180_000
    )
    assert chat.model_copy(update={"model": "unknown"}).profile is None
    configured = chat.configurable_fields(model=ConfigurableField(id="m"))
    made, _ = configured.prepare({"configurable": {"m": "MiniMaxAI/MiniMax-M2.7"}})
    assert made.profile["max_input_tokens"] == 180_000
    own = ChatGonka(model="moonshotai/Kimi-K2.6", profile={"max_input_tokens": 7})
    assert own.model_copy(update={"model": "unknown"}).profile == {"max_input_tokens": 7}
    pictures = ChatGonka(model="moonshotai/Kimi-K2.6", input_modalities=("text", "image"))
    assert pictures.profile["image_inputs"]


def test_changing_the_connection_changes_the_session():
    chat = ChatGonka(**HERE)
    session, config = chat.session, chat.config
    other = chat.model_copy(update={"timeout": 5.0})
    assert other.config.timeout == 5.0
    assert other.session is not session
    assert chat.config is config
    chat.source_url = "http://127.0.0.1:2"
    assert chat.config.source_url == ("http://127.0.0.1:2",)
    assert chat.session is not session
    chat.temperature = 0.5
    assert chat.config.source_url == ("http://127.0.0.1:2",)


def test_a_change_that_is_refused_changes_nothing():
    chat = ChatGonka(**HERE, timeout=9)
    with pytest.raises(GonkaConfigError, match="timeout"):
        chat.timeout = -1
    with pytest.raises(GonkaConfigError, match="max_retries"):
        chat.model_copy(update={"max_retries": -1})
    assert (chat.timeout, chat.config.timeout) == (9, 9.0)


def test_copies_share_the_session_and_not_the_data():
    chat = ChatGonka(**HERE, model_kwargs={"a": {"b": 1}}, stop=["x"])
    session = chat.session
    for made in (
        chat.model_copy(),
        copy.copy(chat),
        copy.deepcopy(chat),
        chat.model_copy(deep=True),
    ):
        assert made.session is session
        assert made == chat
    deep = copy.deepcopy(chat)
    deep.model_kwargs["a"]["b"] = 2
    deep.stop.append("y")
    assert chat.model_kwargs == {"a": {"b": 1}}
    assert chat.stop == ["x"]


# Pickles and secrets.


def test_pickles(model):
    """A model that has been used can be sent to another process and used there."""
    chat = model(temperature=0.5)
    chat.invoke("q")
    loaded = pickle.loads(pickle.dumps(chat))
    assert loaded.temperature == 0.5
    assert loaded.session is chat.session
    assert loaded.invoke("q").content == "You said: q"
    bound = pickle.loads(pickle.dumps(chat.bind(stop=["x"])))
    assert bound.invoke("q").content == "You said: q"


def test_a_key_of_the_environment_is_not_pickled(monkeypatch):
    monkeypatch.setenv("GONKA_PRIVATE_KEY", KEY)
    monkeypatch.setenv("GONKA_BROKER_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("GONKA_BROKER_API_KEY", "broker-secret")
    chat = ChatGonka(model="m", source_url=SOURCE)
    given = {n: v for n, v in chat.__dict__.items() if n in ChatGonka.model_fields}
    for made in (chat, ChatGonka(**given)):
        data = pickle.dumps(made)
        assert KEY[2:].encode() not in data
        assert b"broker-secret" not in data
        monkeypatch.setenv("GONKA_BROKER_API_KEY", "another")
        assert pickle.loads(data).api_key.get_secret_value() == "another"
        monkeypatch.setenv("GONKA_BROKER_API_KEY", "broker-secret")
    monkeypatch.delenv("GONKA_PRIVATE_KEY")
    assert pickle.loads(pickle.dumps(ChatGonka(**HERE))).private_key.get_secret_value() == KEY


def test_a_session_is_pickled_as_its_configuration():
    config = GonkaConfig(model="m", source_url=SOURCE, private_key=KEY)
    with GonkaSession(config) as session:
        loaded = pickle.loads(pickle.dumps(ChatGonka(session=session)))
    assert loaded.config == config


SECRETS = {
    "private_key": KEY,
    "gateways": [{"base_url": "http://127.0.0.1:1/v1", "api_key": "gateway-secret"}],
    "fallbacks": [{"base_url": "http://127.0.0.1:2/v1", "api_key": "provider-secret"}],
    "default_headers": {"X-Secret": "header-secret"},
}


def test_secrets_are_shown_nowhere(caplog, devnet):
    caplog.set_level(logging.DEBUG)
    chats = [
        ChatGonka(model="m", source_url=SOURCE, **SECRETS),
        ChatGonka(model="m", base_url="http://127.0.0.1:1/v1;url-secret", max_retries=0),
        ChatGonka(model="m", base_url="http://127.0.0.1:1/v1", api_key="key-secret", max_retries=0),
    ]
    shown = []
    for chat in chats:
        shown += [repr(chat), str(chat), dumps(chat), chat._get_llm_string(), str(chat._serialized)]
        shown += [str(chat.model_dump()), chat.model_dump_json(), str(chat._get_ls_params())]
        shown += [repr(chat.config), repr(chat.__dict__), repr(chat.bind_tools([]))]
        try:
            chat.invoke("q")
        except GonkaError as error:
            trace = traceback.TracebackException.from_exception(error, capture_locals=True)
            shown += trace.format()
    shown += [record.getMessage() for record in caplog.records]
    for text in shown:
        assert "-secret" not in text
        assert KEY[2:] not in text


def test_a_key_behind_a_url():
    """`url;key` is a gateway with its key; only the gateway's configuration has it."""
    chat = ChatGonka(model="m", base_url="http://127.0.0.1:1/v1;url-secret")
    assert (
        chat.config
        == ChatGonka(model="m", base_url="http://127.0.0.1:1/v1", api_key="url-secret").config
    )
    chat.base_url = "http://127.0.0.1:2/v1;url-secret"
    assert chat.config.gateways[0].base_url == "http://127.0.0.1:2/v1"


def test_repr_shows_what_was_set():
    assert repr(ChatGonka(**HERE)) == f"ChatGonka(model='m', source_url='{SOURCE}')"


# Its end.


async def test_closing_leaves_others_their_session(devnet, model):
    """Who shares a session goes on, kept up to date: a closed one begins anew."""
    first, second = model(), model()
    first.invoke("q")
    second.invoke("q")
    first.close()
    await first.aclose()
    assert first.session is second.session
    assert (await second.ainvoke("q")).content == "You said: q"
    devnet.advance_epoch()
    second.session.refresh()
    assert second.invoke("q").response_metadata["gonka"]["epoch"] == 2


async def test_closing(devnet: Devnet, model):
    """A closed model can be used again; connections are made anew."""
    with model() as chat:
        chat.invoke("q")
    assert chat.invoke("q").content == "You said: q"
    async with model() as chat:
        await chat.ainvoke("q")
    assert (await chat.ainvoke("q")).content == "You said: q"
    await chat.aclose()
    chat.close()
    chat.close()


def test_tokens_are_counted_offline():
    chat = ChatGonka(**HERE)
    text = "The quick brown fox jumps over the lazy dog, 1234 times; 你好."
    assert 12 <= chat.get_num_tokens(text) <= 25
    assert len(chat.get_token_ids(text)) == chat.get_num_tokens(text)
    small = chat.get_num_tokens_from_messages(_messages("hi"))
    tools = [{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}]
    assert 4 < small < 10
    assert chat.get_num_tokens_from_messages(_messages("hi"), tools=tools) > small + 10
    exact = ChatGonka(**HERE, custom_get_token_ids=lambda text: [1] * len(text))
    assert exact.get_num_tokens("four") == 4
    assert exact.get_token_ids("four") == [1] * 4


def _messages(text):
    from langchain_core.messages import HumanMessage

    return [HumanMessage(text)]
