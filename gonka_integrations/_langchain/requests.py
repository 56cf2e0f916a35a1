"""A call of ChatGonka -> the request that is sent for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.fields import count, seconds
from ..core.messages import check_modalities
from ..core.models import known_model
from ..core.reasoning import replay_reasoning
from ..core.served import CallOptions
from ..errors import GonkaConfigError
from .connection import require_model
from .fields import SENT
from .messages import to_wire
from .schemas import fit_tools, tool_names, wire_format, wire_tool_choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.messages import BaseMessage

    from ..config import GonkaConfig
    from ..core.models import ModelFacts
    from .settings import GonkaSettings

#: Argument of a call: what to do when a tool call was asked for and none came.
MISSING_CALL = "gonka_missing_call"

_OPTIONS = frozenset(CallOptions.__dataclass_fields__)
_CHECKS = {
    "timeout": seconds, "first_token_timeout": seconds, "idle_timeout": seconds,
    "hedge_after": seconds, "max_retries": count(0),
}  # fmt: skip
_NO_PARAMETERS = frozenset({
    "stream", "stream_usage", "replay_reasoning", MISSING_CALL, "ls_structured_output_format",
    "structured_output_format",
})  # fmt: skip
_DEFAULT_OPTIONS = CallOptions()


@dataclass(frozen=True, slots=True)
class Request:
    """A chat-completions request without `stream`, and its options.

    Attributes:
        payload: The request.
        options: What the call overrides of its session.
        must_call: Names of the tools of which one has to be called; empty when none has to.
        report_missing: Whether an answer without that call is returned rather than an error.
    """

    payload: dict[str, Any]
    options: CallOptions = _DEFAULT_OPTIONS
    must_call: tuple[str, ...] = ()
    report_missing: bool = False


def request_for(
    model: GonkaSettings,
    messages: Sequence[BaseMessage],
    stop: list[str] | None,
    arguments: Mapping[str, Any],
    *,
    stream: bool = False,
) -> Request:
    """The request for a call.

    Arguments of the call win over `model_kwargs`, those over fields, and `extra_body` over all.
    What is None was not given, and nothing is sent that was not given.

    Raises:
        GonkaConfigError: The call cannot be sent as it is; names the reason.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    options = {name: _checked(name, given.pop(name)) for name in _OPTIONS & given.keys()}
    if model.default_headers:
        options["extra_headers"] = _headers(model, options.get("extra_headers"))
    name = given.pop("model", None) or given.pop("model_name", None) or model.model
    name = name or require_model(None, model.session)
    facts = known_model(name)
    policy = given.get("replay_reasoning", model.replay_reasoning)
    payload: dict[str, Any] = {
        "model": name,
        "messages": _messages(model, messages, name, facts, policy),
    }
    payload |= _parameters(model, stop, given, facts)
    if stream:
        payload.pop("n", None)
        if not given.get("stream_usage", model.stream_usage):
            payload.setdefault("stream_options", {"include_usage": False})
    must_call = _fit(payload, gateway=bool(model.config.gateways))
    return Request(
        payload,
        CallOptions(**options) if options else _DEFAULT_OPTIONS,
        must_call,
        report_missing=given.get(MISSING_CALL) == "report",
    )


def _checked(name: str, value: Any) -> Any:
    check = _CHECKS.get(name)
    return value if check is None else check(value, name)


def _headers(model: GonkaSettings, given: Mapping[str, str] | None) -> dict[str, str]:
    own = {name: value.get_secret_value() for name, value in (model.default_headers or {}).items()}
    return own | dict(given or {})


def _messages(
    model: GonkaSettings,
    messages: Sequence[BaseMessage],
    name: str,
    facts: ModelFacts | None,
    policy: Any,
) -> list[dict[str, Any]]:
    wire = to_wire(messages)
    if any(isinstance(message.get("content"), list) for message in wire):
        known = facts.input_modalities if facts else None
        allowed = model.input_modalities or known or _reach(model.config)
        if allowed:
            check_modalities(wire, allowed, model=name)
    inline = facts is not None and facts.reasoning == "inline"
    return replay_reasoning(wire, policy, inline=inline)


def _reach(config: GonkaConfig) -> tuple[str, ...] | None:
    """Kinds of content that get through where only gateways serve: text. None if not known."""
    others = config.source_url or config.endpoints or config.fallbacks
    return ("text",) if config.gateways and not others else None


def _parameters(
    model: GonkaSettings,
    stop: list[str] | None,
    given: dict[str, Any],
    facts: ModelFacts | None,
) -> dict[str, Any]:
    fields = model.__dict__
    parameters = {name: fields[name] for name in SENT if fields[name] is not None}
    ends = stop or given.pop("stop", None) or model.stop
    if ends:
        parameters["stop"] = ends
    if "max_completion_tokens" in given or "max_completion_tokens" in model.model_kwargs:
        parameters.pop("max_tokens", None)  # two names for one thing: the nearer one counts
    parameters |= model.model_kwargs
    parameters |= {k: v for k, v in given.items() if k not in _NO_PARAMETERS}
    body = {**(model.extra_body or {}), **(parameters.pop("extra_body", None) or {})}
    thinking = parameters.get("thinking", model.thinking)
    if isinstance(thinking, bool):
        parameters.pop("thinking", None)
        _switch_thinking(parameters, facts, on=thinking)
    return parameters | body


def _switch_thinking(parameters: dict[str, Any], facts: ModelFacts | None, *, on: bool) -> None:
    switch = facts.thinking_fields(on=on) if facts else None
    if switch is None:
        name = facts.name if facts else "this model"
        raise GonkaConfigError(
            f"thinking: how to turn it {'on' if on else 'off'} is not known for {name}. Leave it "
            "out, or give the server's own switch in extra_body, for instance "
            "{'chat_template_kwargs': {'enable_thinking': False}}.",
            field="thinking",
        )
    for name, value in switch.items():
        parameters[name] = {**value, **parameters.get(name, {})}


def _fit(payload: dict[str, Any], *, gateway: bool) -> tuple[str, ...]:
    """Make tools and formats fit for the wire, in place; returns tools one of which must be called.

    Some servers refuse an empty list of tools, and a choice without tools.
    """
    tools, choice = payload.pop("tools", None), payload.pop("tool_choice", None)
    if payload.get("response_format") is not None:
        payload["response_format"] = wire_format(payload["response_format"], gateway=gateway)
    if not tools:
        payload.pop("parallel_tool_calls", None)
        return ()
    payload["tools"] = fit_tools(tools, gateway=gateway)
    names = tool_names(payload["tools"])
    choice = wire_tool_choice(choice, names)
    if choice is None:
        return ()
    payload["tool_choice"] = choice
    if choice == "required":
        return tuple(names)
    return (
        (choice["function"]["name"],) if isinstance(choice, dict) and "function" in choice else ()
    )
