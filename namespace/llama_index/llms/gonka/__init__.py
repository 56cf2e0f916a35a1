"""GonkaLLM where LlamaIndex users look for it; it lives in `gonka_integrations.llama_index`."""

from gonka_integrations.llama_index import (
    GonkaEpochChangeEvent,
    GonkaFailoverEvent,
    GonkaLLM,
    GonkaStructuredLLM,
    StructuredOutputError,
)

__all__ = [
    "GonkaEpochChangeEvent",
    "GonkaFailoverEvent",
    "GonkaLLM",
    "GonkaStructuredLLM",
    "StructuredOutputError",
]
