"""Errors, settings and the life of other packages' models, as docs/langchain.md has them."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import test_peers
from langchain.chat_models import init_chat_model
from langchain_core import exceptions as lc
from langchain_core.runnables import ConfigurableField, RunnableLambda
from peer_models import NOWHERE, SAID, cells, failure, litellm, yes

from gonka_integrations.devnet import Reply, scripted

pytestmark = pytest.mark.filterwarnings("ignore")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "langchain.md"
LIMIT = 0.3  # seconds


def is_litellm(chat: Any) -> bool:
    return isinstance(chat, litellm.ChatLiteLLM)


# Errors and time.


@cells("yes", "no", "yes", "no")
def test_model_errors(model, cell, server):
    server.responder = lambda _: Reply(error=(401, "no such key"))
    error = failure(lambda: model(max_retries=0).invoke("q"))
    assert error is not None
    assert yes(isinstance(error, lc.ModelAuthenticationError)) == cell


@cells("only OpenAI's code", "no", "only OpenAI's code", "no")
def test_context_overflow(model, cell, server):
    seen = []
    for words in ("code: context_length_exceeded", "maximum context length is 10 tokens"):
        server.responder = lambda _, words=words: Reply(error=(400, words))
        error = failure(lambda: model(max_retries=0).invoke("q"))
        assert error is not None
        seen.append(isinstance(error, lc.ContextOverflowError))
    outcomes = {(True, True): "yes", (True, False): "only OpenAI's code", (False, False): "no"}
    assert outcomes[tuple(seen)] == cell


@cells("timeout; async one of its own", "timeout", "timeout; async one of its own", "timeout")
async def test_silence(model, cell, server):
    """A time for reads bounds every wait; some have one for the time between pieces."""
    server.silent_after = 3
    named = "request_timeout" if is_litellm(model()) else "timeout"
    chat = model(max_retries=0, **{named: LIMIT})
    assert await asyncio.to_thread(failure, lambda: list(chat.stream("one two three")))
    assert await _tells_silence(chat)
    assert hasattr(chat, "stream_chunk_timeout") == ("one of its own" in cell)
    if "one of its own" in cell:
        chat = model(max_retries=0, stream_chunk_timeout=LIMIT)
        assert await _tells_silence(chat)


async def _tells_silence(chat: Any) -> bool:
    try:
        async with asyncio.timeout(10):
            async for _ in chat.astream("one two three"):
                pass
    except Exception as error:  # noqa: BLE001 - each package has its own
        return type(error) is not TimeoutError
    return False


@cells("2, by the SDK", "2, by the SDK", "2, by the SDK", "2, whatever is set")
def test_retries(model, cell, server):
    server.responder = lambda _: Reply(error=(503, "busy"))
    asked = []
    for more in ({}, {"max_retries": 0}):
        before = len(server.requests)
        assert failure(lambda more=more: model(**more).invoke("q"))
        asked.append(len(server.requests) - before)
    assert {(3, 1): "2, by the SDK", (3, 3): "2, whatever is set"}[tuple(asked)] == cell


@cells("no", "no", "no", "router only")
def test_failover(model, cell, server):
    """Neither to another endpoint nor to another provider, but for LiteLLM's router."""
    assert failure(lambda: model(max_retries=0, **_address(model, NOWHERE)).invoke("q"))
    if cell == "router only":
        assert _routed(server.url).invoke("q").content == "You said: q"


def _routed(url: str) -> Any:
    """A model of LiteLLM's router, which has a dead endpoint and one that serves."""
    from litellm import Router

    given = {"model": "openai/m", "api_key": "k"}
    dead = {"model_name": "dead", "litellm_params": {**given, "api_base": f"{NOWHERE}/v1"}}
    live = {"model_name": "m", "litellm_params": {**given, "api_base": f"{url}/v1"}}
    router = Router(model_list=[dead, live], fallbacks=[{"dead": ["m"]}], num_retries=0)
    return litellm.ChatLiteLLMRouter(router=router, model="dead")


def _address(model: Any, url: str) -> dict[str, str]:
    return {"api_base" if is_litellm(model()) else "base_url": url}


@cells("no", "no", "no", "yes")
def test_broken_streams(model, cell, server):
    """The error has what came."""
    server.cut_after = 4
    error = failure(lambda: list(model(max_retries=0).stream("one two three")))
    assert error is not None
    assert yes("You said: one" in str(vars(error))) == cell


@cells("headers, opt-in", "no", "headers, opt-in", "router: model id")
def test_served_by(model, cell, server):
    assert "headers" not in model().invoke("q").response_metadata
    told: dict[str, Any] = {}
    failure(lambda: told.update(_with_headers(model)))
    found = "headers, opt-in" if "headers" in told else "no"
    if is_litellm(model()) and _routed(server.url).invoke("q").response_metadata["model_id"]:
        found = found.replace("no", "router: model id")
    assert found == cell


def _with_headers(model: Any) -> dict[str, Any]:
    return model(include_response_headers=True).invoke("q").response_metadata


@cells("no")
async def test_custom_events(model, cell, server):
    """Of an attempt that failed, where another is made."""
    errors = [Reply(error=(503, "busy"))]
    server.responder = lambda request: errors.pop() if errors else scripted(request)
    chat = model()
    chain = RunnableLambda(lambda text: text) | chat
    seen = [event["event"] async for event in chain.astream_events("q", version="v2")]
    assert len(server.requests) == 2
    assert yes("on_custom_event" in seen) == cell


# Settings.


@cells("yes", "yes", "yes", "no")
def test_profile(peer, cell):
    known = {
        "ChatOpenAI": "gpt-4o",
        "ChatGroq": "llama-3.1-8b-instant",
        "ChatDeepSeek": "deepseek-v4-pro",
        "ChatLiteLLM": "openai/gpt-4o",
    }
    name = known[type(peer(NOWHERE)).__name__]
    own = peer(NOWHERE, model=name, profile={"max_input_tokens": 7})
    assert own.profile == {"max_input_tokens": 7}
    assert yes((peer(NOWHERE, model=name).profile or {}).get("max_input_tokens")) == cell


@cells("no: model_name", "no: model_name", "no: model_name", "yes")
def test_configurable_fields(model, cell, server):
    def ask(name: str) -> str:
        chat = model().configurable_fields(**{name: ConfigurableField(id="x")})
        chat.invoke("q", {"configurable": {"x": "openai/other"}})
        return server.last["model"]

    error = failure(lambda: ask("model"))
    if cell == "no: model_name":
        assert ask("model_name") == "openai/other"
    else:
        assert ask("model") == "other"
    assert yes(error is None, "no: model_name") == cell


@cells("no", "no", "yes", "yes")
def test_cache_key_of_a_copy(model, cell):
    chat = model()
    keys = {chat._get_llm_string()}
    name = "model" if is_litellm(chat) else "model_name"
    for change in ({name: "openai/other"}, {"temperature": 0.123}):
        keys.add(chat.model_copy(update=change)._get_llm_string())
    assert yes(len(keys) == 3) == cell


@cells("yes", "yes", "no", "no")
def test_serialisation(model, cell):
    assert yes(model().is_lc_serializable()) == cell


@cells("headers shown", "headers shown", "headers shown", "plain text, not shown")
def test_secrets(model, cell):
    name = "extra_headers" if is_litellm(model()) else "default_headers"
    chat = model(api_key="k-secret", **{name: {"X-A": "h-secret"}})
    assert "k-secret" not in repr(chat)
    plain = "k-secret" in str(vars(chat))
    found = "headers shown" if "h-secret" in repr(chat) else "hidden"
    assert (found, plain) == (
        ("hidden", True) if cell == "plain text, not shown" else (cell, False)
    )


@cells("no")
def test_pickles(model, cell):
    chat = model()
    for how in (lambda: pickle.loads(pickle.dumps(chat)), lambda: copy.deepcopy(chat)):
        assert yes(failure(how) is None) == cell


@cells("no")
def test_closing(model, cell):
    assert yes(hasattr(model(), "close") or hasattr(model(), "aclose")) == cell


@cells("downloads", "no", "downloads", "no")
def test_token_counting(model, cell, monkeypatch, tmp_path):
    """Without a table that an earlier call may have left, and without transformers."""
    import tiktoken

    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})
    error = failure(lambda: model().get_num_tokens("one two three"))
    assert error is not None
    assert ("no" if isinstance(error, ImportError) else "downloads") == cell


@cells("max_completion_tokens", "max_tokens", "max_tokens", "max_tokens")
def test_name_of_the_limit(model, cell, server):
    model(max_tokens=5).invoke("q")
    assert server.last[cell] == 5


@cells("yes")
def test_parameters(model, cell, server):
    model().bind(n=2, seed=3, logit_bias={"5": 1}).invoke("q")
    sent = server.last
    assert yes((sent["n"], sent["seed"], sent["logit_bias"]) == (2, 3, {"5": 1})) == cell


@cells("yes")
def test_log_probabilities(model, cell):
    found = model().bind(logprobs=True).invoke("q").response_metadata["logprobs"]
    assert yes("You" in str(found)) == cell


@cells("yes", "yes", "yes", "no extra_body")
def test_extra_parameters(model, cell, server):
    headers, own = "default_headers", "user"
    if is_litellm(model()):
        headers, own = "extra_headers", "top_k"  # it drops what it does not send itself
    model(model_kwargs={own: "7"}, **{headers: {"X-A": "1"}}).invoke("q")
    assert server.last[own] == "7"
    assert server.headers[-1]["x-a"] == "1"
    model(extra_body={"top_k": 6}).invoke("q")
    assert yes(server.last.get("top_k") == 6, "no extra_body") == cell


@cells("yes")
def test_init_chat_model(peer, cell):
    made = type(peer(NOWHERE))
    provider = made.__name__.removeprefix("Chat").lower()
    assert yes(type(init_chat_model(f"{provider}:m", api_key="k")) is made) == cell


def test_the_page_says_what_was_found() -> None:
    """Each cell, word by word."""
    row = re.compile(r"^\| [^|]+ \| [^|]+ \| (.+) \| `(test_peers\w*)::(\w+)` \|$", re.MULTILINE)
    rows = row.findall(PAGE.read_text("utf-8"))
    assert {name for _, _, name in rows} == set(SAID)
    for said, module, name in rows:
        assert tuple(said.split(" | ")) == SAID[name], name
        assert hasattr({"test_peers": test_peers}.get(module, sys.modules[__name__]), name)
