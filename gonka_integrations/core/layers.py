"""How a configuration comes about: layers of raw values, laid over each other, then checked."""

from __future__ import annotations

import difflib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import GonkaConfigError
from . import fields as check
from .addresses import require_address
from .keys import PrivateKey
from .secrets import Environment, Secret
from .specs import conceal, gateways_in, gateways_of, providers_of
from .urls import host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .specs import GatewaySpec

__all__ = ["checked", "conceal_in", "environment_layer", "lay_over", "named", "settled"]

_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "model": check.text,
    "private_key": check.private_key,
    "signer": check.signer,
    "source_url": check.source_list,
    "endpoints": check.endpoint_list,
    "gateways": gateways_of,
    "fallbacks": lambda value, _: providers_of(value),
    "address": require_address,
    "verify_proofs": check.boolean,
    "trust": check.trust,
    "timeout": check.seconds,
    "first_token_timeout": check.seconds,
    "idle_timeout": check.seconds,
    "connect_timeout": check.seconds,
    "max_retries": check.count(0),
    "retry_ambiguous": check.boolean,
    "hedge_after": check.seconds,
    "max_concurrent": check.count(1),
    "stream_internally": check.boolean,
    "allow_private_hosts": check.boolean,
    "refresh_enabled": check.boolean,
    "refresh_interval_seconds": check.seconds,
    "register_as_fallback": check.boolean,
    "model_name_prefix": check.text,
}
_ALIASES = {"default_max_concurrent": "max_concurrent"}
_KNOWN = frozenset(_CHECKS) | frozenset(_ALIASES) | {"base_url", "api_key"}
# Naming one of a group says that the others are not wanted, whatever a lower layer says.
_GROUPS = (frozenset({"private_key", "signer"}), frozenset({"gateways", "base_url"}))
_VARIABLES: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    "GONKA_MODEL": ("model", check.text),
    "GONKA_SOURCE_URL": ("source_url", check.source_list),
    "GONKA_ENDPOINTS": ("endpoints", check.endpoint_list),
    "GONKA_ADDRESS": ("address", require_address),
    "GONKA_VERIFY_PROOF": ("verify_proofs", check.flag_of_text),
    "GONKA_TRUST": ("trust", check.trust),
}
_KEY = "GONKA_PRIVATE_KEY"
_BROKERS = "GONKA_BROKER_URL"
_BROKER_KEY = "GONKA_BROKER_API_KEY"


def conceal_in(arguments: dict[str, Any]) -> None:
    """Wraps the keys among *arguments*, in place, so that no frame shows them in a traceback."""
    for name in ("private_key", "api_key"):
        if isinstance(arguments.get(name), str):
            arguments[name] = Secret(arguments[name])
    for name in ("gateways", "base_url", "fallbacks"):
        if name in arguments:
            arguments[name] = conceal(arguments[name])


def named(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """*arguments* that were given, under their proper names.

    Raises:
        GonkaConfigError: A name is unknown, or two say different things.
    """
    for name in arguments:
        if name not in _KNOWN:
            raise GonkaConfigError(f"unknown argument {name!r}{_nearest(name)}", field=name)
    given = {name: value for name, value in arguments.items() if value is not None}
    for alias, name in _ALIASES.items():
        if alias in given and given.setdefault(name, given[alias]) != given.pop(alias):
            raise GonkaConfigError(f"{alias}: it is another name of {name}; give one", field=alias)
    if _GROUPS[0] <= given.keys():
        raise GonkaConfigError("signer: give a signer or a private_key, not both", field="signer")
    return given


def lay_over(lower: dict[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """The values of *upper*, and those of *lower* that it says nothing about."""
    hidden = _spoken_for(upper)
    return {name: value for name, value in lower.items() if name not in hidden} | dict(upper)


def environment_layer(environ: Environment, upper: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the ``GONKA_…`` variables, without those that *upper* speaks for.

    Raises:
        GonkaConfigError: A variable has a wrong value; names the field and the variable.
    """
    hidden = _spoken_for(upper)
    values: dict[str, Any] = {}
    for variable, (name, read) in _VARIABLES.items():
        text = environ.get(variable)
        if text and name not in hidden:
            values[name] = _read(partial(read, text), name, variable)
    if environ.get(_KEY) and "private_key" not in hidden:
        values["private_key"] = _read(
            lambda _: PrivateKey.from_env(_KEY, environ), "private_key", _KEY
        )
    if environ.get(_BROKERS) and "gateways" not in hidden:
        values["gateways"] = _read(partial(gateways_in, environ), _BROKERS, _BROKERS)
    if environ.get(_BROKER_KEY) and "api_key" not in hidden:
        values["api_key"] = Secret.from_env(_BROKER_KEY, environ=environ)
        values["key_hosts"] = _broker_hosts(environ)
    return values


def settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* with ``base_url`` and ``api_key`` resolved into ``gateways``.

    A key of the environment belongs to the hosts of ``GONKA_BROKER_URL`` when that is set, and is
    sent to no other.

    Raises:
        GonkaConfigError: A gateway is wrong, or a key was given and no gateway to use it at.
    """
    final = dict(values)
    base_url, api_key = final.pop("base_url", None), final.pop("api_key", None)
    hosts = final.pop("key_hosts", None)
    gateways = gateways_of(final.get("gateways", ()))
    if base_url is not None:
        gateways += gateways_of(base_url, "base_url")
    if api_key is not None and hosts is None and not gateways:
        raise GonkaConfigError(
            "api_key: it opens a gateway, but none is given; add base_url", field="api_key"
        )
    if gateways:
        final["gateways"] = tuple(_opened(gateway, api_key, hosts) for gateway in gateways)
    return final


def checked(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* in their final form.

    Raises:
        GonkaConfigError: One is wrong; the message begins with its name.
    """
    return {name: _CHECKS[name](value, name) for name, value in values.items()}


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, sorted(_KNOWN), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _spoken_for(values: Mapping[str, Any]) -> frozenset[str]:
    names = frozenset(values)
    return names.union(*(group for group in _GROUPS if group & names))


def _read(read: Callable[[str], Any], name: str, variable: str) -> Any:
    try:
        return read(name)
    except GonkaConfigError as error:
        problem = str(error).partition(": ")[2]
    field = "gateways" if variable == _BROKERS else name
    raise GonkaConfigError(f"{field} (from {variable}): {problem}", field=field)


def _broker_hosts(environ: Environment) -> frozenset[str]:
    urls = (entry.partition(";")[0].strip() for entry in environ.get(_BROKERS).split(","))
    return frozenset(host for url in urls if (host := _host(url)))


def _host(url: str) -> str | None:
    try:
        return host_of(url) if urlsplit(url).hostname else None
    except ValueError:
        return None


def _opened(gateway: GatewaySpec, key: Any, hosts: frozenset[str] | None) -> GatewaySpec:
    if key is None or gateway.api_key is not None:
        return gateway
    if hosts and host_of(gateway.base_url) not in hosts:
        return gateway
    return replace(gateway, api_key=key)
