"""LangChain's standard unit suite, by both routes."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_tests.unit_tests import ChatModelUnitTests

from gonka_integrations import ChatGonka

KEY = "0x" + "11" * 32
MODEL = "gonka/test-model"


class _Unit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatGonka

    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True
    supports_json_mode = True


class TestUnitBare(_Unit):
    """Nothing but a model: it can be made, and says what it lacks when it is called."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": MODEL}


class TestUnitParticipants(_Unit):
    """Signed requests to participants."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": MODEL, "private_key": KEY, "source_url": "http://127.0.0.1:1"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {"GONKA_PRIVATE_KEY": KEY, "GONKA_SOURCE_URL": "http://127.0.0.1:1"}
        expected = {"private_key": KEY, "source_url": "http://127.0.0.1:1"}
        return environment, {"model": MODEL}, expected


class TestUnitGateway(_Unit):
    """A gateway with a key."""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": MODEL, "base_url": "http://127.0.0.1:1/v1"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        environment = {
            "GONKA_MODEL": MODEL,
            "GONKA_BROKER_URL": "http://127.0.0.1:1/v1",
            "GONKA_BROKER_API_KEY": "secret",
        }
        expected = {"model": MODEL, "base_url": "http://127.0.0.1:1/v1", "api_key": "secret"}
        return environment, {}, expected
