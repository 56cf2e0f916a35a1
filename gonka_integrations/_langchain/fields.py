"""The fields of ChatGonka: what can be said to its constructor."""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.language_models.chat_models import BaseChatModel
from pydantic import ConfigDict, Field, SecretStr

#: Fields that are sent under their own names when they are set.
SENT = (
    "temperature", "max_tokens", "top_p", "top_k", "min_p", "frequency_penalty",
    "presence_penalty", "repetition_penalty", "seed", "n", "logprobs", "top_logprobs",
    "logit_bias", "reasoning_effort", "service_tier", "parallel_tool_calls", "user",
)  # fmt: skip


def _option(description: str, **limits: Any) -> Any:
    return Field(default=None, description=description, **limits)


def _hidden(description: str, **more: Any) -> Any:
    """A field that may hold secrets: not shown, not dumped."""
    return Field(default=None, description=description, repr=False, exclude=True, **more)


class GonkaFields(BaseChatModel):
    """Fields of `ChatGonka`. Times are in seconds."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        # The classes under the model are never made: only its own schema is built, when needed.
        defer_build=True,
        hide_input_in_errors=True,
        populate_by_name=True,
        protected_namespaces=(),
    )

    model: str | None = _option("Id of the model on the network.")
    temperature: float | None = _option("Sampling temperature.", ge=0)
    max_tokens: int | None = _option("Longest answer, in tokens.", gt=0)
    top_p: float | None = _option("Share of the probability to sample from.", ge=0, le=1)
    top_k: int | None = _option("Number of tokens to sample from.")
    min_p: float | None = _option("Least probability relative to the likeliest token.", ge=0, le=1)
    frequency_penalty: float | None = _option("Penalty on frequent tokens.")
    presence_penalty: float | None = _option("Penalty on tokens that are there already.")
    repetition_penalty: float | None = _option("Factor on tokens that are there already.")
    seed: int | None = _option("Seed of the sampling.")
    n: int | None = _option("Number of answers; a stream gives the first.", ge=1)
    stop: list[str] | str | None = _option("Sequences that end the answer.")
    logprobs: bool | None = _option("Whether to return log probabilities.")
    top_logprobs: int | None = _option("Alternatives at each position.", ge=0)
    logit_bias: dict[str, float] | None = _option("Bias by token id.")
    reasoning_effort: str | None = _option("How long a reasoning model may think.")
    thinking: bool | None = _option("Whether to think, on models that can be told.")
    service_tier: str | None = _option("Tier at providers that have such.")
    parallel_tool_calls: bool | None = _option("Whether one answer may call several tools.")
    user: str | None = _option("End user, for the endpoint's records.")
    model_kwargs: dict[str, Any] = Field(
        default_factory=dict, description="Request parameters beside the named ones."
    )
    extra_body: dict[str, Any] | None = _option("Request parameters that win over all others.")
    default_headers: dict[str, SecretStr] | None = _hidden("Headers for gateways and providers.")

    streaming: bool = Field(default=False, description="Whether invoke streams inside.")
    stream_usage: bool = Field(default=True, description="Whether streams tell their usage.")
    replay_reasoning: Literal["auto", "always", "never"] = Field(
        default="auto", description="Which reasoning of the history is sent back."
    )
    input_modalities: tuple[str, ...] | None = _option(
        "Kinds of content the model takes: text, image, audio, video, file."
    )

    private_key: Any = _hidden("Key that signs requests to participants.")
    signer: Any = _hidden("Signs in place of a private key.")
    source_url: str | list[str] | tuple[str, ...] | None = _option("Nodes to discover from.")
    endpoints: str | list[str] | tuple[str, ...] | None = _option("Participants, url;address.")
    base_url: str | None = _option("A gateway, up to and including /v1.")
    api_key: SecretStr | None = _hidden("Key of that gateway.")
    gateways: Any = _hidden("Several gateways with their keys.")
    fallbacks: Any = _hidden("Providers that take over when the network cannot serve.")
    address: str | None = _option("Account that pays, when it is not the key's own.")
    verify_proofs: bool | None = _option("Whether participant lists must be proven.")
    trust: Any = _hidden("Where the proof's trust comes from.")
    timeout: float | None = _option("For a whole call, all attempts included.")
    first_token_timeout: float | None = _option("Until an endpoint's first content.")
    idle_timeout: float | None = _option("Between two pieces of an answer.")
    connect_timeout: float | None = _option("Until a connection is made.")
    max_retries: int | None = _option("Extra attempts of a call, over all endpoints.")
    retry_ambiguous: bool | None = _option("Whether to repeat what may have been charged.")
    hedge_after: float | None = _option("When a second endpoint is asked too.")
    max_concurrent: int | None = _option("Requests in flight at one endpoint.")
    stream_internally: bool | None = _option("Whether plain calls are read as streams inside.")
    allow_private_hosts: bool | None = _option("Whether hosts may be on private networks.")
    refresh_enabled: bool | None = _option("Whether participants are kept up to date.")
    refresh_interval_seconds: float | None = _option("How often to look for a new epoch.")
    base_config: Any = _hidden("A GonkaConfig that holds where no field is given.", alias="config")
    given_session: Any = _hidden("A GonkaSession to share.", alias="session")
