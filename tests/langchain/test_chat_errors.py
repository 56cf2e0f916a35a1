"""Errors: each is our kind, the SDK's kind and LangChain's kind at once."""

# ruff: noqa: E501 - tables read better with a case on a line
from __future__ import annotations

import openai
import pytest
from langchain_core import exceptions as lc

from gonka_integrations import errors
from gonka_integrations._langchain.errors import as_model_error
from gonka_integrations.devnet import Devnet, Fault

CASES = {
    "400": (Fault("status", status=400, body={"error": {"message": "bad"}}),
            errors.GonkaBadRequestError, openai.BadRequestError, lc.ModelInvalidRequestError, False),
    "overflow": (Fault("status", body="c400-vllm"),
                 errors.GonkaBadRequestError, openai.BadRequestError, lc.ContextOverflowError, False),
    "401": (Fault("status", body="c401-badsig"),
            errors.GonkaAuthenticationError, openai.AuthenticationError, lc.ModelAuthenticationError, False),
    "402": (Fault("status", body="c402"),
            errors.GonkaInsufficientBalanceError, openai.APIStatusError, lc.ModelError, False),
    "403": (Fault("status", status=403, body={"error": "no"}),
            errors.GonkaPermissionDeniedError, openai.PermissionDeniedError, lc.ModelPermissionDeniedError, False),
    "410": (Fault("status", body="c410-chat"),
            errors.GonkaClassicInferenceGoneError, openai.APIStatusError, lc.ModelError, False),
    "429": (Fault("status", body="c429"),
            errors.GonkaRateLimitError, openai.RateLimitError, lc.ModelRateLimitError, True),
    "500": (Fault("status", status=500, body={"error": "boom"}),
            errors.GonkaServerError, openai.InternalServerError, lc.ModelAPIError, True),
    "no account": (Fault("status", body="c500-unknown-account"),
                   errors.GonkaServerError, openai.InternalServerError, lc.ModelAPIError, False),
    "refused": (Fault("refuse"),
                errors.GonkaEndpointsExhaustedError, openai.APIConnectionError, lc.ModelConnectionError, True),
    "html": (Fault("html", status=502),
             errors.GonkaServerError, openai.InternalServerError, lc.ModelAPIError, True),
}  # fmt: skip


@pytest.fixture(params=["invoke", "ainvoke", "stream", "astream"])
def call(request):
    """The four ways of asking."""

    async def ask(chat, prompt="q"):
        if request.param == "invoke":
            return chat.invoke(prompt)
        if request.param == "ainvoke":
            return await chat.ainvoke(prompt)
        if request.param == "stream":
            return list(chat.stream(prompt))
        return [chunk async for chunk in chat.astream(prompt)]

    return ask


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_kinds(devnet: Devnet, model, call, case):
    fault, ours, sdk, langchains, retryable = case
    chat = model(max_retries=0)
    for host in devnet.hosts[1:]:
        host.fault = fault
    devnet.hosts[0].fault = fault if fault.kind != "refuse" else Fault("reset")
    with pytest.raises(ours) as raised:
        await call(chat)
    error = raised.value
    assert isinstance(error, sdk)
    assert isinstance(error, langchains)
    assert error.is_retryable is retryable
    assert error.attempts
    assert type(error.__cause__) is not type(error)


async def test_no_such_model(model, call):
    with pytest.raises(errors.GonkaModelNotServedError) as raised:
        await call(model(model="unknown/model"))
    assert isinstance(raised.value, lc.ModelNotFoundError)
    assert raised.value.served == ("gonka/test-model",)


async def test_the_deadline(devnet, model, call):
    for host in devnet.hosts:
        host.fault = Fault("hang")
    with pytest.raises(errors.GonkaTimeoutError) as raised:
        await call(model(timeout=0.3))
    assert isinstance(raised.value, lc.ModelTimeoutError)
    assert isinstance(raised.value, openai.APITimeoutError)
    assert raised.value.is_retryable


async def test_the_network_cannot_be_read(devnet, model):
    devnet.hosts[0].kill()
    with pytest.raises(errors.GonkaDiscoveryError) as raised:
        await model().ainvoke("q")
    assert isinstance(raised.value, lc.ModelConnectionError)


async def test_a_call_that_cannot_be_sent(model, call):
    """Wrong input is not worth trying again, which middleware asks."""
    with pytest.raises(errors.GonkaConfigError) as raised:
        await call(model(thinking=True))
    assert isinstance(raised.value, lc.ModelInvalidRequestError)
    assert raised.value.field == "thinking"
    assert raised.value.is_retryable is False


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", "5"), ("idle_timeout", 0), ("max_retries", -1), ("hedge_after", True)],
)
async def test_an_option_of_a_call_that_is_wrong(model, call, name, value):
    with pytest.raises(errors.GonkaConfigError, match=name) as raised:
        await call(model().bind(**{name: value}))
    assert raised.value.field == name
    assert isinstance(raised.value, lc.ModelInvalidRequestError)


def test_a_broken_stream(devnet, model):
    for host in devnet.hosts:
        host.fault = Fault("cut", after_tokens=2)
    with pytest.raises(errors.StreamInterruptedError) as raised:
        list(model().stream("a b c"))
    assert isinstance(raised.value, lc.ModelConnectionError)
    assert raised.value.partial_text == "You said:"


def test_narrower_errors_stay_what_they_are():
    """The check of a proof that failed is still told by its class."""
    from gonka_integrations.proof.errors import StaleEpoch

    made = as_model_error(StaleEpoch.__new__(StaleEpoch, "old"))
    assert isinstance(made, StaleEpoch)
    assert isinstance(made, lc.ModelError)
    assert as_model_error(made) is made


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
        "{'code': 'context_length_exceeded'}",
        "prompt is too long: 5000 tokens > 4096 maximum",
    ],
)
def test_overflow_in_the_words_of_servers(devnet, model, text):
    for host in devnet.hosts:
        host.fault = Fault("status", status=400, body={"error": {"message": text}})
    with pytest.raises(lc.ContextOverflowError):
        model().invoke("q")


def test_the_call_is_traced_as_failed_without_headers(devnet, model):
    """Handlers see the failure; nothing of the request's headers."""
    from langchain_core.callbacks import BaseCallbackHandler

    seen = []

    class Handler(BaseCallbackHandler):
        def on_llm_error(self, error, **kwargs):
            seen.append((error, str(kwargs.get("response"))))

    for host in devnet.hosts:
        host.fault = Fault("status", status=400, body={"error": "no"}, headers={"X-Echo": "signed"})
    with pytest.raises(errors.GonkaBadRequestError):
        model().invoke("q", config={"callbacks": [Handler()]})
    assert isinstance(seen[0][0], lc.ModelInvalidRequestError)
    assert "signed" not in seen[0][1]
