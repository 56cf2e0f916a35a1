"""The command itself: help, versions, mistakes, and running the local network."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from gonka_integrations import __version__
from gonka_integrations.devnet import Devnet

from .conftest import Gonka
from .test_network import settings

COMMANDS = (
    "doctor", "keys", "participants", "models", "epoch", "verify", "chat", "status", "bench",
    "devnet",
)  # fmt: skip


def test_help_lists_every_command(gonka: Gonka) -> None:
    ran = gonka("--help")
    assert ran.code == 0
    assert all(f" {name} " in ran.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(gonka: Gonka, name: str) -> None:
    ran = gonka(name, "--help")
    assert ran.code == 0
    assert "usage" in ran.out.lower()


def test_version(gonka_process: Gonka) -> None:
    assert __version__ in gonka_process("--version").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["doctor", "--call"],
        ["keys", "address"],
        ["participants"],
        ["models"],
        ["epoch"],
        ["chat", "Hello"],
        ["status"],
        ["bench", "-n", "1"],
    ],
)
def test_every_command_runs_as_a_process(
    gonka_process: Gonka, devnet: Devnet, arguments: list[str]
) -> None:
    ran = gonka_process(*arguments, **settings(devnet))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out
    assert devnet.private_key not in ran.out
    assert str(devnet.gateway.api_key) not in ran.out


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["chat", "--nonsense"], ["status", "--source-url", "ftp://x"]]
)
def test_mistakes_are_2(gonka: Gonka, arguments: list[str]) -> None:
    ran = gonka(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_no_option_takes_a_key(gonka: Gonka) -> None:
    for name in COMMANDS:
        shown = gonka(name, "--help").out
        assert "--private-key" not in shown
        assert "--api-key" not in shown


def test_devnet_on_a_port_in_use_says_what_to_do(gonka_process: Gonka, devnet: Devnet) -> None:
    taken = devnet.source_url.rpartition(":")[2]
    ran = gonka_process("devnet", "--port", taken)
    assert ran.code == 1
    assert f"a port from {taken} on is in use" in ran.err
    assert "--port" in ran.err


def test_devnet_calls_itself_by_the_name_it_was_started_with(gonka_process: Gonka) -> None:
    assert gonka_process("devnet", "--help").out.startswith("usage: gonka devnet")


def test_devnet_runs_until_interrupted() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gonka_integrations", "devnet", "--port", "0", "--hosts", "2"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert process.stdout is not None
    with process.stdout:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "GONKA_BROKER_API_KEY" in line:
                process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert sum(line.startswith("host ") for line in lines) == 2
