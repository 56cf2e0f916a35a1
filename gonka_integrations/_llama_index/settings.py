"""What a GonkaLLM is made of: its fields, its connection, and how it is stored and copied."""

from __future__ import annotations

import copy
import difflib
from typing import TYPE_CHECKING, Any, Literal

from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_serializer
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import LLM  # noqa: TC002 - pydantic reads the annotation
from pydantic import ValidationError

from ..config import GonkaConfig
from ..core.models import DEFAULT_CONTEXT_WINDOW, GATEWAY_DEFAULT_OUTPUT, ModelFacts, known_model
from ..core.session import GonkaSession
from ..errors import GonkaConfigError
from .connection import CONNECTION, concealed, inherited
from .events import watch_epochs
from .storage import freeze, keyless, thaw

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

StructuredOutputMode = Literal["auto", "json_schema", "function", "text"]


def _hidden(description: str) -> Any:
    """A field that no dump and no repr shows."""
    return Field(default=None, description=description, exclude=True, repr=False)


def _option(description: str, **bounds: Any) -> Any:
    return Field(default=None, description=description, **bounds)


class GonkaSettings(FunctionCallingLLM):
    """Fields, connection, metadata, dumps and copies of `GonkaLLM`."""

    model: str | None = _option("Model to use; GONKA_MODEL when not given.")
    temperature: float | None = _option("Sampling temperature.", ge=0, le=2)
    max_tokens: int | None = _option("Longest answer, in tokens.", ge=1)
    top_p: float | None = _option("Nucleus sampling.", gt=0, le=1)
    frequency_penalty: float | None = _option("Penalty for frequent tokens.", ge=-2, le=2)
    presence_penalty: float | None = _option("Penalty for tokens that occurred.", ge=-2, le=2)
    seed: int | None = _option("Seed of the sampling.")
    stop: str | list[str] | None = _option("Texts that end the answer.")
    logprobs: bool | None = _option("Whether to return log probabilities.")
    top_logprobs: int | None = _option("Alternatives to return at each position.", ge=0, le=20)
    reasoning_effort: str | None = _option("How much a reasoning model should think.")
    thinking: bool | None = _option("Whether to think, on models that can be told.")
    additional_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Request fields to send beside the named ones."
    )
    context_window: int | None = _option("Prompt plus answer, in tokens.", gt=0)
    num_output: int | None = _option("Tokens to leave for the answer.", gt=0)
    is_function_calling_model: bool | None = _option("Whether the model calls tools.")
    input_modalities: tuple[str, ...] | None = _option(
        "Kinds of content it takes: text, image, audio, video, file."
    )
    structured_output_mode: StructuredOutputMode = Field(
        default="auto", description="How structured answers are asked for."
    )
    replay_reasoning: Literal["auto", "always", "never"] = Field(
        default="auto", description="Which thinking blocks of the history are sent back."
    )
    fallback_llms: list[LLM] = Field(
        default_factory=list,
        description="LLMs that take over, in order, when the network gives no answer.",
        exclude=True,
        repr=False,
    )

    extra_headers: dict[str, str] | None = _hidden("Headers for gateways and providers.")
    private_key: Any = _hidden("Key that signs requests to participants.")
    signer: Any = _hidden("Signs in place of a private key.")
    source_url: str | list[str] | tuple[str, ...] | None = _option("Nodes to discover from.")
    endpoints: str | list[str] | tuple[str, ...] | None = _option("Participants, url;address.")
    base_url: str | None = _option("A gateway, up to and including /v1.")
    api_key: Any = _hidden("Key of that gateway.")
    gateways: Any = Field(default=None, description="Several gateways.", repr=False)
    fallbacks: Any = Field(default=None, description="Providers that take over.", repr=False)
    address: str | None = _option("Account that pays, when it is not the key's own.")
    verify_proofs: bool | None = _option("Whether participant lists must be proven.")
    trust: Any = _hidden("Where the proof's trust comes from.")
    timeout: float | None = _option("For a whole call, in seconds.")
    first_token_timeout: float | None = _option("Until the first content, in seconds.")
    idle_timeout: float | None = _option("Between two pieces of a stream, in seconds.")
    connect_timeout: float | None = _option("Until a connection is made, in seconds.")
    max_retries: int | None = _option("Extra attempts of a call, over all endpoints.")
    retry_ambiguous: bool | None = _option("Whether to repeat what may have been charged.")
    hedge_after: float | None = _option("When a second endpoint is asked too, in seconds.")
    max_concurrent: int | None = _option("Requests in flight at one endpoint.")
    stream_internally: bool | None = _option("Whether to read plain calls as streams inside.")
    allow_private_hosts: bool | None = _option("Whether hosts may be on private networks.")
    refresh_enabled: bool | None = _option("Whether participants are kept up to date.")
    refresh_interval_seconds: float | None = _option("How often to look for a new epoch.")

    _config: GonkaConfig = PrivateAttr()
    _own_session: GonkaSession | None = PrivateAttr(default=None)
    _shared_session: GonkaSession | None = PrivateAttr(default=None)

    def __init__(
        self,
        model: str | None = None,
        *,
        config: GonkaConfig | None = None,
        session: GonkaSession | None = None,
        **fields: Any,
    ) -> None:
        _check_names(fields, type(self).model_fields)
        base = session.config if session is not None else config
        given = {name: fields.get(name) for name in CONNECTION}
        settled = GonkaConfig.build(base, model=model, **given)
        settled.require_trust()
        fields |= inherited(given, base, settled) | concealed(given, settled)
        try:
            super().__init__(model=settled.model, **fields)
        except ValidationError as error:
            raise _as_config_error(error) from None
        self._config = settled
        self._own_session = session
        if session is not None:
            watch_epochs(session)

    @classmethod
    def class_name(cls) -> str:
        """Name of this class in dumps."""
        return "gonka_llm"

    @property
    def config(self) -> GonkaConfig:
        """The connection as it was settled, environment included."""
        return self._config

    @property
    def session(self) -> GonkaSession:
        """The session in use: the one given, or that of all equal configurations."""
        if self._own_session is not None:
            return self._own_session
        if self._shared_session is None:
            self._config.require_source()
            self._shared_session = GonkaSession.shared(self._config)
            watch_epochs(self._shared_session)
        return self._shared_session

    @property
    def facts(self) -> ModelFacts | None:
        """What is known of the model, None when nothing is."""
        return known_model(self.model)

    @property
    def metadata(self) -> LLMMetadata:
        """What the framework plans prompts with. Costs nothing, asks nobody and never raises."""
        facts = self.facts
        window = self.context_window or (facts.context_window if facts else DEFAULT_CONTEXT_WINDOW)
        usual = facts.default_output if facts else GATEWAY_DEFAULT_OUTPUT
        tools = self.is_function_calling_model
        return LLMMetadata(
            context_window=window,
            num_output=self.num_output or self.max_tokens or min(usual, window // 4),
            is_chat_model=True,
            is_function_calling_model=tools if tools is not None else not facts or facts.tools,
            model_name=self.model or "unknown",
        )

    def to_payload(self) -> dict[str, Any]:
        """What traces may show of this LLM. Never a secret."""
        return {"class_name": self.class_name(), **self.metadata.model_dump(), "network": "gonka"}

    @field_serializer("gateways", "fallbacks")
    def _dump_without_keys(self, specs: Any) -> Any:
        return keyless(specs)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CONNECTION and self.__pydantic_private__:
            self._reconnect({name: value})
        else:
            super().__setattr__(name, value)

    def _reconnect(self, changes: Mapping[str, Any]) -> None:
        """Settle the connection again after a change of its fields; a given session is left."""
        given = {name: self.__dict__.get(name) for name in CONNECTION} | dict(changes)
        self._config = GonkaConfig.build(model=self.model, **given)
        self._config.require_trust()
        self._own_session = self._shared_session = None
        self.__dict__.update(given | concealed(given, self._config))

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that shares the session, unless *update* changes the connection."""
        copied = copy.deepcopy(self) if deep else copy.copy(self)
        changes = dict(update or {})
        connection = {name: changes.pop(name) for name in CONNECTION if name in changes}
        copied.__dict__.update(changes)
        copied.__pydantic_fields_set__.update(update or {})
        if connection:
            copied._reconnect(connection)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy with data of its own; connections, handlers and other LLMs stay shared."""
        copied = copy.copy(self)
        for name in ("additional_kwargs", "stop", "fallback_llms"):
            value = self.__dict__[name]
            own = list(value) if name == "fallback_llms" else copy.deepcopy(value, memo)
            copied.__dict__[name] = own
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        """The fields. Keys from the environment stay there; this object is not touched."""
        return freeze({name: self.__dict__[name] for name in self.__pydantic_fields_set__})

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self.__init__(**thaw(state))  # type: ignore[misc]


# Names that other classes of the framework use.
_ELSEWHERE = {"api_base": "base_url", "model_name": "model", "default_headers": "extra_headers"}


def _check_names(given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            near = [_ELSEWHERE[name]] if name in _ELSEWHERE else _nearest(name, known)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise GonkaConfigError(f"GonkaLLM has no argument {name!r}{hint}", field=name)


def _nearest(name: str, known: Mapping[str, Any]) -> list[str]:
    return difflib.get_close_matches(name, known, n=1)


def _as_config_error(error: ValidationError) -> GonkaConfigError:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else "GonkaLLM"
    return GonkaConfigError(f"{name}: {first['msg']}", field=name)
