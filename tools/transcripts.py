"""Make docs/cli.md: every command of `gonka`, run over a local network, with what it printed.

python tools/transcripts.py
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from gonka_integrations.devnet import Devnet

_PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
_PORT = 9000
_DEVNET = "devnet --port 9100"
_KEY = re.compile(r"(?<=GONKA_PRIVATE_KEY=)[0-9a-f]{64}")

_HEAD = """\
<!-- Made by tools/transcripts.py (make reference); edit the code instead. -->

# Command line

```bash
pip install "gonka-integrations[cli]"
```

Every command reads the same environment as the library: `GONKA_SOURCE_URL`, `GONKA_BROKER_URL` and
so on ([configuration](reference/configuration.md)). `--json` prints JSON for machines. Exit codes:
0 all is well; 1 something failed, or a check of `doctor` did; 2 the command line or the
configuration is wrong; 130 interrupted. Errors are text on standard error, also with `--json`. No
command prints a key or takes one as an argument; only `gonka devnet` shows those it has made for
its own network.

Everything below was printed by the commands, over a [local network](start/devnet.md) of three
hosts and a gateway.
"""

# Title, what it is for, command lines.
_SECTIONS = (
    ("gonka", "", ("--help",)),
    (
        "gonka keys",
        "Keys live in files that only their owner can read. `keys new` makes one with backup words "
        "(coin type 1200), `keys import` takes one from standard input.",
        (
            "keys new --out key.env",
            "keys address --key-file key.env",
            "echo 0000000000000000000000000000000000000000000000000000000000000001 | "
            "keys import --out one.env",
            "keys --help",
        ),
    ),
    (
        "gonka doctor",
        "Checks what your programs would use, and says what to do about what is wrong. `--call` "
        "also sends one short request.",
        (
            "doctor --call",
            "doctor --base-url http://127.0.0.1:9/v1 --model nobody/serves-this",
            "doctor --help",
        ),
    ),
    (
        "gonka participants",
        "Who takes part in the epoch, and who is left out and why. Needs no key.",
        ("participants", "participants --epoch 7", "participants --help"),
    ),
    ("gonka models", "What the network and each gateway serves.", ("models", "models --help")),
    (
        "gonka epoch",
        "Where the chain is, and when participants change.",
        ("epoch", "epoch --json", "epoch --help"),
    ),
    (
        "gonka verify",
        "Whether a participant list is the network's, with the evidence. On the public network, "
        "leave `@gonka-devnet` away.",
        (
            "verify http://127.0.0.1:9000 http://127.0.0.1:9001 --trust agreement@gonka-devnet",
            "verify http://127.0.0.1:9000 http://127.0.0.1:9001",
            "verify --help",
        ),
    ),
    (
        "gonka chat",
        "One question, or a conversation without one; each answer says who served it.",
        (
            "chat 'Is anybody there?'",
            "chat --json 'Hello'",
            "printf 'Hello\\nAnd again\\n/quit\\n' | chat",
            "chat --model nobody/serves-this Hello",
            "chat --help",
        ),
    ),
    (
        "gonka status",
        "Every endpoint and whether it answers; `--watch` keeps the table up to date.",
        ("status", "status --source-url http://127.0.0.1:9", "status --help"),
    ),
    (
        "gonka bench",
        "How fast each endpoint answers. It asks real questions, which may cost money.",
        ("bench -n 3", "bench --help"),
    ),
    (
        "gonka devnet",
        "A network on this machine, until it is interrupted. Paste the lines it prints into "
        "another terminal. The key is left out here.",
        (_DEVNET, "devnet --help"),
    ),
)


def transcript(line: str, folder: str, environment: dict[str, str]) -> str:
    """What the terminal shows for one command line."""
    before, pipe, arguments = line.rpartition("| ")
    command = [sys.executable, "-m", "gonka_integrations", *shlex.split(arguments)]
    given = (
        subprocess.run(
            shlex.split(before.rstrip("| ")), capture_output=True, text=True, check=True
        ).stdout
        if pipe
        else ""
    )
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=environment,
        input=given,
    )  # fmt: skip
    shown = "\n".join(row.rstrip() for row in (done.stdout + done.stderr).strip().splitlines())
    code = f"\n[exit code {done.returncode}]" if done.returncode else ""
    return f"```console\n$ {before}{pipe}gonka {arguments}\n{shown}{code}\n```\n"


def local_network(environment: dict[str, str]) -> str:
    """What the terminal shows of a local network that is interrupted when it is ready."""
    command = [sys.executable, "-m", "gonka_integrations", *shlex.split(_DEVNET)]
    shown = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            shown.append(_KEY.sub("…", line))
            if "GONKA_BROKER_API_KEY" in line:
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    return f"```console\n$ gonka {_DEVNET}\n{''.join(shown).strip()}\n^C\n```\n"


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    with tempfile.TemporaryDirectory() as folder, Devnet(hosts=3, port=_PORT, proofs=True) as net:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("GONKA_")}
        environment = kept | {
            "XDG_CONFIG_HOME": folder,
            "XDG_STATE_HOME": folder,
            "NO_COLOR": "1",
            "TERMINAL_WIDTH": "100",
            "COLUMNS": "100",
            "GONKA_SOURCE_URL": net.source_url,
            "GONKA_PRIVATE_KEY": net.private_key,
            "GONKA_BROKER_URL": net.gateway.base_url,
            "GONKA_BROKER_API_KEY": str(net.gateway.api_key),
            "GONKA_MODEL": net.models[0],
        }
        for title, about, lines in _SECTIONS:
            parts.append(f"\n## {title}\n")
            parts.append(f"\n{about}\n" if about else "")
            for line in lines:
                shown = (
                    local_network(environment)
                    if line == _DEVNET
                    else transcript(line, folder, environment)
                )
                parts.append("\n" + shown)
                assert net.private_key not in parts[-1], f"{line} shows a key"
    return re.sub(r"\n{3,}", "\n\n", "".join(parts))


def main() -> None:
    """Write the page."""
    _PAGE.write_text(page())


if __name__ == "__main__":
    main()
