"""What users write, as mypy --strict sees it. Checked, never run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_type

import openai
from pydantic import SecretStr

from gonka_integrations import (
    ChatGonka,
    EndpointDiscovery,
    GonkaClientFactory,
    GonkaConfig,
    GonkaLLM,
    GonkaParticipant,
    GonkaRegistrationResult,
    GonkaSession,
    Multiplexer,
    MultiplexTransport,
    ParticipantSet,
    PrivateKey,
    StreamInterruptedError,
    register_gonka_models,
)
from gonka_integrations.core.chat import AttemptRecord, CallOptions, ChatStream, Completion
from gonka_integrations.errors import GonkaCallError, GonkaRateLimitError, GonkaStatusError


def configuration() -> GonkaConfig:
    config = GonkaConfig(
        private_key="00" * 32,
        source_url=["http://a:8000", "http://b:8000"],
        gateways=[{"base_url": "https://gateway.example/v1", "api_key": "key"}],
        fallbacks=[{"base_url": "https://api.example/v1", "models": {"ours": "theirs"}}],
        timeout=30,
    )
    assert_type(config.timeout, float)
    assert_type(config.source_url, tuple[str, ...])
    assert_type(config.private_key, PrivateKey | None)
    return GonkaConfig.build(config, model="m")


def sessions(config: GonkaConfig) -> None:
    def failed_over(record: AttemptRecord) -> None:
        assert_type(record.status, int | None)

    def changed(old: int | None, new: int, hosts: Sequence[GonkaParticipant]) -> None:
        assert_type(hosts[0].weight, int)

    with GonkaSession.shared(config) as session:
        session.on_failover(failed_over)
        session.on_epoch_change(changed)
        assert_type(session.stats(), dict[str, Any])
        answer = session.chat.complete({"model": "m", "messages": []}, CallOptions(timeout=1))
        assert_type(answer, Completion)
        with session.chat.stream({"model": "m", "messages": []}) as stream:
            assert_type(stream, ChatStream)
            for chunk in stream:
                assert_type(chunk, dict[str, Any])


async def asynchronous(config: GonkaConfig) -> None:
    async with GonkaSession(config) as session:
        assert_type(await session.chat.acomplete({}), Completion)
        async for chunk in await session.chat.astream({}):
            assert_type(chunk, dict[str, Any])


def clients(participant: GonkaParticipant, session: GonkaSession) -> None:
    factory = GonkaClientFactory("00" * 32)
    assert_type(factory.create_client(participant), openai.OpenAI)
    assert_type(factory.create_async_client(), openai.AsyncOpenAI)
    MultiplexTransport(session)


def reads() -> None:
    discovery = EndpointDiscovery("http://a:8000", timeout=5)
    assert_type(discovery.discover(), ParticipantSet)
    assert_type(discovery.discover_for_epoch(7).participants[0].address, str)


def multiplexed(client: openai.OpenAI) -> None:
    with Multiplexer() as mux:
        mux.add_model(client, 1, "m", max_concurrent=3)
        mux.add_fallback_model(client, 1, "m", wire_name="theirs")
        result = register_gonka_models(mux, source_url="http://a:8000", private_key="00" * 32)
        assert_type(result, GonkaRegistrationResult)
        assert_type(mux.remove_model("m"), int)


def errors(session: GonkaSession) -> None:
    try:
        session.chat.complete({})
    except GonkaRateLimitError as error:
        assert_type(error.attempts, list[AttemptRecord])
        limited: openai.RateLimitError = error
        raise limited from None
    except GonkaStatusError as error:
        answered: openai.APIStatusError = error
        assert_type(answered.status_code, int)
    except StreamInterruptedError as error:
        assert_type(error.partial_text, str)
    except GonkaCallError as error:
        basic: openai.OpenAIError = error
        raise basic from None


def wrappers() -> None:
    chat = ChatGonka(
        model="m",
        base_url="https://gateway.example/v1",
        api_key="key",
        default_headers={"X-Title": "app"},
        fallbacks=[{"base_url": "https://api.example/v1", "models": {"m": "theirs"}}],
        profile={"max_input_tokens": 1000},
    )
    assert_type(chat.api_key, SecretStr | None)
    ChatGonka(model_name="m", max_completion_tokens=9, api_key=SecretStr("key"))
    ChatGonka(config=configuration(), private_key="00" * 32, stop_sequences=["."])
    assert_type(str(chat.invoke("Hello").text), str)
    llm = GonkaLLM(model="m", base_url="https://gateway.example/v1", api_key="key")
    assert_type(llm.complete("Hello").text, str)
