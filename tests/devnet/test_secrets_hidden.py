"""No key is seen anywhere: not in logs, texts, tracebacks, pickles or dumps, whatever happens."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pool_doors import (
    HELLO,
    MODEL,
    PAYLOAD,
    async_sdk_over,
    gateways_of,
    providers_of,
    sdk_over,
    session_over,
    text_in,
)

from gonka_integrations.config import GonkaConfig
from gonka_integrations.core.client_factory import GonkaClientFactory
from gonka_integrations.core.multiplexer import Multiplexer
from gonka_integrations.core.served import CallOptions
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault
from gonka_integrations.errors import GonkaConfigError

OWN_GATEWAY_KEY = "gk-the-secret-of-the-gateway"
OWN_PROVIDER_KEY = "sk-the-secret-of-the-provider"


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=2, gateways=1, providers=1) as net:
        net.gateway.api_key = OWN_GATEWAY_KEY
        net.provider.api_key = OWN_PROVIDER_KEY
        yield net


class Watch:
    """Looks for keys in whatever it is shown."""

    def __init__(self, net: Devnet) -> None:
        key = net.private_key
        number = int(key, 16)
        raw = bytes.fromhex(key)
        self.needles = [key, key.upper(), str(number), repr(raw)[2:-1], OWN_GATEWAY_KEY]
        self.needles.append(OWN_PROVIDER_KEY)
        self.bytes = [raw, key.encode(), OWN_GATEWAY_KEY.encode(), OWN_PROVIDER_KEY.encode()]

    def text(self, shown: object) -> None:
        text = shown if isinstance(shown, str) else f"{shown!r} {shown}"
        for needle in self.needles:
            assert needle not in text, f"a key is seen in {text[:300]}"

    def pickled(self, value: object) -> None:
        data = pickle.dumps(value)
        for needle in self.bytes:
            assert needle not in data

    def error(self, error: BaseException) -> None:
        """The error, its causes, its arguments, and its traceback with local variables."""
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        self.text("".join(frames.format()))
        seen: BaseException | None = error
        while seen is not None:
            self.text(repr(seen.args))
            self.text(repr(vars(seen)))
            for record in getattr(seen, "attempts", ()):
                self.text(record)
            request = getattr(seen, "request", None)
            if request is not None:
                self.text(str(request.headers))
            seen = seen.__cause__ or seen.__context__


@pytest.fixture
def watch(net: Devnet, caplog: pytest.LogCaptureFixture) -> Iterator[Watch]:
    """Looks at the logs of everybody, the HTTP libraries included, when the test is over."""
    names = ("httpcore", "httpcore2", "httpx", "httpx2", "aiohttp", "openai", "asyncio", "urllib3")
    levels = {}
    for name in (None, "gonka_integrations", *names):
        logger = logging.getLogger(name)
        levels[logger] = logger.level
        logger.setLevel(logging.DEBUG)
    # The devnet is the other side of the wire.
    logging.getLogger("gonka_integrations.devnet").setLevel(logging.WARNING)
    caplog.handler.setLevel(logging.DEBUG)
    watch = Watch(net)
    yield watch
    for logger, level in levels.items():
        logger.setLevel(level)
    for record in caplog.get_records("call"):
        watch.text(f"{record.getMessage()} {record.args!r} {record.exc_text or ''}")
        if record.exc_info and record.exc_info[1]:
            watch.error(record.exc_info[1])


def arguments_of(net: Devnet) -> dict[str, Any]:
    return {
        "private_key": net.private_key,
        "source_url": net.source_url,
        "gateways": gateways_of(net),
        "fallbacks": providers_of(net),
    }


def fail(net: Devnet, fault: Fault | None) -> None:
    for server in net.servers:
        server.fault = fault


FAULTS = [
    Fault("refuse"),
    Fault("reset"),
    Fault("status", status=400),
    Fault("status", status=401, body={"error": "PubKey:invalid signature"}),
    Fault("status", status=500),
    Fault("garbage"),
    Fault("role_then_cut"),
    Fault("cut", after_tokens=1),
]


def caught_from(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return error
    pytest.fail("it did not fail")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.kind}-{fault.status}")
def test_failing_calls_through_every_door(net: Devnet, watch: Watch, fault: Fault) -> None:
    quick = CallOptions(timeout=0.5)  # a pool that has worked is waited for
    with session_over(net, **arguments_of(net), max_retries=1) as session:
        session.chat.complete(PAYLOAD)
        fail(net, fault)
        calls: list[Callable[[], Any]] = [
            lambda: list(session.chat.stream(PAYLOAD, quick)),
            lambda: list(sdk_over(session).chat.completions.create(
                model=MODEL, messages=HELLO, stream=True, timeout=0.5)),
        ]  # fmt: skip
        if fault.kind != "cut":
            calls.append(lambda: session.chat.complete(PAYLOAD, quick))
        for call in calls:
            watch.error(caught_from(call))
        watch.text(session.stats())
        for endpoint in session.endpoints():
            watch.text(endpoint)
        watch.text(session.config)
    gc.collect()


async def test_failing_calls_on_event_loops(net: Devnet, watch: Watch) -> None:
    async with session_over(net, **arguments_of(net), max_retries=1) as session:
        fail(net, Fault("reset"))
        for call in (
            session.chat.acomplete(PAYLOAD),
            session.chat.astream(PAYLOAD),
            async_sdk_over(session).chat.completions.create(model=MODEL, messages=HELLO),
        ):
            with pytest.raises(Exception) as caught:
                await call
            watch.error(caught.value)


async def test_calls_that_are_cancelled(net: Devnet, watch: Watch) -> None:
    async with session_over(net, **arguments_of(net)) as session:
        for server, fault in ((net.servers, Fault("hang")), (net.hosts, Fault("refuse"))):
            for one in server:
                one.fault = fault
            for call in (session.chat.acomplete(PAYLOAD), session.chat.astream(PAYLOAD)):
                with pytest.raises(TimeoutError) as caught:
                    async with asyncio.timeout(0.2):
                        await call
                watch.error(caught.value)


def test_calls_that_succeed(net: Devnet, watch: Watch) -> None:
    with session_over(net, **arguments_of(net)) as session:
        for _ in range(6):
            completion = session.chat.complete(PAYLOAD)
            watch.text(completion)
            watch.text(completion.served.as_dict())
        with session.chat.stream(PAYLOAD) as stream:
            watch.text(stream)
            assert text_in(stream)
        raw = sdk_over(session).chat.completions.with_raw_response.create(
            model=MODEL, messages=HELLO
        )
        watch.text(str(raw.headers))
        watch.text(str(raw.http_response.request.headers))
        watch.text(str(vars(session)))
        with Multiplexer() as mux:
            for endpoint in session.endpoints():
                mux.add_model(endpoint, 1, MODEL)
            watch.text(str(vars(mux)))
            watch.text(mux.get_stats())
    factory = GonkaClientFactory(net.private_key)
    watch.text(factory)
    watch.text(str(vars(factory)))


def test_wrong_values_are_refused_without_being_shown(net: Devnet, watch: Watch) -> None:
    bad: list[dict[str, Any]] = [
        {"private_key": net.private_key + "0"},
        {"private_key": f"{net.private_key} {net.private_key}"},
        {"private_key": net.private_key, "timeout": -1},
        {"private_key": net.private_key, "no_such_field": 1},
        {"base_url": "nonsense", "api_key": OWN_GATEWAY_KEY},
        {"gateways": [{"base_url": "nonsense", "api_key": OWN_GATEWAY_KEY}]},
        {"fallbacks": [{"base_url": "https://x", "api_kye": OWN_PROVIDER_KEY}]},
        {"fallbacks": [{"base_url": "https://x", "api_key": OWN_PROVIDER_KEY, "tier": 0}]},
    ]
    for arguments in bad:
        error = caught_from(lambda arguments=arguments: GonkaConfig(**arguments))
        assert isinstance(error, GonkaConfigError)
        watch.text(str(error))
        # The test's own frames hold the keys; those of the package may not.
        frames = traceback.TracebackException.from_exception(error, capture_locals=True)
        for frame in frames.stack:
            if "gonka_integrations" in frame.filename:
                watch.text(str(frame.locals))


def test_what_came_from_the_environment_is_not_pickled(
    net: Devnet, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONKA_PRIVATE_KEY", net.private_key)
    monkeypatch.setenv("GONKA_SOURCE_URL", net.source_url)
    monkeypatch.setenv("GONKA_BROKER_URL", net.gateway.base_url)
    monkeypatch.setenv("GONKA_BROKER_API_KEY", OWN_GATEWAY_KEY)
    config = GonkaConfig.from_env()
    watch.pickled(config)
    assert pickle.loads(pickle.dumps(config)) == config
    with GonkaSession(config) as session:
        session.chat.complete(PAYLOAD)
        watch.pickled(session.stats())


def test_the_wrappers_dumps(net: Devnet, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_core")
    pytest.importorskip("llama_index.core")
    from langchain_core.load import dumpd, dumps

    from gonka_integrations import ChatGonka, GonkaLLM

    monkeypatch.setenv("GONKA_PRIVATE_KEY", net.private_key)
    given = arguments_of(net)
    for chat in (
        ChatGonka(model=MODEL, **given),
        ChatGonka(model=MODEL, base_url=net.gateway.base_url, api_key=OWN_GATEWAY_KEY),
    ):  # type: ignore[arg-type]
        for shown in (repr(chat), str(chat), dumps(chat), str(dumpd(chat)), str(chat.model_dump())):
            watch.text(shown)
        watch.text(chat.model_dump_json())
        watch.text(repr(chat.invoke("Hello")))
        fail(net, Fault("status", status=400))
        watch.error(caught_from(lambda chat=chat: chat.invoke("Hello")))
        fail(net, None)
        chat.session.close()
    for llm in (
        GonkaLLM(MODEL, **given),
        GonkaLLM(MODEL, base_url=net.gateway.base_url, api_key=OWN_GATEWAY_KEY),
    ):
        for shown in (
            repr(llm),
            str(llm),
            str(llm.to_dict()),
            llm.to_json(),
            str(llm.model_dump()),
        ):
            watch.text(shown)
        watch.text(repr(llm.complete("Hello")))
        fail(net, Fault("status", status=400))
        watch.error(caught_from(lambda llm=llm: llm.complete("Hello")))
        fail(net, None)
        llm.session.close()
    from_environment = ChatGonka(model=MODEL, source_url=net.source_url)
    watch.pickled(from_environment)
    watch.pickled(GonkaLLM(MODEL, source_url=net.source_url))
