"""The Gonka decentralized LLM network behind LangChain and LlamaIndex.

    from gonka_integrations import ChatGonka      # LangChain
    from gonka_integrations import GonkaLLM       # LlamaIndex

Importing this package imports neither framework and not the openai SDK; each public name is
loaded when it is first used.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .config import GonkaConfig
    from .core.client_factory import GonkaClientFactory
    from .core.discovery import EndpointDiscovery
    from .core.keys import PrivateKey
    from .core.multiplexer import Multiplexer
    from .core.participants import GonkaParticipant, ParticipantSet
    from .core.refresh import RefreshManager, RefreshResult
    from .core.registrar import GonkaRegistrationResult, ModelRegistrar, register_gonka_models
    from .core.session import GonkaSession
    from .core.transport import AsyncMultiplexTransport, MultiplexTransport
    from .errors import (
        GonkaCallError,
        GonkaClientError,
        GonkaConfigError,
        GonkaDiscoveryError,
        GonkaError,
        GonkaNoParticipantsError,
        GonkaProofVerificationError,
        GonkaRefreshError,
        GonkaRegistrationError,
        StreamInterruptedError,
    )
    from .langchain import ChatGonka
    from .llama_index import GonkaLLM

_HOMES = {
    "AsyncMultiplexTransport": "core.transport",
    "ChatGonka": "langchain",
    "EndpointDiscovery": "core.discovery",
    "GonkaCallError": "errors",
    "GonkaClientError": "errors",
    "GonkaClientFactory": "core.client_factory",
    "GonkaConfig": "config",
    "GonkaConfigError": "errors",
    "GonkaDiscoveryError": "errors",
    "GonkaError": "errors",
    "GonkaLLM": "llama_index",
    "GonkaNoParticipantsError": "errors",
    "GonkaParticipant": "core.participants",
    "GonkaProofVerificationError": "errors",
    "GonkaRefreshError": "errors",
    "GonkaRegistrationError": "errors",
    "GonkaRegistrationResult": "core.registrar",
    "GonkaSession": "core.session",
    "ModelRegistrar": "core.registrar",
    "MultiplexTransport": "core.transport",
    "Multiplexer": "core.multiplexer",
    "ParticipantSet": "core.participants",
    "PrivateKey": "core.keys",
    "RefreshManager": "core.refresh",
    "RefreshResult": "core.refresh",
    "StreamInterruptedError": "errors",
    "register_gonka_models": "core.registrar",
}

__all__ = [
    "AsyncMultiplexTransport",
    "ChatGonka",
    "EndpointDiscovery",
    "GonkaCallError",
    "GonkaClientError",
    "GonkaClientFactory",
    "GonkaConfig",
    "GonkaConfigError",
    "GonkaDiscoveryError",
    "GonkaError",
    "GonkaLLM",
    "GonkaNoParticipantsError",
    "GonkaParticipant",
    "GonkaProofVerificationError",
    "GonkaRefreshError",
    "GonkaRegistrationError",
    "GonkaRegistrationResult",
    "GonkaSession",
    "ModelRegistrar",
    "MultiplexTransport",
    "Multiplexer",
    "ParticipantSet",
    "PrivateKey",
    "RefreshManager",
    "RefreshResult",
    "StreamInterruptedError",
    "__version__",
    "register_gonka_models",
]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
