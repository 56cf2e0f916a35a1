"""What is known of the network's models.

Gateways report their own output cap as `context_length`, and hosts differ in what they serve, so
prompt sizes cannot be read off the wire; this table holds the documented values. It is a default,
never a gate: unknown names work, and every value can be overridden where it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where a model puts its reasoning: nowhere, in `reasoning_content` / `reasoning` beside the
#: text, or as `<think>…</think>` inside the text.
ReasoningStyle = Literal["none", "field", "inline"]

#: Used where a context window is needed and nothing is known, in tokens. Every model the network
#: has served takes more; a smaller guess would silently cut retrieved context.
DEFAULT_CONTEXT_WINDOW = 128_000

#: Answer length a gateway assumes when the request names none, and its usual cap, in tokens.
GATEWAY_DEFAULT_OUTPUT = 3_072
GATEWAY_MAX_OUTPUT = 4_096


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about one model, as the network serves it.

    Attributes:
        name: Its id on the network; ids are case-sensitive on the wire.
        context_window: Prompt plus answer, in tokens, as registered on chain (`--max-model-len`).
        max_output: Longest answer a gateway lets through, in tokens.
        default_output: Answer length assumed when the request names none, in tokens.
        reasoning: Where its reasoning appears.
        thinking_switch: Name of the `chat_template_kwargs` entry that turns thinking on and off;
            None where the template has no such switch.
        tools: Whether it calls tools.
        input_modalities: Kinds of content it takes: "text", "image", "audio", "video", "file".
    """

    name: str
    context_window: int = DEFAULT_CONTEXT_WINDOW
    max_output: int = GATEWAY_MAX_OUTPUT
    default_output: int = GATEWAY_DEFAULT_OUTPUT
    reasoning: ReasoningStyle = "none"
    thinking_switch: str | None = None
    tools: bool = True
    input_modalities: tuple[str, ...] = ("text",)

    def thinking_fields(self, *, on: bool) -> dict[str, Any] | None:
        """Request fields that turn thinking on or off, None where the model has no switch.

        `chat_template_kwargs` reaches the template through gateways and straight through vLLM.
        """
        if self.thinking_switch is None:
            return None
        return {"chat_template_kwargs": {self.thinking_switch: on}}


# Sources: the network's chat API documents (gonka-ai/gonka, docs/chat-api, one page for each
# model) and the `--max-model-len` of the on-chain model registry, August to October 2026.
# Gateways accept text parts only, whatever the model itself could read.
_TABLE = (
    ModelFacts("MiniMaxAI/MiniMax-M2.7", context_window=180_000, reasoning="inline"),
    ModelFacts(
        "moonshotai/Kimi-K2.6",
        context_window=240_000,
        reasoning="field",
        thinking_switch="thinking",
    ),
    ModelFacts(
        "deepseek-ai/DeepSeek-V4-Flash-0731",
        context_window=400_000,
        reasoning="field",
        thinking_switch="thinking",
    ),
    ModelFacts("zai-org/GLM-5.3-Flash", context_window=400_000, reasoning="field"),
    ModelFacts(
        "zai-org/GLM-5.2-FP8",
        context_window=DEFAULT_CONTEXT_WINDOW,
        reasoning="field",
        thinking_switch="enable_thinking",
    ),
    ModelFacts("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", context_window=128_000),
)


def _keys(name: str) -> Iterable[str]:
    """Spellings a model is looked up by, most specific first."""
    folded = name.strip().casefold().removeprefix("gonka:")
    return (folded, folded.rpartition("/")[2])


def _index(table: Iterable[ModelFacts]) -> dict[str, ModelFacts]:
    return {key: facts for facts in table for key in _keys(facts.name)}


_by_name = _index(_TABLE)


def known_model(
    name: str | None, table: Mapping[str, ModelFacts] | None = None
) -> ModelFacts | None:
    """Facts about *name*, or None when nothing is known.

    Letter case, the organisation before the slash and a leading "gonka:" do not matter: brokers
    spell the same model differently. Entries of *table* (name -> facts) go before the built-in.
    """
    if not name:
        return None
    for index in (_index(table.values()) if table else {}, _by_name):
        for key in _keys(name):
            if key in index:
                return index[key]
    return None


def known_models() -> tuple[ModelFacts, ...]:
    """Every model of the table, in no particular order."""
    return tuple({facts.name: facts for facts in _by_name.values()}.values())


def register_model(facts: ModelFacts) -> None:
    """Add *facts* for this process, in place of what the table said of the same name."""
    _by_name.update(_index((facts,)))
