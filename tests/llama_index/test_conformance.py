"""The tests for users pass against the local network, by each of the ways to reach it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gonka_integrations.devnet import Devnet
from gonka_integrations.devnet.real_model import RealModel, default_cache
from gonka_integrations.devnet.upstream import UpstreamEngine
from gonka_integrations.llama_index import GonkaLLM
from gonka_integrations.testing.llama_index import LLMConformance

MODEL = "gonka/test-model"


class TestParticipants(LLMConformance):
    """By signed requests."""

    @pytest.fixture
    def llm(self, make: Any) -> GonkaLLM:
        return make()


class TestGateway(LLMConformance):
    """By a gateway."""

    @pytest.fixture
    def llm(self, at_gateway: GonkaLLM) -> GonkaLLM:
        return at_gateway


class TestProvider(LLMConformance):
    """By any provider."""

    @pytest.fixture
    def llm(self, net: Devnet) -> GonkaLLM:
        place = {"base_url": net.provider.base_url, "api_key": net.provider.api_key}
        return GonkaLLM(MODEL, fallbacks=[place])


@pytest.mark.real_model
@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None
    or not (default_cache() / "SmolLM2-135M-Instruct.Q4_1.gguf").is_file(),
    reason="the real model is not here; `make demo` fetches it",
)
class TestRealModel(LLMConformance):
    """A real, very small model, through signed hosts. It is too small to call tools."""

    has_tools = False
    max_tokens = 24

    @pytest.fixture(scope="class")
    @staticmethod
    def real() -> Iterator[Devnet]:
        with RealModel() as model:
            engine = UpstreamEngine(model.base_url, model=model.name)
            with Devnet(hosts=2, gateways=0, models=(model.name,), engine=engine) as net:
                yield net

    @pytest.fixture
    def llm(self, real: Devnet) -> GonkaLLM:
        return GonkaLLM(
            real.models[0],
            source_url=real.source_url,
            private_key=real.private_key,
            max_tokens=64,
            temperature=0.0,
        )


def test_users_can_run_them_against_their_endpoint(net: Devnet) -> None:
    environment = {
        "GONKA_BROKER_URL": net.gateway.base_url,
        "GONKA_BROKER_API_KEY": net.gateway.api_key,
        "GONKA_MODEL": MODEL,
        "PATH": "",
    }
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
        "--pyargs", "gonka_integrations.testing.llama_index",
        "-k", "TestEnvironment and (test_who_served or test_metadata)",
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 passed" in done.stdout


def test_without_an_endpoint_they_are_skipped() -> None:
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
        "--pyargs", "gonka_integrations.testing.llama_index", "-k", "test_metadata",
    ]  # fmt: skip
    done = subprocess.run(command, env={"PATH": ""}, capture_output=True, text=True, check=False)

    assert "skipped" in done.stdout, done.stdout + done.stderr


def test_the_frameworks_namespace_has_it_too() -> None:
    program = (
        "from llama_index.llms.gonka import GonkaLLM, GonkaFailoverEvent\n"
        "import gonka_integrations, llama_index.core\n"
        "assert GonkaLLM is gonka_integrations.GonkaLLM\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": "namespace:.", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_importing_the_package_does_not_import_the_framework() -> None:
    program = (
        "import sys, gonka_integrations\n"
        "assert 'GonkaLLM' in dir(gonka_integrations)\n"
        "assert not {'llama_index', 'openai', 'langchain_core'} & set(sys.modules)\n"
        "gonka_integrations.GonkaLLM\n"
        "assert 'llama_index.core' in sys.modules\n"
        "assert not {'openai', 'langchain_core'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ".", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
