"""The recipe of docs/scale.md, run as a user runs it: Ray on this machine, a local network."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("ray.data")

from gonka_integrations import ChatGonka
from gonka_integrations.devnet import Devnet

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # Ray's own warnings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"
MODELS = Path(__file__).with_name("models.py")
MODEL = "gonka/test-model"
PROMPTS = 1_000
PATIENCE = 300.0
ALONE = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}


@pytest.fixture(scope="module")
def code() -> str:
    return PAGE.read_text().split('```python title="ask_all.py"\n', 1)[1].split("\n```", 1)[0]


@pytest.fixture(scope="module")
def recipe(code: str) -> Any:
    """The page's code as a module that Ray pickles whole, as it does with a script."""
    module = ModuleType("ask_all")
    exec(compile(code, "ask_all.py", "exec"), module.__dict__)
    return module


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=3, gateways=0, token_delay=0.02) as net:
        yield net


def asked(net: Devnet) -> int:
    return sum(host.request_count for host in net.hosts)


def until(condition: Callable[[], bool], job: subprocess.Popen[bytes] | None = None) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, "it takes too long"
        assert job is None or job.poll() is None, "the job ended early"
        time.sleep(0.05)


def until_calm(net: Devnet) -> None:
    """Until workers that have lost their driver are gone."""
    seen = -1
    while seen != asked(net) or any(host.in_flight for host in net.hosts):
        seen = asked(net)
        time.sleep(2.0)


def shown(log: Path) -> list[tuple[int, int]]:
    found = re.findall(r"^(\d+) of \d+ answered, (\d+) failed$", log.read_text(), re.MULTILINE)
    return [(int(done), int(failed)) for done, failed in found]


def test_a_thousand_prompts_killed_half_way_and_resumed(
    tmp_path: Path, net: Devnet, code: str, recipe: Any
) -> None:
    """Every prompt is answered, progress is shown, and the second run asks for the rest only."""
    script, prompts, folder = tmp_path / "ask_all.py", tmp_path / "prompts.jsonl", tmp_path / "out"
    script.write_text(code)
    rows = [{"id": n, "prompt": f"question {n}"} for n in range(PROMPTS)]
    prompts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [
        sys.executable, str(script), str(prompts), str(folder),
        "--source", net.source_url, "--model", MODEL, "--workers", "4",
    ]  # fmt: skip
    environment = {**os.environ, **ALONE, "GONKA_PRIVATE_KEY": net.private_key}

    def start(log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as file:
            return subprocess.Popen(
                command, env=environment, cwd=tmp_path, stdout=file, stderr=subprocess.STDOUT
            )

    first = start(tmp_path / "first.log")
    try:
        until(lambda: asked(net) >= PROMPTS // 2, first)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    until_calm(net)
    before, kept = asked(net), recipe.answered(folder)
    assert PROMPTS // 4 < len(kept) <= before < PROMPTS
    assert before - len(kept) <= 4 * 8  # what was under way in 4 workers of 8 calls each

    second = start(tmp_path / "second.log")
    try:
        assert second.wait(PATIENCE) == 0, (tmp_path / "second.log").read_text()[-3_000:]
    finally:
        second.kill()
    assert asked(net) - before == PROMPTS - len(kept)
    assert recipe.answered(folder) == {n: f"You said: question {n}" for n in range(PROMPTS)}

    log = (tmp_path / "second.log").read_text()
    assert f"{len(kept)} of {PROMPTS} answered before" in log
    progress = shown(tmp_path / "second.log")
    assert progress == sorted(progress)
    assert len(progress) > 5
    assert progress[-1] == (PROMPTS, 0)
    for file in tmp_path.rglob("*"):
        assert file.is_dir() or net.private_key.encode() not in file.read_bytes(), file

    said: list[str] = []
    total = asked(net)
    recipe.ask_all(None, prompts, folder, report=said.append)  # nothing is left: no Ray needed
    assert said == [f"{PROMPTS} of {PROMPTS} answered before"]
    assert asked(net) == total


def test_what_ray_pickles_has_no_key(
    net: Devnet, recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the actor's arguments nor the whole plan of the data set have the key in them."""
    from ray import cloudpickle

    monkeypatch.setenv("GONKA_PRIVATE_KEY", net.private_key)
    monkeypatch.setenv("GONKA_SOURCE_URL", net.source_url)
    key = net.private_key
    known = recipe.known_endpoints(net.source_url, MODEL)
    assert known == list(net.endpoints)
    model = ChatGonka(model=MODEL, endpoints=known, source_url=[])
    assert model.invoke("hello").text == "You said: hello"  # it has a session by now
    shipped = cloudpickle.dumps((recipe.Ask, {"model": model, "folder": "f", "in_flight": 8}))
    assert len(shipped) > 500
    assert key.encode() not in shipped
    assert bytes.fromhex(key) not in shipped
    assert cloudpickle.loads(shipped)[1]["model"].invoke("there").text == "You said: there"

    given = cloudpickle.dumps(ChatGonka(model=MODEL, endpoints=known, private_key=key))
    assert key.encode() in given  # so this test would see it


def test_one_session_in_each_process(net: Devnet) -> None:
    """However often a model is shipped to a process, it keeps to one session, and reads nothing."""
    environment = {
        **os.environ,
        **ALONE,
        "GONKA_PRIVATE_KEY": net.private_key,
        "GONKA_SOURCE_URL": net.source_url,
    }
    done = subprocess.run(
        [sys.executable, str(MODELS), ",".join(net.endpoints)],
        env=environment, capture_output=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    assert net.private_key.encode() not in done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["answers"] == ["You said: hello"] * 6
    assert len({one["pid"] for one in result["told"]}) == 2
    for one in result["told"]:
        assert (one["models"], one["sessions"], one["participants"]) == (3, 1, 0)
