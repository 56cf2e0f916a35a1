"""What ChatGonka's constructor takes, for type checkers and editors.

The fields say what a model has; a key may be given as text and is had as a secret, and arguments
have other spellings. Nothing here is used at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..config import ConnectionArguments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.caches import BaseCache
    from langchain_core.callbacks import Callbacks
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.rate_limiters import BaseRateLimiter
    from pydantic import SecretStr

    from ..config import GonkaConfig
    from ..core.keys import PrivateKey
    from ..core.secrets import Secret
    from ..core.session import GonkaSession

    Key = str | SecretStr | Secret


class ChatArguments(ConnectionArguments, total=False):
    """Arguments of `ChatGonka`, which describes them; None means "not given"."""

    model: str | None
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    frequency_penalty: float | None
    presence_penalty: float | None
    repetition_penalty: float | None
    seed: int | None
    n: int | None
    stop: list[str] | str | None
    logprobs: bool | None
    top_logprobs: int | None
    logit_bias: Mapping[str, float] | None
    reasoning_effort: str | None
    thinking: bool | None
    service_tier: str | None
    parallel_tool_calls: bool | None
    user: str | None
    model_kwargs: dict[str, Any]
    extra_body: Mapping[str, Any] | None
    default_headers: Mapping[str, str | SecretStr] | None
    streaming: bool
    stream_usage: bool
    replay_reasoning: Literal["auto", "always", "never"]
    input_modalities: Sequence[str] | None

    private_key: Key | PrivateKey | None
    api_key: Key | None
    config: GonkaConfig | None
    session: GonkaSession | None

    model_name: str | None
    model_id: str | None
    max_completion_tokens: int | None
    request_timeout: float | None
    stop_sequences: list[str] | str | None
    openai_api_base: str | None
    openai_api_key: Key | None
    reasoning_replay: Literal["auto", "always", "never"]

    name: str | None
    cache: BaseCache | bool | None
    verbose: bool
    callbacks: Callbacks
    tags: list[str] | None
    metadata: dict[str, Any] | None
    custom_get_token_ids: Callable[[str], list[int]] | None
    rate_limiter: BaseRateLimiter | None
    disable_streaming: bool | Literal["tool_calling"]
    output_version: str | None
    profile: ModelProfile | None
