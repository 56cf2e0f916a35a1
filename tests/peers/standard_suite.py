"""LangChain's standard suite for the peer that PEER names, run by test_standard_suite.

Each test has an event loop of its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from peer_models import NAMES, NOWHERE, PEERS
from peer_server import PeerServer, serving

NAME = os.environ["PEER"]
MAKE = PEERS[NAMES.index(NAME)]

pytestmark = pytest.mark.usefixtures("nothing_downloaded")


@pytest.fixture(scope="module")
def suite_server() -> Iterator[PeerServer]:
    with serving() as running:
        yield running


class TestPeer(ChatModelIntegrationTests):
    """With the flags of ChatGonka's own run."""

    url = NOWHERE
    supports_json_mode = True
    supports_image_inputs = True
    supports_image_urls = True
    supports_pdf_inputs = True
    supports_audio_inputs = True
    supports_image_tool_message = True
    supports_pdf_tool_message = True
    supports_anthropic_inputs = True

    @pytest.fixture(autouse=True)
    def _connect(self, suite_server: PeerServer) -> None:
        type(self).url = suite_server.url

    @property
    def chat_model_class(self) -> type[Any]:
        return type(MAKE(self.url))

    @property
    def chat_model_params(self) -> dict[str, Any]:
        if NAME == "ChatLiteLLM":
            return {"model": "openai/m", "api_base": f"{self.url}/v1", "api_key": "k"}
        base = self.url if NAME == "ChatGroq" else f"{self.url}/v1"
        return {"model": "m", "base_url": base, "api_key": "k"}

    @property
    def model_override_value(self) -> str:
        return "openai/other" if NAME == "ChatLiteLLM" else "other"
