"""How a model reaches the network: its connection fields, settled once, and the session."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ..config import GonkaConfig
from ..core.keys import PrivateKey
from ..core.secrets import Secret
from ..core.specs import conceal
from ..errors import GonkaConfigError
from .lingering import Lingering

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..core.session import GonkaSession

#: Fields that say how the network is reached, as `GonkaConfig` names them.
CONNECTION = (
    "private_key", "signer", "source_url", "endpoints", "base_url", "api_key", "gateways",
    "fallbacks", "address", "verify_proofs", "trust", "timeout", "first_token_timeout",
    "idle_timeout", "connect_timeout", "max_retries", "retry_ambiguous", "hedge_after",
    "max_concurrent", "stream_internally", "allow_private_hosts", "refresh_enabled",
    "refresh_interval_seconds",
)  # fmt: skip
SECRETS = {"private_key": "GONKA_PRIVATE_KEY", "api_key": "GONKA_BROKER_API_KEY"}
"""Secret fields and the variables they are read from."""

_lingering: Lingering[GonkaSession] = Lingering(seconds=60.0, limit=8)
_settled: weakref.WeakValueDictionary[Any, GonkaConfig] = weakref.WeakValueDictionary()


class EnvSecretStr(SecretStr):
    """A secret that was read from the environment; pickled, it is the name of its variable."""

    def __init__(self, secret_value: str, env: str) -> None:
        super().__init__(secret_value)
        self.env = env

    @classmethod
    def read(cls, env: str) -> EnvSecretStr:
        """The secret in the variable *env* of this process.

        Raises:
            GonkaConfigError: It is not set here.
        """
        return cls(Secret.from_env(env).reveal(), env)

    def __reduce__(self) -> tuple[Any, ...]:
        return EnvSecretStr.read, (self.env,)

    def __deepcopy__(self, memo: object) -> EnvSecretStr:
        return self


def hide(name: str, value: Any) -> tuple[str, Any]:
    """A connection field and its value, in a form that does not show what is secret in it.

    A base_url that says more than a URL (``"url;key"``, or several) becomes `gateways`, which are
    neither shown nor dumped.
    """
    if name in SECRETS and isinstance(value, str | Secret):
        secret = Secret.of(value)
        if secret.env == SECRETS[name] and secret.item is None:
            return name, EnvSecretStr(secret.reveal(), secret.env)
        return name, SecretStr(secret.reveal())
    if name == "base_url" and not (isinstance(value, str) and not {";", ","} & set(value)):
        name = "gateways"
    if name in ("gateways", "fallbacks"):
        return name, conceal(value)
    return name, value


def hidden(fields: Mapping[str, Any]) -> dict[str, Any]:
    """*fields* with those of the connection hidden (see `hide`)."""
    shown: dict[str, Any] = {}
    for name, value in fields.items():
        if name in CONNECTION and value is not None:
            name, value = hide(name, value)  # noqa: PLW2901 - it may be another field
        shown[name] = value
    return shown


def base_of(fields: Mapping[str, Any]) -> GonkaConfig | None:
    """The configuration that a session or a configuration among *fields* gives.

    Raises:
        GonkaConfigError: One of them is of another type.
    """
    session, config = fields.get("given_session"), fields.get("base_config")
    if session is not None:
        if not isinstance(session, session_class()):
            raise GonkaConfigError(
                f"session: expected a GonkaSession, not {type(session).__name__}", field="session"
            )
        return session.config
    if config is not None and not isinstance(config, GonkaConfig):
        raise GonkaConfigError(
            f"config: expected a GonkaConfig, not {type(config).__name__}", field="config"
        )
    return config


def settle(
    fields: Mapping[str, Any], base: GonkaConfig | None = None, *, model: str | None = None
) -> GonkaConfig:
    """The configuration that connection fields, *base* and the environment amount to.

    A key without a gateway to use it at is left out: it is an error once a call needs it, not for
    whoever only makes the object.

    Raises:
        GonkaConfigError: A field is wrong; names it.
    """
    given = {name: _plain(fields[name]) for name in CONNECTION if fields.get(name) is not None}
    if "api_key" in given and not _has_gateway(given, base):
        del given["api_key"]
    key = _key(given, base, model)
    found = _settled.get(key) if key is not None else None
    if found is None:
        found = GonkaConfig.build(base, model=model, **given)
        found.require_trust()
        if key is not None:
            _settled[key] = found
    return found


def _has_gateway(given: Mapping[str, Any], base: GonkaConfig | None) -> bool:
    if given.get("base_url") or given.get("gateways"):
        return True
    return bool(base and base.gateways) or bool(os.environ.get("GONKA_BROKER_URL", "").strip())


def _plain(value: Any) -> Any:
    if isinstance(value, EnvSecretStr):
        return Secret(value.get_secret_value(), env=value.env)
    if isinstance(value, SecretStr):
        return Secret(value.get_secret_value())
    return value


def _key(given: Mapping[str, Any], base: GonkaConfig | None, model: str | None) -> Any:
    """What a configuration depends on, None where it cannot be compared."""
    variables = tuple(sorted((k, v) for k, v in os.environ.items() if k.startswith("GONKA_")))
    values = tuple((name, _frozen(value)) for name, value in given.items())
    key = (values, base, model, hash(variables))
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return tuple((name, _frozen(item)) for name, item in value.items())
    return value


def seen_secret(name: str, config: GonkaConfig) -> Any:
    """A secret that *config* has from the environment, to be shown, hidden, as a field."""
    env = SECRETS[name]
    if name == "private_key":
        there = isinstance(config.private_key, PrivateKey)
    else:
        there = any(gateway.api_key is not None for gateway in config.gateways)
    value = os.environ.get(env, "").strip()
    return EnvSecretStr(value, env) if there and value else None


def shared_session(config: GonkaConfig) -> GonkaSession:
    """The process's session for *config*; it stays a while longer than who uses it.

    Raises:
        GonkaConfigError: The configuration names nobody to send requests to.
    """
    session = session_class().shared(config)
    _lingering.hold(session)
    return session


def session_class() -> type[GonkaSession]:
    """The class, loaded when it is first needed: everything that does I/O hangs on it."""
    from ..core.session import GonkaSession  # noqa: PLC0415

    return GonkaSession


def let_go(session: GonkaSession) -> None:
    """Do not keep *session* longer than its users."""
    _lingering.release(session)


def require_model(model: str | None, session: GonkaSession) -> str:
    """*model*, or the only one that the pool serves.

    Raises:
        GonkaConfigError: No model was named, and there is a choice.
    """
    if model:
        return model
    served = session.models()
    if len(served) == 1:
        return served[0]
    known = f" The pool serves: {', '.join(served[:20])}." if served else ""
    raise GonkaConfigError(
        f"model: no model is named. Give ChatGonka a model, or set GONKA_MODEL.{known}",
        field="model",
    )
