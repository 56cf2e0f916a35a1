"""What an answer says about itself, under LangChain's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..core.served import ServedBy

#: `ls_provider` of traces and `model_provider` of messages; they must be equal.
PROVIDER = "gonka"

_CARRIED = ("id", "system_fingerprint", "service_tier", "created")


def usage_of(usage: Mapping[str, Any] | None) -> UsageMetadata | None:
    """Token counts of an answer, with what of them was cached, heard or thought.

    Args:
        usage: `usage` of the protocol; None when the endpoint counted nothing.
    """
    if not usage:
        return None
    prompt, answer = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    counted = UsageMetadata(
        input_tokens=prompt,
        output_tokens=answer,
        total_tokens=_count(usage, "total_tokens") or prompt + answer,
    )
    of_prompt = usage.get("prompt_tokens_details") or {}
    of_answer = usage.get("completion_tokens_details") or {}
    cached = of_prompt.get("cached_tokens")
    heard = InputTokenDetails()
    if cached is None:
        cached = usage.get("prompt_cache_hit_tokens")  # DeepSeek's own name
    if cached is not None:
        heard["cache_read"] = cached
    if of_prompt.get("audio_tokens") is not None:
        heard["audio"] = of_prompt["audio_tokens"]
    said = OutputTokenDetails()
    if of_answer.get("reasoning_tokens") is not None:
        said["reasoning"] = of_answer["reasoning_tokens"]
    if of_answer.get("audio_tokens") is not None:
        said["audio"] = of_answer["audio_tokens"]
    if heard:
        counted["input_token_details"] = heard
    if said:
        counted["output_token_details"] = said
    return counted


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def total(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> dict[str, Any]:
    """Two usages of the protocol added up, details too."""
    summed: dict[str, Any] = dict(first or {})
    for name, value in (second or {}).items():
        known = summed.get(name)
        if isinstance(value, dict):
            summed[name] = total(known if isinstance(known, dict) else None, value)
        elif isinstance(value, int | float) and isinstance(known, int | float):
            summed[name] = known + value
        elif value is not None:
            summed[name] = value
    return summed


def response_metadata(
    head: Mapping[str, Any],
    served: ServedBy | Mapping[str, Any],
    *,
    finish_reason: str | None,
    usage: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """`response_metadata` of a message.

    Args:
        head: The answer, or any chunk of it.
        served: Who served it; nested whole, so that merging chunks cannot change it.
        finish_reason: Why it ended.
        usage: As the endpoint counted.
    """
    facts = served if isinstance(served, dict) else served.as_dict()  # type: ignore[union-attr]
    made: dict[str, Any] = {
        "model_name": head.get("model") or facts.get("model"),
        "model_provider": PROVIDER,
        "finish_reason": finish_reason,
        "gonka": facts,
    }
    for name in _CARRIED:
        if head.get(name) is not None:
            made[name] = head[name]
    if usage:
        made["token_usage"] = dict(usage)
    return made
