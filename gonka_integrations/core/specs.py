"""What a user says about gateways and providers: where they are, what opens them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..errors import GonkaConfigError
from .secrets import Environment, Secret
from .urls import api_base

__all__ = [
    "GatewaySpec",
    "ProviderSpec",
    "conceal",
    "gateways_in",
    "gateways_of",
    "providers_of",
]


@dataclass(frozen=True, kw_only=True)
class GatewaySpec:
    """A Gonka gateway or broker.

    Attributes:
        base_url: Up to and including ``/v1``; a bare host gets ``/v1`` added.
        api_key: Bearer key, sent to this host only; None when it asks for none.
    """

    base_url: str
    api_key: Secret | None = None

    def __post_init__(self) -> None:
        _set(self, "base_url", api_base(self.base_url, "base_url", versioned=True))
        _set(self, "api_key", _key(self.api_key))


@dataclass(frozen=True, kw_only=True)
class ProviderSpec:
    """An OpenAI-compatible API that takes over when the network cannot serve.

    Attributes:
        base_url: Up to and including the version, as its documents say.
        api_key: Bearer key, sent to this host only; None when it asks for none.
        models: Pairs of our model name and the provider's; a mapping may be given.
        default_model: The provider's model for names that `models` lacks; None passes them on.
        tier: 1 and up; providers of a lower tier are asked first.
        name: For logs and statistics; the host when None.
    """

    base_url: str
    api_key: Secret | None = None
    models: tuple[tuple[str, str], ...] = ()
    default_model: str | None = None
    tier: int = 1
    name: str | None = None

    def __post_init__(self) -> None:
        _set(self, "base_url", api_base(self.base_url, "fallbacks"))
        _set(self, "api_key", _key(self.api_key))
        _set(self, "models", _pairs(self.models))
        if type(self.tier) is not int or self.tier < 1:
            raise GonkaConfigError(
                "fallbacks: tier must be a whole number of at least 1", field="fallbacks"
            )
        for name in ("default_model", "name"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise GonkaConfigError(f"fallbacks: {name} must be text", field="fallbacks")

    @property
    def model_map(self) -> dict[str, str]:
        """`models` as a mapping."""
        return dict(self.models)


# A misspelt api_key is a key too, so what may be shown is listed rather than what may not.
_OPEN = frozenset({"api_key_env", "base_url", "default_model", "models", "name", "tier"})
_Spec = TypeVar("_Spec", GatewaySpec, ProviderSpec)


def conceal(value: Any) -> Any:
    """*value* with the keys in it wrapped, so that no later frame holds them as text.

    Understands what `gateways` and `fallbacks` may be: ``"url;key"``, a mapping with ``api_key``,
    or a sequence of these. Never raises.
    """
    if isinstance(value, str):
        if "," in value:
            return [conceal(part) for part in value.split(",") if part.strip()]
        url, semicolon, key = value.strip().partition(";")
        return {"base_url": url, "api_key": Secret(key.strip())} if semicolon else value
    if isinstance(value, Mapping):
        return {
            name: part if name in _OPEN or not isinstance(part, str) else Secret(part)
            for name, part in value.items()
        }
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [conceal(part) for part in value]
    return value


def gateways_of(value: Any, field: str = "gateways") -> tuple[GatewaySpec, ...]:
    """Gateways from whatever `conceal` returned.

    Raises:
        GonkaConfigError: An entry is of another type, or has a wrong URL or unknown names.
    """
    return tuple(_spec(entry, GatewaySpec, field) for entry in _listed(value))


def providers_of(value: Any) -> tuple[ProviderSpec, ...]:
    """Providers from whatever `conceal` returned; errors as `gateways_of`."""
    return tuple(_spec(entry, ProviderSpec, "fallbacks") for entry in _listed(value))


def gateways_in(environ: Environment, variable: str) -> tuple[GatewaySpec, ...]:
    """Gateways of a variable: ``url,url`` or ``url;key,url;key``."""
    return gateways_of(_entries_in(environ, variable), variable)


def _entries_in(environ: Environment, variable: str) -> list[dict[str, str | Secret | None]]:
    found: list[dict[str, str | Secret | None]] = []
    for position, entry in enumerate(environ.get(variable).split(",")):
        url, _, key = entry.partition(";")
        if url.strip():
            secret = Secret(key.strip(), env=variable, item=position) if key.strip() else None
            found.append({"base_url": url.strip(), "api_key": secret})
    return found


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, (str, Mapping, GatewaySpec, ProviderSpec)):
        return [value]
    if isinstance(value, (Sequence, set, frozenset)):
        return list(value)
    return [value]


def _spec(entry: Any, kind: type[_Spec], field: str) -> _Spec:
    if isinstance(entry, kind):
        return entry
    if isinstance(entry, str):
        entry = {"base_url": entry}
    if not isinstance(entry, Mapping):
        raise GonkaConfigError(
            f"{field}: expected a URL, a mapping with base_url or a {kind.__name__}, "
            f"not {type(entry).__name__}",
            field=field,
        )
    known = {item.name for item in fields(kind)} | {"api_key_env"}
    unknown = [str(name) for name in entry if name not in known]
    if unknown or "base_url" not in entry:
        trouble = f"does not know {unknown[0]!r}" if unknown else "lacks base_url"
        raise GonkaConfigError(
            f"{field}: the entry {trouble}; it may have {', '.join(sorted(known))}", field=field
        )
    return _built(dict(entry), kind, field)


def _built(entry: dict[str, Any], kind: type[_Spec], field: str) -> _Spec:
    variable = entry.pop("api_key_env", None)
    if variable is not None and entry.get("api_key") is None:
        entry["api_key"] = Secret.from_env(variable) if Environment().get(variable) else None
    try:
        return kind(**entry)
    except GonkaConfigError as error:
        problem = str(error).partition(": ")[2]
    raise GonkaConfigError(f"{field}: {problem}", field=field)


def _key(value: Any) -> Secret | None:
    if value is None:
        return None
    secret = Secret.of(value)
    return secret if secret else None


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    items = value.items() if isinstance(value, Mapping) else value
    try:
        pairs = tuple(sorted((ours, theirs) for ours, theirs in items))
    except (TypeError, ValueError):
        pairs = ((None, None),)
    if all(isinstance(name, str) and name for pair in pairs for name in pair):
        return pairs
    raise GonkaConfigError(
        "fallbacks: models must map our model names to the provider's", field="fallbacks"
    )


def _set(spec: object, name: str, value: object) -> None:
    object.__setattr__(spec, name, value)
