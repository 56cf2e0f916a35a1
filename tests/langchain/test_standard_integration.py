"""LangChain's standard integration suite over the devnet, with every flag on, by both routes.

The devnet refuses malformed requests, so passing means that what was sent is right; and each test
has an event loop of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from gonka_integrations import ChatGonka
from gonka_integrations.devnet import Devnet
from gonka_integrations.errors import GonkaConfigError

MODEL, OTHER = "gonka/test-model", "gonka/other-model"

pytestmark = pytest.mark.usefixtures("nothing_downloaded")
text_only = pytest.mark.xfail(
    raises=GonkaConfigError,
    reason="gateways of the network accept text parts only; nothing is sent to them",
)


@pytest.fixture(scope="module")
def network() -> Iterator[Devnet]:
    with Devnet(hosts=3, providers=1, models=(MODEL, OTHER)) as net:
        yield net


class _Integration(ChatModelIntegrationTests):
    network: Devnet

    @pytest.fixture(autouse=True)
    def _connect(self, network: Devnet) -> None:
        type(self).network = network

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatGonka

    @property
    def model_override_value(self) -> str:
        return OTHER

    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supported_usage_metadata_details: Any = {  # noqa: RUF012 - as the suite declares it
        "invoke": ["cache_read_input", "reasoning_output"],
        "stream": ["cache_read_input", "reasoning_output"],
    }

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> Any:
        return self._said("The same beginning. " * 40, stream=stream)

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> Any:
        return self._said("Think.", stream=stream, reasoning_effort="low")

    def _said(self, prompt: str, *, stream: bool, **more: Any) -> Any:
        model = ChatGonka(**self.chat_model_params, **more)
        if not stream:
            return model.invoke(prompt)
        whole = None
        for chunk in model.stream(prompt):
            whole = chunk if whole is None else whole + chunk
        return whole


class TestParticipants(_Integration):
    """Requests signed for participants that were discovered."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        net = self.network
        return {"model": MODEL, "private_key": net.private_key, "source_url": net.source_url}


class TestBlocks(TestParticipants):
    """Content as standard blocks."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**super().chat_model_params, "output_version": "v1"}


class TestProvider(_Integration):
    """An ordinary OpenAI-compatible provider, as the only one of the pool."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        provider = self.network.provider
        known = {"base_url": provider.base_url, "api_key": provider.api_key}
        return {"model": MODEL, "fallbacks": [known]}


class TestGateway(_Integration):
    """A gateway."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        gateway = self.network.gateway
        return {"model": MODEL, "base_url": gateway.base_url, "api_key": gateway.api_key}

    @text_only
    def test_pdf_inputs(self, model: BaseChatModel) -> None:
        super().test_pdf_inputs(model)

    @text_only
    def test_audio_inputs(self, model: BaseChatModel) -> None:
        super().test_audio_inputs(model)

    @text_only
    def test_image_inputs(self, model: BaseChatModel) -> None:
        super().test_image_inputs(model)

    @text_only
    def test_image_tool_message(self, model: BaseChatModel) -> None:
        super().test_image_tool_message(model)

    @text_only
    def test_pdf_tool_message(self, model: BaseChatModel) -> None:
        super().test_pdf_tool_message(model)

    @text_only
    def test_anthropic_inputs(self, model: BaseChatModel) -> None:
        super().test_anthropic_inputs(model)
