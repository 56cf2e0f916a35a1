"""Models in other processes: what travels there, what does not, and who shares what."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import pytest

from gonka_integrations import GonkaConfig, GonkaConfigError
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet

MODEL = "gonka/test-model"
PATIENCE = 120.0
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
# Python 3.12 and later warn of any fork beside threads; that ours survives it is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def chat_gonka(**fields: Any) -> Any:
    pytest.importorskip("langchain_core")
    from gonka_integrations import ChatGonka

    return ChatGonka(model=MODEL, **fields)


def gonka_llm(**fields: Any) -> Any:
    pytest.importorskip("llama_index.core")
    from gonka_integrations import GonkaLLM

    return GonkaLLM(MODEL, **fields)


MAKERS = pytest.mark.parametrize("make", [chat_gonka, gonka_llm])
Make = Callable[..., Any]


def ask(model: Any, prompt: str) -> str:
    return str(model.invoke(prompt).text if hasattr(model, "invoke") else model.complete(prompt))


class Told(NamedTuple):
    """What a worker process says."""

    pid: int
    answer: str
    shares: bool


def work(model: Any, prompt: str) -> Told:
    """In a worker: ask, and see whether an equal model would use the same session."""
    equal = pickle.loads(pickle.dumps(model))
    answer = ask(model, prompt)
    return Told(os.getpid(), answer, equal.session is model.session)


def through_pool(method: str, model: Any, prompts: list[str]) -> list[Told]:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(max_workers=2, mp_context=context) as pool:
        return list(pool.map(work, [model] * len(prompts), prompts, timeout=PATIENCE))


def in_child(task: Callable[[], str]) -> str:
    """What *task* returns in a forked child, which inherits everything and pickles nothing."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(
        target=lambda: sender.send(task()), daemon=True
    )
    child.start()
    sender.close()
    try:
        assert receiver.poll(PATIENCE), "the child hangs"
        return str(receiver.recv())
    finally:
        child.kill()
        child.join()
        child.close()
        receiver.close()


@pytest.fixture
def environment(devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> Devnet:
    monkeypatch.setenv("GONKA_SOURCE_URL", devnet.source_url)
    monkeypatch.setenv("GONKA_PRIVATE_KEY", devnet.private_key)
    return devnet


@MAKERS
@pytest.mark.parametrize("method", ["spawn", pytest.param("fork", marks=needs_fork)])
def test_worker_processes(environment: Devnet, make: Make, method: str) -> None:
    """Models work in worker processes, and equal ones share the session of their process."""
    model = make()
    assert ask(model, "before") == "You said: before"
    prompts = [f"question {n}" for n in range(6)]
    told = through_pool(method, model, prompts)
    assert [one.answer for one in told] == [f"You said: {prompt}" for prompt in prompts]
    assert all(one.shares for one in told)
    assert os.getpid() not in {one.pid for one in told}
    assert ask(model, "after") == "You said: after"  # nobody has used up its connections
    assert sum(host.request_count for host in environment.hosts) == 8


@needs_fork
@MAKERS
def test_a_forked_child_goes_on(environment: Devnet, make: Make) -> None:
    """A model that is in use is inherited: the child opens connections of its own."""
    model = make()
    ask(model, "before")
    opened = sum(host.connections for host in environment.hosts)
    assert in_child(lambda: ask(model, "child")) == "You said: child"
    assert ask(model, "after") == "You said: after"
    assert opened >= 1


@needs_fork
def test_a_child_forked_during_calls_has_the_room_of_its_own(environment: Devnet) -> None:
    """Calls that the parent has in flight take no room in the child."""
    config = GonkaConfig.from_env().replace(max_concurrent=1)
    payload = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    with GonkaSession(config) as session:
        session.chat.complete(payload)
        streams = [session.chat.stream(payload) for _ in environment.hosts]
        try:
            told = in_child(
                lambda: session.chat.complete(payload).data["choices"][0]["message"]["content"]
            )
        finally:
            for stream in streams:
                stream.close()
    assert told == "You said: hello"


@needs_fork
def test_a_child_forked_while_a_thread_holds_the_pool(environment: Devnet) -> None:
    """A lock that a thread of the parent held does not exist in the child."""
    payload = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    with GonkaSession(GonkaConfig.from_env()) as session:
        session.chat.complete(payload)
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with session.pool._lock:
                held.set()
                done.wait(PATIENCE)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        try:
            told = in_child(
                lambda: session.chat.complete(payload).data["choices"][0]["message"]["content"]
            )
        finally:
            done.set()
            holder.join()
    assert told == "You said: hello"


@MAKERS
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_keys_of_the_environment_stay_there(environment: Devnet, make: Make, protocol: int) -> None:
    """A pickle has neither digits nor bytes of a key that is in the environment."""
    model = make()
    ask(model, "hello")  # with a session, which must not travel either
    data = pickle.dumps(model, protocol=protocol)
    key = environment.private_key
    assert key.encode() not in data
    assert bytes.fromhex(key) not in data
    assert ask(pickle.loads(data), "there") == "You said: there"


@MAKERS
def test_a_gateways_key_stays_too(
    devnet: Devnet, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONKA_BROKER_URL", devnet.gateway.base_url)
    monkeypatch.setenv("GONKA_BROKER_API_KEY", devnet.gateway.api_key)
    data = pickle.dumps(make())
    assert devnet.gateway.api_key.encode() not in data
    assert ask(pickle.loads(data), "there") == "You said: there"


@MAKERS
def test_a_key_that_was_given_travels(devnet: Devnet, make: Make) -> None:
    """A worker without the variable could not use the model otherwise."""
    data = pickle.dumps(make(private_key=devnet.private_key, source_url=devnet.source_url))
    assert devnet.private_key.encode() in data
    assert ask(pickle.loads(data), "there") == "You said: there"


@MAKERS
def test_a_worker_without_the_key_says_which_variable_it_lacks(
    environment: Devnet, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pickle.dumps(make())
    monkeypatch.delenv("GONKA_PRIVATE_KEY")
    with pytest.raises(GonkaConfigError, match="GONKA_PRIVATE_KEY"):
        ask(pickle.loads(data), "there")


@MAKERS
def test_models_of_a_driver_that_discovered_read_nothing(environment: Devnet, make: Make) -> None:
    """`source_url=[]` keeps workers from reading, also where the environment names a source."""
    model = pickle.loads(pickle.dumps(make(endpoints=environment.endpoints, source_url=[])))
    assert ask(model, "there") == "You said: there"
    assert model.config.source_url == ()
    assert model.session.participants() == ()
