"""GonkaConfig: everything about a connection, checked once, in one value."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypedDict

from .core import layers
from .core.secrets import Environment
from .core.specs import GatewaySpec, ProviderSpec
from .errors import GonkaConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Unpack

    from .core.keys import PrivateKey, Signer
    from .core.secrets import Secret

__all__ = ["ConfigArguments", "ConnectionArguments", "GatewaySpec", "GonkaConfig", "ProviderSpec"]


class ConnectionArguments(TypedDict, total=False):
    """What whoever connects takes, by the same names and of the same types; None: "not given"."""

    signer: Signer | None
    source_url: str | Sequence[str] | None
    endpoints: str | Sequence[str] | None
    base_url: str | None
    gateways: str | Sequence[str | Mapping[str, Any] | GatewaySpec] | None
    fallbacks: Sequence[str | Mapping[str, Any] | ProviderSpec] | Mapping[str, Any] | None
    address: str | None
    verify_proofs: bool | None
    trust: Any
    timeout: float | None
    first_token_timeout: float | None
    idle_timeout: float | None
    connect_timeout: float | None
    max_retries: int | None
    retry_ambiguous: bool | None
    hedge_after: float | None
    max_concurrent: int | None
    default_max_concurrent: int | None
    stream_internally: bool | None
    allow_private_hosts: bool | None
    refresh_enabled: bool | None
    refresh_interval_seconds: float | None


class ConfigArguments(ConnectionArguments, total=False):
    """What `GonkaConfig` takes; None always means "not given"."""

    model: str | None
    private_key: str | Secret | PrivateKey | None
    api_key: str | Secret | None
    register_as_fallback: bool | None
    model_name_prefix: str | None


@dataclass(frozen=True, kw_only=True, init=False, repr=False)
class GonkaConfig:
    """How to reach the network and how to behave there. Times are in seconds.

    Equal configurations share one session. The constructor takes values only; `build` and
    `from_env` also look into the environment.

    Raises:
        GonkaConfigError: An argument is unknown or wrong; the message names it, and no key.
    """

    #: Model to use when a call names none.
    model: str | None = None
    #: Key that signs requests to participants; text is taken too.
    private_key: PrivateKey | None = None
    #: Signs in place of a private key: an object with ``address`` and ``sign(digest)``.
    signer: Signer | None = None
    #: Nodes to discover participants from, without ``/v1``; one or several.
    source_url: tuple[str, ...] = ()
    #: Participants that are known already, as ``url;address``.
    endpoints: tuple[str, ...] = ()
    #: Gateways with their keys. ``base_url`` and ``api_key`` are short for one of them.
    gateways: tuple[GatewaySpec, ...] = ()
    #: OpenAI-compatible providers that take over when nothing else can serve.
    fallbacks: tuple[ProviderSpec, ...] = ()
    #: Account that pays, when it is not the key's own.
    address: str | None = None
    #: Whether participant lists must be proven by the chain.
    verify_proofs: bool = False
    #: Where the proof's trust begins: ``agreement``, or ``checkpoint:HEIGHT:HASH``.
    trust: Any = field(default=None, hash=False)
    #: For a whole call, over all attempts.
    timeout: float = 600.0
    #: Until the first content of an attempt.
    first_token_timeout: float = 60.0
    #: Between two pieces of a stream.
    idle_timeout: float = 60.0
    #: Until a connection is made.
    connect_timeout: float = 5.0
    #: Extra attempts of a call, over all endpoints.
    max_retries: int = 4
    #: Whether to repeat a signed request that may have been served, and charged, already.
    retry_ambiguous: bool = True
    #: When a second endpoint is asked as well; None never.
    hedge_after: float | None = None
    #: Requests in flight at one endpoint; None for no limit.
    max_concurrent: int | None = None
    #: Whether a call that does not stream is read as a stream inside, to survive broken answers.
    stream_internally: bool = True
    #: Whether discovered hosts may be on private networks.
    allow_private_hosts: bool = False
    #: Whether the participants are kept up to date.
    refresh_enabled: bool = True
    #: How often to look for a new epoch.
    refresh_interval_seconds: float = 60.0
    #: Whether participants are registered into a multiplexer as fallbacks.
    register_as_fallback: bool = False
    #: What registered names begin with where participants share a multiplexer with others.
    model_name_prefix: str = "gonka:"
    #: Names of the fields that were given rather than left at their defaults.
    given: frozenset[str] = field(default=frozenset(), init=False, compare=False)

    def __init__(self, **arguments: Unpack[ConfigArguments]) -> None:
        layers.conceal_in(arguments)  # type: ignore[arg-type]  # a plain dict of this call's own
        values = layers.checked(layers.settled(layers.named(arguments)))
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "given", frozenset(values))

    @classmethod
    def build(
        cls,
        config: GonkaConfig | None = None,
        *,
        environ: Mapping[str, str] | Environment | None = None,
        **arguments: Unpack[ConfigArguments],
    ) -> GonkaConfig:
        """A configuration of arguments, then *config*, then the environment, then defaults.

        Args:
            config: Fields given to it hold where no argument is given.
            environ: Stands for ``os.environ``; an empty mapping leaves the environment out.
            **arguments: As of the constructor; None means "not given".

        Raises:
            GonkaConfigError: As the constructor; for variables it names the variable as well.
        """
        layers.conceal_in(arguments)  # type: ignore[arg-type]  # a plain dict of this call's own
        environment = Environment.of(environ)
        del environ  # a traceback with local variables would list it
        own = {} if config is None else {name: getattr(config, name) for name in config.given}
        upper = layers.lay_over(own, layers.named(arguments))
        lower = layers.environment_layer(environment, upper)
        return cls(**layers.settled(layers.lay_over(lower, upper)))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> GonkaConfig:
        """A configuration of the environment alone. Files such as ``.env`` are not read."""
        environment = Environment.of(environ)
        del environ  # as above
        return cls.build(environ=environment)

    def replace(self, **changes: Unpack[ConfigArguments]) -> GonkaConfig:
        """This configuration with some fields changed."""
        return GonkaConfig.build(self, environ={}, **changes)

    def require_trust(self) -> None:
        """Make sure that proofs, where they are wanted, have something to begin with.

        Raises:
            GonkaConfigError: `verify_proofs` is on, and no `trust` is given.
        """
        if self.verify_proofs and self.source_url and self.trust is None:
            from .proof.trust import parse_trust  # noqa: PLC0415 - says what it may be

            parse_trust(self.trust)

    @property
    def credential(self) -> Signer | None:
        """Who signs: the signer, else the private key."""
        return self.signer or self.private_key

    @property
    def requester(self) -> str | None:
        """Address of the account that pays: `address`, else the credential's."""
        return self.address or (self.credential.address if self.credential else None)

    @property
    def default_max_concurrent(self) -> int | None:
        """Other name of `max_concurrent`."""
        return self.max_concurrent

    def require_source(self) -> None:
        """Makes sure that there is somebody to send requests to.

        Raises:
            GonkaConfigError: There is not; says what to give.
        """
        if self.gateways or self.fallbacks:
            return
        if not (self.source_url or self.endpoints):
            raise GonkaConfigError(_NO_SOURCE, field="source_url")
        if self.credential is None:
            raise GonkaConfigError(
                "private_key: participants are paid by signed requests, so a key is needed: give "
                "private_key (or set GONKA_PRIVATE_KEY), or signer, or use a gateway by base_url "
                "and api_key",
                field="private_key",
            )

    def __repr__(self) -> str:
        shown = (
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name in self.given
        )
        return f"GonkaConfig({', '.join(shown)})"


_NO_SOURCE = """source_url: nothing says where inference is done. Give one of
- participants: source_url (GONKA_SOURCE_URL) or endpoints (GONKA_ENDPOINTS), with private_key \
(GONKA_PRIVATE_KEY)
- a gateway: base_url (GONKA_BROKER_URL) with api_key (GONKA_BROKER_API_KEY)
- any OpenAI-compatible provider: fallbacks=[{"base_url": …, "api_key": …}]"""
