"""A call of GonkaLLM -> the request that is sent for it, and how its answer is to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_index.core.bridge.pydantic import BaseModel

from ..core.json_schema import RESPONSE_LIMITS, check_limits, format_name, inline_refs
from ..core.messages import check_modalities
from ..core.models import known_model
from ..core.reasoning import replay_reasoning
from ..core.served import CallOptions
from ..errors import GonkaConfigError
from .messages import to_wire
from .responses import Reading
from .tools import OfferedTools, fit_tools, wire_tool_choice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llama_index.core.base.llms.types import ChatMessage

    from ..config import GonkaConfig
    from ..core.models import ModelFacts
    from .settings import GonkaSettings

#: Fields of GonkaLLM that are sent under their own names when they are set.
SENT = (
    "temperature",
    "max_tokens",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "seed",
    "stop",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
)
_OPTIONS = frozenset(CallOptions.__dataclass_fields__)
_DEFAULT_OPTIONS = CallOptions()


@dataclass(frozen=True, slots=True)
class Request:
    """A chat-completions request without `stream`, its options, and how to read the answer."""

    payload: dict[str, Any]
    options: CallOptions
    reading: Reading


def request_for(
    llm: GonkaSettings, messages: Sequence[ChatMessage], arguments: Mapping[str, Any]
) -> Request:
    """The request for a call.

    Arguments of the call win over `additional_kwargs` of the LLM, and those over its fields; what
    is None was not given, and nothing is sent that was not given.

    Raises:
        GonkaConfigError: The call cannot be sent as it is; names the reason.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    options = {name: given.pop(name) for name in _OPTIONS & given.keys()}
    if llm.extra_headers:
        options["extra_headers"] = {**llm.extra_headers, **options.get("extra_headers", {})}
    model = given.pop("model", None) or llm.model
    if not model:
        raise GonkaConfigError(
            "No model is named. Give GonkaLLM a model, or set GONKA_MODEL.", field="model"
        )
    facts, gateway = known_model(model), bool(llm.config.gateways)
    offered = given.get("tools")
    payload: dict[str, Any] = {"model": model, "messages": _messages(llm, messages, model, facts)}
    payload |= _parameters(llm, given, facts)
    _fit(payload, gateway=gateway)
    reading = Reading(
        single_call=payload.get("parallel_tool_calls") is False,
        own_names=offered.own_names if isinstance(offered, OfferedTools) else {},
    )
    return Request(payload, CallOptions(**options) if options else _DEFAULT_OPTIONS, reading)


def _messages(
    llm: GonkaSettings, messages: Sequence[ChatMessage], model: str, facts: ModelFacts | None
) -> list[dict[str, Any]]:
    wire = to_wire(messages)
    allowed = llm.input_modalities or (facts and facts.input_modalities) or _reach(llm.config)
    if allowed:
        check_modalities(wire, allowed, model=model)
    inline = facts is not None and facts.reasoning == "inline"
    return replay_reasoning(wire, llm.replay_reasoning, inline=inline)


def _reach(config: GonkaConfig) -> tuple[str, ...] | None:
    """Kinds of content that get through where only gateways serve: text. None if not known."""
    others = config.source_url or config.endpoints or config.fallbacks
    return ("text",) if config.gateways and not others else None


def _parameters(
    llm: GonkaSettings, given: dict[str, Any], facts: ModelFacts | None
) -> dict[str, Any]:
    own = {name: value for name in SENT if (value := getattr(llm, name)) is not None}
    if "max_completion_tokens" in given or "max_completion_tokens" in llm.additional_kwargs:
        own.pop("max_tokens", None)  # two names for one thing: the one given nearer to the call
    parameters: dict[str, Any] = {**own, **llm.additional_kwargs, **given}
    parameters |= parameters.pop("extra_body", None) or {}
    thinking = parameters.get("thinking", llm.thinking)
    if isinstance(thinking, bool):
        parameters.pop("thinking", None)
        _switch_thinking(parameters, facts, on=thinking)
    return parameters


def _switch_thinking(parameters: dict[str, Any], facts: ModelFacts | None, *, on: bool) -> None:
    switch = facts.thinking_fields(on=on) if facts else None
    if switch is None:
        name = facts.name if facts else "this model"
        raise GonkaConfigError(
            f"How to turn thinking {'on' if on else 'off'} is not known for {name}. Leave "
            "`thinking` out, or give the server's own switch in additional_kwargs, for instance "
            "{'chat_template_kwargs': {'enable_thinking': False}}.",
            field="thinking",
        )
    for name, value in switch.items():
        parameters[name] = {**value, **parameters.get(name, {})}


def _fit(payload: dict[str, Any], *, gateway: bool) -> None:
    """Make tools and formats fit for the wire, in place."""
    tools = payload.pop("tools", None)
    if tools:
        payload["tools"] = fit_tools(tools, gateway=gateway)
        choice = wire_tool_choice(payload.pop("tool_choice", None), required=False)
        if choice == "required" and gateway and len(tools) == 1:
            # Gateways make "required" optional; the only tool, by its name, stays required.
            choice = wire_tool_choice(tools[0]["function"]["name"], required=True)
        if choice is not None:
            payload["tool_choice"] = choice
    else:
        payload.pop("tool_choice", None)
        payload.pop("parallel_tool_calls", None)
    if "response_format" in payload:
        payload["response_format"] = _format(payload["response_format"], gateway=gateway)


def _format(wanted: Any, *, gateway: bool) -> Any:
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return schema_format(wanted, gateway=gateway)
    return wanted


def schema_format(output_cls: type[BaseModel], *, gateway: bool) -> dict[str, Any]:
    """The `response_format` that asks for an object of *output_cls*.

    Raises:
        GonkaConfigError: Its schema is recursive, or too large for a gateway.
    """
    schema = inline_refs(output_cls.model_json_schema())
    if gateway:
        check_limits(schema, where=f"output class {output_cls.__name__}", limits=RESPONSE_LIMITS)
    named = {"name": format_name(output_cls.__name__), "schema": schema}
    return {"type": "json_schema", "json_schema": named}
