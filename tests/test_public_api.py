"""The public names: there, sorted, importable, and what the metadata says."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil

import pytest

import gonka_integrations
from gonka_integrations import errors

# The vocabulary of documents that people come with; these names must stay.
KNOWN = {
    "ChatGonka", "EndpointDiscovery", "GonkaClientFactory", "GonkaConfig", "GonkaLLM",
    "GonkaParticipant", "GonkaRegistrationResult", "GonkaSession", "ModelRegistrar", "Multiplexer",
    "MultiplexTransport", "PrivateKey", "RefreshManager", "RefreshResult", "register_gonka_models",
}  # fmt: skip


def test_names_are_sorted_and_complete() -> None:
    assert sorted(gonka_integrations.__all__) == gonka_integrations.__all__
    assert set(gonka_integrations.__all__) >= KNOWN
    assert dir(gonka_integrations) == sorted(gonka_integrations.__all__)
    assert sorted(errors.__all__) == errors.__all__


@pytest.mark.parametrize("name", gonka_integrations.__all__)
def test_each_name_is_importable_and_documented(name: str) -> None:
    value = getattr(gonka_integrations, name)
    if name != "__version__":
        assert value.__name__ == name
        assert inspect.getdoc(value)
        assert value.__module__.startswith("gonka_integrations")


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_is_one_of_ours(name: str) -> None:
    assert issubclass(getattr(errors, name), errors.GonkaError)


def test_unknown_names_are_attribute_errors() -> None:
    for module in (gonka_integrations, errors):
        with pytest.raises(AttributeError, match="no_such_name"):
            module.no_such_name  # noqa: B018


def test_version_is_that_of_the_distribution() -> None:
    assert gonka_integrations.__version__ == importlib.metadata.version("gonka-integrations")


def test_every_module_imports_by_itself_and_keeps_its_promises() -> None:
    for found in pkgutil.walk_packages(gonka_integrations.__path__, "gonka_integrations."):
        if found.name.endswith("__main__"):
            continue
        try:
            module = importlib.import_module(found.name)
        except ModuleNotFoundError as missing:
            if (missing.name or "").startswith("gonka_integrations"):
                raise
            continue  # of an extra that is not installed
        assert module.__doc__, f"{found.name} says nothing about itself"
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.{name}"
