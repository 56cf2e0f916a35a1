"""Dialects: the same request as each kind of endpoint wants it. Payload in, payload out.

*classic* nodes pass almost everything to vLLM but read ``max_tokens`` and, before v0.2.11, plain
string contents only. *gateways* have a closed parameter list (the network's chat-api document).
*providers* take what OpenAI takes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .endpoints import Endpoint

_logger = logging.getLogger("gonka_integrations.dialect")

# Parameters that gateways know, in whatever way they treat them.
GATEWAY_PARAMETERS = frozenset({
    "model", "messages", "temperature", "top_p", "top_k", "min_p", "frequency_penalty",
    "presence_penalty", "repetition_penalty", "logit_bias", "max_tokens", "max_completion_tokens",
    "stream", "stream_options", "stop", "n", "seed", "response_format", "structured_outputs",
    "tools", "tool_choice", "parallel_tool_calls", "user", "metadata", "min_tokens", "bad_words",
    "stop_token_ids", "skip_special_tokens", "detokenize", "chat_template_kwargs", "thinking",
    "thinking_token_budget", "reasoning_effort", "reasoning", "enable_thinking", "extra_body",
    "logprobs", "top_logprobs", "return_token_ids", "service_tier", "store", "provider", "plugins",
    "prompt_cache_key", "cache_key", "extra_headers", "thinking_config", "think",
    "safety_identifier",
})  # fmt: skip

# Parameters that change the answer and that gateways refuse: sent, so that the refusal is seen.
GATEWAY_REFUSED = frozenset({
    "guided_json", "guided_regex", "guided_grammar", "guided_choice", "enforced_tokens", "tags",
    "allowed_token_ids", "ignore_eos", "use_beam_search", "truncate_prompt_tokens",
    "prompt_logprobs", "functions", "function_call",
})  # fmt: skip

_GATEWAY_SENT = GATEWAY_PARAMETERS | GATEWAY_REFUSED
_INJECTED = frozenset({"token_ids", "prompt_token_ids", "prompt_logprobs"})
_SEEDS = 2**31  # what engines take
_told: set[str] = set()


def adapt(
    payload: Mapping[str, Any], endpoint: Endpoint, *, stream: bool, variation: str = ""
) -> dict[str, Any]:
    """The request as *endpoint* wants it.

    Args:
        payload: OpenAI chat-completions request; not changed.
        endpoint: Where it goes.
        stream: Whether the answer is to be streamed.
        variation: Text that makes a repeated request differ from a failed one, so that a gateway's
            response cache does not answer with the same failure; "" for none.
    """
    adapted = dict(payload)
    adapted["model"] = endpoint.wire_model(str(payload.get("model") or ""))
    adapted.pop("stream", None)
    options = adapted.pop("stream_options", None)
    if stream:
        adapted["stream"] = True
        adapted["stream_options"] = {"include_usage": True} if options is None else options
    if endpoint.kind == "participant":
        _to_classic(adapted)
    elif endpoint.kind == "gateway":
        _to_gateway(adapted, variation)
    return adapted


def injected_by(endpoint: Endpoint, payload: Mapping[str, Any]) -> frozenset[str]:
    """Names of what *endpoint* adds to answers although *payload* did not ask for it."""
    if endpoint.kind != "participant":
        return frozenset()
    wanted = {name for name in ("logprobs", "token_ids", "prompt_logprobs") if payload.get(name)}
    if payload.get("return_token_ids"):
        wanted |= {"token_ids", "prompt_token_ids"}
    return (_INJECTED | {"logprobs"}) - wanted


def strip_injected(answer: dict[str, Any], names: frozenset[str]) -> None:
    """Remove *names* from a completion or chunk and from its choices, in place."""
    for name in names:
        answer.pop(name, None)
        for choice in answer.get("choices") or ():
            if name == "logprobs" and "logprobs" in choice:
                choice["logprobs"] = None
            else:
                choice.pop(name, None)


def _to_classic(payload: dict[str, Any]) -> None:
    # The node sizes its fee estimate by max_tokens alone and assumes 5000 without it.
    most = payload.pop("max_completion_tokens", None)
    if most is not None and payload.get("max_tokens") is None:
        payload["max_tokens"] = most
    messages = payload.get("messages")
    if isinstance(messages, list):
        payload["messages"] = [_with_plain_text(message) for message in messages]


def _with_plain_text(message: Any) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list) or not content:
        return message
    texts = [_text_of(part) for part in content]
    if any(text is None for text in texts):
        return message
    return message | {"content": "\n".join(text for text in texts if text is not None)}


def _text_of(part: Any) -> str | None:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        text: str = part["text"]
        return text
    return None


def _to_gateway(payload: dict[str, Any], variation: str) -> None:
    for name in payload.keys() - _GATEWAY_SENT:
        del payload[name]
        if name not in _told:
            _told.add(name)
            _logger.warning("Parameter %r is not sent: the network's gateways do not take it", name)
    if variation and "user" not in payload:
        payload["user"] = variation
    elif variation and "seed" not in payload:
        payload["seed"] = int(variation.rpartition("-")[2], 16) % _SEEDS
