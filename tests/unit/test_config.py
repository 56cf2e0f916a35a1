"""GonkaConfig: who wins, what is refused and how it is said, and what is never shown."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest

from gonka_integrations.config import GatewaySpec, GonkaConfig, ProviderSpec
from gonka_integrations.core.keys import PrivateKey
from gonka_integrations.core.secrets import Secret
from gonka_integrations.errors import GonkaConfigError
from gonka_integrations.proof.trust import Agreement

KEY = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
ADDRESS = "gonka1xwu5ku9m6s60ptgpjftxn0klx35cx26ck7n0nk"
OTHER_KEY = "1".zfill(64)
HOST = "gonka10j92p70heuk0g9zhyylcpz0ftw8ed5ks46l2pw"
BEARER = "sk-do-not-show"


class Device:
    """A signer outside of the process."""

    address = HOST

    def sign(self, digest: bytes) -> bytes:
        return bytes(64)


def test_a_bare_configuration_exists_but_has_no_source() -> None:
    config = GonkaConfig()
    assert config == GonkaConfig.build(environ={})
    with pytest.raises(GonkaConfigError) as caught:
        config.require_source()
    for way in ("source_url", "endpoints", "private_key", "base_url", "api_key", "fallbacks"):
        assert way in str(caught.value)


def test_a_source_without_a_key_is_not_enough() -> None:
    with pytest.raises(GonkaConfigError, match="GONKA_PRIVATE_KEY") as caught:
        GonkaConfig(source_url="http://node:8000").require_source()
    assert caught.value.field == "private_key"


@pytest.mark.parametrize(
    "arguments",
    [
        {"source_url": "http://node:8000", "private_key": KEY},
        {"endpoints": f"http://node:8000;{HOST}", "signer": Device()},
        {"base_url": "https://gateway.example/v1", "api_key": BEARER},
        {"fallbacks": [{"base_url": "https://api.example/v1"}]},
        {"source_url": "http://node:8000", "base_url": "https://gateway.example"},
    ],
)
def test_ways_that_are_enough(arguments: dict[str, Any]) -> None:
    GonkaConfig(**arguments).require_source()


def test_defaults() -> None:
    config = GonkaConfig()
    assert (config.timeout, config.first_token_timeout, config.idle_timeout) == (600, 60, 60)
    assert (config.connect_timeout, config.max_retries, config.hedge_after) == (5, 4, None)
    assert config.retry_ambiguous
    assert config.stream_internally
    assert config.refresh_enabled
    assert config.refresh_interval_seconds == 60
    assert config.model_name_prefix == "gonka:"
    assert config.max_concurrent is config.default_max_concurrent is None
    assert not (config.verify_proofs)
    assert not (config.allow_private_hosts)
    assert not (config.register_as_fallback)


# field, variable, text in the environment, its value, the configuration's, the argument's
LAYERS = [
    ("model", "GONKA_MODEL", "env", "env", "config", "argument"),
    ("source_url", "GONKA_SOURCE_URL", "http://e", ("http://e",), ("http://c",), ("http://a",)),
    ("address", "GONKA_ADDRESS", ADDRESS, ADDRESS, HOST, ADDRESS),
    ("verify_proofs", "GONKA_VERIFY_PROOF", "1", True, False, True),
    ("trust", "GONKA_TRUST", "agreement:3", Agreement(3), Agreement(4), Agreement(5)),
    (
        "endpoints",
        "GONKA_ENDPOINTS",
        f"http://e;{HOST}",
        (f"http://e;{HOST}",),
        (f"http://c;{HOST}",),
        (f"http://a;{HOST}",),
    ),
    (
        "private_key",
        "GONKA_PRIVATE_KEY",
        KEY,
        PrivateKey.from_hex(KEY),
        PrivateKey.from_hex("2".zfill(64)),
        PrivateKey.from_hex(OTHER_KEY),
    ),
    (
        "gateways",
        "GONKA_BROKER_URL",
        "https://e",
        (GatewaySpec(base_url="https://e/v1"),),
        (GatewaySpec(base_url="https://c/v1"),),
        (GatewaySpec(base_url="https://a/v1"),),
    ),
]


@pytest.mark.parametrize(
    ("name", "variable", "text", "of_env", "of_config", "of_argument"),
    LAYERS,
    ids=[layer[0] for layer in LAYERS],
)
def test_precedence(  # noqa: PLR0917 - the columns of the table
    name: str, variable: str, text: str, of_env: Any, of_config: Any, of_argument: Any
) -> None:
    """Argument over configuration over environment over default."""
    default = getattr(GonkaConfig(), name)
    config = GonkaConfig(**{name: of_config})
    environ = {variable: text}
    cases = [
        (GonkaConfig.build(environ={}), default),
        (GonkaConfig.build(environ={variable: "  "}), default),
        (GonkaConfig.build(environ=environ), of_env),
        (GonkaConfig.build(config, environ={}), of_config),
        (GonkaConfig.build(config, environ=environ), of_config),
        (GonkaConfig.build(environ=environ, **{name: of_argument}), of_argument),
        (GonkaConfig.build(config, environ={}, **{name: of_argument}), of_argument),
        (GonkaConfig.build(config, environ=environ, **{name: of_argument}), of_argument),
        (GonkaConfig.build(config, environ=environ, **{name: None}), of_config),
    ]
    for number, (built, expected) in enumerate(cases):
        assert getattr(built, name) == expected, number


def test_the_process_environment_is_read_by_build_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_SOURCE_URL", "http://a:8000/v1/, http://b:8000")
    monkeypatch.setenv("GONKA_PRIVATE_KEY", f" 0x{KEY}\n")
    assert GonkaConfig().source_url == ()
    config = GonkaConfig.from_env()
    assert config == GonkaConfig.build()
    assert config.source_url == ("http://a:8000", "http://b:8000")
    assert config.requester == ADDRESS


def test_a_file_with_variables_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / ".env").write_text("GONKA_MODEL=from-file\n")
    monkeypatch.chdir(tmp_path)
    assert GonkaConfig.from_env().model is None


def test_a_variable_that_is_overruled_may_be_wrong() -> None:
    environ = {"GONKA_SOURCE_URL": "nonsense", "GONKA_PRIVATE_KEY": "nonsense"}
    config = GonkaConfig.build(environ=environ, source_url="http://a", signer=Device())
    assert config.credential is not None
    assert config.private_key is None


@pytest.mark.parametrize(
    ("variable", "text", "field"),
    [
        ("GONKA_SOURCE_URL", "node:8000", "source_url"),
        ("GONKA_ENDPOINTS", "http://node:8000", "endpoints"),
        ("GONKA_ADDRESS", "cosmos1", "address"),
        ("GONKA_VERIFY_PROOF", "maybe", "verify_proofs"),
        ("GONKA_PRIVATE_KEY", KEY[:-1], "private_key"),
        ("GONKA_BROKER_URL", f"gateway;{BEARER}", "gateways"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, text: str, field: str) -> None:
    with pytest.raises(GonkaConfigError) as caught:
        GonkaConfig.from_env({variable: text})
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field} (from {variable}): ")
    assert KEY[:-1] not in full_text(caught.value)
    assert BEARER not in full_text(caught.value)


@pytest.mark.parametrize("text", ["1", "true", "YES", "on"])
def test_words_for_yes(text: str) -> None:
    assert GonkaConfig.from_env({"GONKA_VERIFY_PROOF": text}).verify_proofs


@pytest.mark.parametrize("text", ["0", "false", "No", "off", ""])
def test_words_for_no(text: str) -> None:
    assert not GonkaConfig.from_env({"GONKA_VERIFY_PROOF": text}).verify_proofs


WRONG = [
    ("timeout", 0),
    ("timeout", -1.0),
    ("timeout", float("inf")),
    ("timeout", float("nan")),
    ("timeout", "60"),
    ("timeout", True),
    ("first_token_timeout", 0),
    ("idle_timeout", 0),
    ("connect_timeout", -1),
    ("hedge_after", 0),
    ("refresh_interval_seconds", 0),
    ("max_retries", -1),
    ("max_retries", 1.5),
    ("max_retries", True),
    ("max_concurrent", 0),
    ("retry_ambiguous", 1),
    ("verify_proofs", "yes"),
    ("model", ""),
    ("model", 5),
    ("model_name_prefix", " "),
    ("address", "gonka1"),
    ("address", 5),
    ("source_url", 5),
    ("source_url", ["http://a", 5]),
    ("source_url", "ftp://node"),
    ("source_url", "http://"),
    ("source_url", "http://user:word@node"),
    ("source_url", "http://node?x=1"),
    ("source_url", "http://no de"),
    ("source_url", "http://[::1"),
    ("source_url", "http://node:99999"),
    ("source_url", "http://node:0"),
    ("endpoints", ["http://node"]),
    ("endpoints", ["http://node;gonka1short"]),
    ("endpoints", [("http://node",)]),
    ("endpoints", [f"node;{HOST}"]),
    ("endpoints", 5),
    ("base_url", "gateway"),
    ("base_url", 5),
    ("gateways", [5]),
    ("gateways", 5),
    ("gateways", [{"api_key": BEARER}]),
    ("gateways", [{"base_url": "https://g", "key": BEARER}]),
    ("fallbacks", [{"base_url": "https://p", "tier": 0}]),
    ("fallbacks", [{"base_url": "https://p", "models": {"a": 5}}]),
    ("fallbacks", [{"base_url": "https://p", "models": "ab"}]),
    ("fallbacks", [{"base_url": "https://p", "name": 5}]),
    ("fallbacks", [{"base_url": "ftp://p", "api_key": BEARER}]),
    ("trust", "everybody"),
    ("trust", []),
    ("private_key", KEY[:-1]),
    ("private_key", 5),
    ("signer", object()),
]


@pytest.mark.parametrize(
    ("name", "value"), WRONG, ids=[f"{n}-{i}" for i, (n, _) in enumerate(WRONG)]
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any) -> None:
    for make in (GonkaConfig, GonkaConfig.build):
        with pytest.raises(GonkaConfigError) as caught:
            make(**{name: value})
        assert caught.value.field == name
        assert str(caught.value).startswith(f"{name}: ")
        assert BEARER not in full_text(caught.value)


def test_a_signer_must_have_an_address() -> None:
    device = Device()
    device.address = "gonka1"
    with pytest.raises(GonkaConfigError, match="signer: "):
        GonkaConfig(signer=device)


@pytest.mark.parametrize(
    ("name", "guess"), [("privat_key", "private_key"), ("url", None), ("sourceurl", "source_url")]
)
def test_an_unknown_argument_gets_a_hint(name: str, guess: str | None) -> None:
    with pytest.raises(GonkaConfigError, match="unknown argument") as caught:
        GonkaConfig.build(**{name: "x"})  # type: ignore[misc]
    assert caught.value.field == name
    if guess:
        assert f"did you mean {guess!r}?" in str(caught.value)


def test_other_names_and_contradictions() -> None:
    assert GonkaConfig(default_max_concurrent=5).max_concurrent == 5
    assert GonkaConfig(default_max_concurrent=5, max_concurrent=5).default_max_concurrent == 5
    with pytest.raises(GonkaConfigError, match="default_max_concurrent"):
        GonkaConfig(default_max_concurrent=5, max_concurrent=6)
    with pytest.raises(GonkaConfigError, match="not both"):
        GonkaConfig(private_key=KEY, signer=Device())
    with pytest.raises(GonkaConfigError, match="api_key: "):
        GonkaConfig(api_key=BEARER)


def test_a_signer_takes_the_place_of_a_key() -> None:
    config = GonkaConfig(private_key=KEY)
    device = Device()
    assert config.replace(signer=device).credential is device
    assert config.replace(signer=device).private_key is None
    assert config.replace(address=HOST).requester == HOST
    assert config.requester == ADDRESS
    assert GonkaConfig().requester is None


def test_forms_of_sources_and_endpoints() -> None:
    config = GonkaConfig(
        source_url=["http://a:1/", "http://b:2/v1/", "http://a:1"],
        endpoints=[f"http://c:3/v1;{HOST}", ("http://d:4", ADDRESS)],
    )
    assert config.source_url == ("http://a:1", "http://b:2")
    assert config.endpoints == (f"http://c:3;{HOST}", f"http://d:4;{ADDRESS}")
    assert GonkaConfig(endpoints=f"http://a;{HOST},http://b;{HOST}").endpoints == (
        f"http://a;{HOST}",
        f"http://b;{HOST}",
    )


def test_forms_of_gateways() -> None:
    a, b = Secret("key-a"), Secret("key-b")
    expected = (
        GatewaySpec(base_url="https://a/v1", api_key=a),
        GatewaySpec(base_url="https://b/v2", api_key=b),
    )
    forms: list[Any] = [
        "https://a;key-a,https://b/v2;key-b",
        ["https://a/v1/chat/completions;key-a", {"base_url": "https://b/v2/", "api_key": b}],
        expected,
    ]
    for form in forms:
        assert GonkaConfig(gateways=form).gateways == expected
    both = GonkaConfig(gateways="https://a;key-a", base_url="https://b/v2", api_key="key-b")
    assert both.gateways == expected
    assert GonkaConfig(base_url="https://a;key-a").gateways == expected[:1]


def test_forms_of_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "key")
    models = {"ours": "theirs", "a": "b"}
    config = GonkaConfig(
        fallbacks=[
            {"base_url": "https://p/v1", "api_key_env": "OTHER_API_KEY", "models": models},
            {"base_url": "https://q/v1", "api_key": "", "api_key_env": "NOT_SET", "tier": 2},
            "http://localhost:11434/v1",
        ]
    )
    first, second, third = config.fallbacks
    assert first.api_key == Secret("key")
    assert first.model_map == models
    assert second.api_key is None
    assert second.tier == 2
    assert third == ProviderSpec(base_url="http://localhost:11434/v1")
    assert GonkaConfig(fallbacks={"base_url": "https://p/v1"}).fallbacks[0].base_url


def keys(config: GonkaConfig) -> dict[str, str | None]:
    return {g.base_url: g.api_key.reveal() if g.api_key else None for g in config.gateways}


def test_brokers_of_the_environment() -> None:
    environ = {
        "GONKA_BROKER_URL": "https://a/v1;key-a, https://b/v1",
        "GONKA_BROKER_API_KEY": "common",
    }
    assert keys(GonkaConfig.from_env(environ)) == {
        "https://a/v1": "key-a",
        "https://b/v1": "common",
    }
    own = GonkaConfig.build(environ=environ, api_key="own")
    assert keys(own) == {"https://a/v1": "key-a", "https://b/v1": "own"}
    assert GonkaConfig.from_env({"GONKA_BROKER_API_KEY": "unused"}).gateways == ()


def test_a_key_of_the_environment_goes_to_no_other_host() -> None:
    environ = {"GONKA_BROKER_URL": "https://a/v1", "GONKA_BROKER_API_KEY": "common"}
    other = GonkaConfig.build(environ=environ, base_url="https://other/v1")
    assert keys(other) == {"https://other/v1": None}
    port = GonkaConfig.build(environ=environ, base_url="https://a:444/v1")
    assert keys(port) == {"https://a:444/v1": None}
    same = GonkaConfig.build(environ=environ, base_url="https://A:443/v2")
    assert keys(same) == {"https://A:443/v2": "common"}
    free = GonkaConfig.build(environ={"GONKA_BROKER_API_KEY": "k"}, base_url="https://x/v1")
    assert keys(free) == {"https://x/v1": "k"}
    odd = {"GONKA_BROKER_URL": "https://[;x", "GONKA_BROKER_API_KEY": "k"}
    assert keys(GonkaConfig.build(environ=odd, base_url="https://x")) == {"https://x/v1": "k"}


def test_equality_hash_and_freezing() -> None:
    one = GonkaConfig(private_key=KEY, source_url="http://a", fallbacks=["https://p/v1;key"])
    two = GonkaConfig.build(one, environ={}, timeout=600)
    assert one == two
    assert hash(one) == hash(two)
    assert len({one, two, one.replace(timeout=5)}) == 2
    assert one.replace(trust="agreement") != one
    assert one.replace(trust="agreement") == one.replace(trust={"kind": "agreement"})
    hash(one.replace(trust="agreement:3"))
    with pytest.raises(AttributeError):
        one.timeout = 5  # type: ignore[misc]
    assert copy.deepcopy(one) == one


def test_nothing_shows_a_key() -> None:
    config = GonkaConfig(
        private_key=KEY,
        gateways=[f"https://a;{BEARER}"],
        fallbacks=[{"base_url": "https://p/v1", "api_key": BEARER}],
    )
    for shown in (repr(config), str(config), repr(vars(config))):
        assert KEY not in shown
        assert BEARER not in shown
    assert ADDRESS in repr(config)
    assert "timeout" not in repr(config)


def test_pickles_hold_no_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {
        "GONKA_PRIVATE_KEY": KEY,
        "GONKA_SOURCE_URL": "http://a",
        "GONKA_BROKER_URL": f"https://a;{BEARER}-1,https://b",
        "GONKA_BROKER_API_KEY": f"{BEARER}-2",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = GonkaConfig.from_env()
    data = pickle.dumps(config)
    assert KEY.encode() not in data
    assert BEARER.encode() not in data
    loaded = pickle.loads(data)
    assert loaded == config
    assert loaded.given == config.given


def test_a_given_key_survives_pickling() -> None:
    config = GonkaConfig(private_key=KEY, base_url="https://a", api_key=BEARER)
    assert pickle.loads(pickle.dumps(config)) == config


def full_text(error: BaseException) -> str:
    """The error as a traceback that shows local variables, from our frames on."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    shown.stack = traceback.StackSummary.from_list(
        frame for frame in shown.stack if frame.filename != __file__
    )
    return "".join(shown.format()) + repr(error.__cause__) + repr(error.__context__)


def test_tracebacks_with_local_variables_show_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONKA_PRIVATE_KEY", OTHER_KEY)
    monkeypatch.setenv("GONKA_BROKER_API_KEY", "sk-variable")
    arguments: dict[str, Any] = {
        "private_key": KEY,
        "gateways": [{"base_url": "https://a", "api_key": BEARER}],
        "fallbacks": f"https://p/v1;{BEARER}",
        "timeout": -1,
    }
    for make in (GonkaConfig, GonkaConfig.build):
        with pytest.raises(GonkaConfigError) as caught:
            make(**arguments)
        text = full_text(caught.value)
        assert "timeout" in text
        for secret in (KEY, BEARER, OTHER_KEY, "sk-variable"):
            assert secret not in text
