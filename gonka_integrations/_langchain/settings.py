"""What keeps the fields of ChatGonka true: the environment, copies, pickles, changes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from .._version import __version__
from ..core.models import known_model
from ..errors import GonkaConfigError
from .arguments import named, rest_in
from .connection import (
    CONNECTION,
    SECRETS,
    base_of,
    hidden,
    hide,
    let_go,
    seen_secret,
    settle,
    shared_session,
)
from .fields import SENT, GonkaFields
from .metadata import PROVIDER
from .profiles import KnownProfile, profile_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from langchain_core.language_models.base import LangSmithParams
    from langchain_core.language_models.model_profile import ModelProfile

    from ..config import GonkaConfig
    from ..core.session import GonkaSession

_ANSWER = ("stop", "thinking", "extra_body", "replay_reasoning", "output_version")
_OWN_DATA = ("model_kwargs", "extra_body", "stop", "logit_bias", "metadata", "tags", "profile")
_WATCHED = frozenset({*CONNECTION, "model", "base_config", "given_session"})


class GonkaSettings(GonkaFields):
    """Fields with the connection that they amount to."""

    _config: GonkaConfig = PrivateAttr()
    _session: GonkaSession | None = PrivateAttr(default=None)

    if not TYPE_CHECKING:  # type checkers take the signature from the fields

        def __init__(self, **arguments: Any) -> None:
            values = hidden(named(type(self), arguments))
            base = base_of(values)
            settled = settle(values, base, model=values.get("model"))
            if settled.model and not values.get("model"):
                values["model"] = settled.model
            super().__init__(**rest_in(type(self), values))
            self._config = settled
            self._show_environment(base)
            self._add_version("gonka-integrations", __version__)

    def _show_environment(self, base: GonkaConfig | None) -> None:
        """Fill in fields that were left to the environment, so that one can see what holds."""
        fields, config = self.__dict__, self._config
        if base is not None:
            return
        if fields["source_url"] is None and config.source_url:
            found = config.source_url
            fields["source_url"] = found[0] if len(found) == 1 else found
        if fields["base_url"] is None and fields["gateways"] is None and len(config.gateways) == 1:
            fields["base_url"] = config.gateways[0].base_url
        for name in SECRETS:
            if fields[name] is None:
                fields[name] = seen_secret(name, config)

    # What it is.

    @property
    def model_name(self) -> str | None:
        """Other name of `model`."""
        return self.model

    @property
    def config(self) -> GonkaConfig:
        """The connection as it was settled, environment included."""
        return self._config

    @property
    def session(self) -> GonkaSession:
        """The session in use: the one given, or that of all equal configurations.

        Raises:
            GonkaConfigError: Nothing says where inference is done; names what to give.
        """
        session = self._session
        if session is None:
            session = self._session = self.given_session or shared_session(self._config)
        return session

    @property
    def _llm_type(self) -> str:
        return "gonka-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """What tells this model from others in traces and caches: all that changes its answers."""
        fields = self.__dict__
        known = {name: fields[name] for name in (*SENT, *_ANSWER) if fields[name] is not None}
        return {"model": self.model, **known, **self.model_kwargs}

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Fields that are secrets, and the variables they are read from."""
        return dict(SECRETS)

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        if not stop and self.stop:
            params["ls_stop"] = [self.stop] if isinstance(self.stop, str) else list(self.stop)
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(known_model(self.model), self.input_modalities)

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():
            field = type(self).model_fields.get(str(name))
            if field is None or name in ("metadata", "profile"):
                continue
            if value is not None and value != field.get_default(call_default_factory=True):
                yield name, value

    # Its copies.

    def __setattr__(self, name: str, value: Any) -> None:
        if name in CONNECTION and value is not None:
            name, value = hide(name, value)
        before = self.__dict__.get(name)
        super().__setattr__(name, value)
        if name in type(self).model_fields:
            try:
                self._changed({name})
            except GonkaConfigError:
                self.__dict__[name] = before
                raise

    def _changed(self, names: set[str]) -> None:
        """Bring what depends on fields up to date."""
        self.__dict__.pop("_serialized", None)
        if not names & _WATCHED or not hasattr(self, "_config"):
            return
        if "model" in names and isinstance(self.profile, KnownProfile):
            self.__dict__["profile"] = self._resolve_model_profile()
        if names - {"model"}:
            self._config = settle(self.__dict__, base_of(self.__dict__), model=self.model)
            self._session = None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy that shares the session, unless *update* changes the connection."""
        copied = copy.deepcopy(self) if deep else copy.copy(self)
        changes = hidden(named(type(self), dict(update or {})))
        copied.__dict__.update(changes)
        copied.__pydantic_fields_set__.update(changes)
        copied._changed(set(changes))
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy with data of its own; sessions, handlers and caches stay shared."""
        copied = copy.copy(self)
        for name in _OWN_DATA:
            copied.__dict__[name] = copy.deepcopy(self.__dict__[name], memo)
        return copied

    def __getstate__(self) -> dict[Any, Any]:
        """The fields that were given. Keys from the environment stay there."""
        state = {name: self.__dict__[name] for name in self.__pydantic_fields_set__}
        session = state.pop("given_session", None)
        if session is not None:
            state["base_config"] = session.config
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    # Its end.

    def close(self) -> None:
        """Close the connections; a session that was given stays open. The model can still be used.

        Models of equal configurations share connections: they make new ones when they need them.
        """
        session, self._session = self._session, None
        if session is not None and self.given_session is None:
            let_go(session)
            session.close()

    async def aclose(self) -> None:
        """`close`, and the connections of the running event loop."""
        session, self._session = self._session, None
        if session is not None and self.given_session is None:
            let_go(session)
            await session.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.aclose()
