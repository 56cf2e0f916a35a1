"""The closed parameter list of a gateway: what passes, what is changed, dropped, refused.

Source: gonka-ai/gonka `docs/chat-api/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .gateway_messages import normalised_messages
from .gateway_rules import RULES
from .gateway_schemas import PolicyError, nesting
from .gateway_tools import check_response_format, normalised_choice, normalised_tools
from .texts import rejected_parameter

DEFAULT_MAX_TOKENS = 3072
MAX_TOKENS = 4096
_MAX_NESTING = 32
_KIMI_FLOOR = 16
_DROPPED = frozenset(
    {
        "cache_key",
        "extra_headers",
        "logprobs",
        "plugins",
        "prompt_cache_key",
        "provider",
        "return_token_ids",
        "safety_identifier",
        "service_tier",
        "store",
        "think",
        "thinking_config",
        "top_logprobs",
    }
)
_PASSED = frozenset(["model", "messages", "tools", "tool_choice", "response_format"])


def normalised(request: Mapping[str, Any], *, max_tokens: int = MAX_TOKENS) -> dict[str, Any]:
    """The request as it goes on to a host.

    Args:
        request: As the client sent it.
        max_tokens: Output cap of the model; silently applied.

    Raises:
        PolicyError: A parameter is not on the list, or its value is refused.
    """
    if nesting(request) > _MAX_NESTING:
        raise PolicyError(f"request nesting exceeds {_MAX_NESTING}")
    flat = _translated(request)
    kimi = is_kimi(flat.get("model"))
    made: dict[str, Any] = {}
    for name, value in flat.items():
        if name in _PASSED or name in {"stream_options", "thinking"}:
            continue
        if name in _DROPPED:
            continue
        rule = RULES.get(name)
        if rule is None or (name == "structured_outputs" and kimi):
            raise PolicyError(rejected_parameter(name))
        if value is not None:
            made[name] = rule(name, value)
    made.pop("reasoning_effort", None)
    made["model"] = flat.get("model")
    made["messages"] = normalised_messages(flat.get("messages"))
    _add_structure(made, flat)
    _add_limits(made, max_tokens, _KIMI_FLOOR if kimi else 1)
    _add_model_rules(made, flat, kimi=kimi)
    return made


def is_kimi(model: Any) -> bool:
    """Whether a model is of the Kimi line, which has rules of its own."""
    return isinstance(model, str) and "kimi" in model.lower()


def _translated(request: Mapping[str, Any]) -> dict[str, Any]:
    """Spellings of other APIs, turned into the gateway's own."""
    flat = dict(request)
    extra = flat.pop("extra_body", None)
    if isinstance(extra, Mapping):
        flat = {**extra, **flat}
    reasoning = flat.pop("reasoning", None)
    if isinstance(reasoning, Mapping) and "effort" in reasoning:
        flat.setdefault("reasoning_effort", reasoning["effort"])
    if "enable_thinking" in flat:
        wanted = {"enable_thinking": flat.pop("enable_thinking")}
        flat["chat_template_kwargs"] = {**wanted, **(flat.get("chat_template_kwargs") or {})}
    return flat


def _add_structure(made: dict[str, Any], flat: Mapping[str, Any]) -> None:
    if flat.get("tools") is not None:
        made["tools"] = normalised_tools(flat["tools"])
    if flat.get("tool_choice") is not None:
        made["tool_choice"] = normalised_choice(flat["tool_choice"])
    if flat.get("response_format") is not None:
        if "structured_outputs" in made:
            raise PolicyError("structured_outputs: cannot be combined with response_format")
        check_response_format(flat["response_format"])
        made["response_format"] = flat["response_format"]
    options = flat.get("stream_options")
    if made.get("stream") and isinstance(options, Mapping) and "include_usage" in options:
        made["stream_options"] = {"include_usage": options["include_usage"]}


def _add_limits(made: dict[str, Any], cap: int, floor: int) -> None:
    names = [name for name in ("max_tokens", "max_completion_tokens") if name in made]
    for name in names:
        made[name] = max(floor, min(made[name], cap))
    if not names:
        made["max_tokens"] = min(DEFAULT_MAX_TOKENS, cap)
    limit = made.get("max_tokens", made.get("max_completion_tokens"))
    if "min_tokens" in made:
        made["min_tokens"] = min(made["min_tokens"], limit or cap)
    if "stop_token_ids" in made:
        made.pop("min_tokens", None)
    if made.get("temperature") == 0 and "n" in made:
        made["n"] = 1


def _add_model_rules(made: dict[str, Any], flat: Mapping[str, Any], *, kimi: bool) -> None:
    if not kimi:
        return
    for name in ("frequency_penalty", "presence_penalty"):
        if name in made:
            made[name] = 0
    if isinstance(flat.get("thinking"), Mapping):
        made["thinking"] = dict(flat["thinking"])
    if isinstance(flat.get("safety_identifier"), str):
        made["safety_identifier"] = flat["safety_identifier"]
