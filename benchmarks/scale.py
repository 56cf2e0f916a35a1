"""Prompts a second by number of workers: the recipe of docs/scale.md on a local network.

    .venv-scale/bin/python -m benchmarks.scale [--workers 1 2 4 8] [--prompts 240] [--token-delay S]

The network runs in this process and its hosts take their time (`token_delay`), as models do, so
that what is measured is how many calls are under way and not how fast this machine is. Rates are
taken between the first and the last tenth of the arrivals: starting Ray's workers is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import ray
import ray.data

from benchmarks.common.machine import describe, load
from benchmarks.common.table import markdown
from gonka_integrations import ChatGonka
from gonka_integrations.devnet import Devnet

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
MODEL = "gonka/test-model"
ANSWER = "one two three four five six seven eight nine ten"


def recipe() -> ModuleType:
    """The page's code as a module that travels to workers whole."""
    code = PAGE.read_text().split('```python title="ask_all.py"\n', 1)[1].split("\n```", 1)[0]
    module = ModuleType("ask_all")
    exec(compile(code, "ask_all.py", "exec"), module.__dict__)  # our own page
    return module


def measure(
    net: Devnet, ask_all: Any, folder: Path, workers: int, options: argparse.Namespace
) -> float:
    """Prompts a second of one run."""
    count = options.prompts * workers
    prompts = folder / "prompts.jsonl"
    prompts.write_text(
        "".join(json.dumps({"id": n, "prompt": f"repeat: {ANSWER}"}) + "\n" for n in range(count))
    )
    for host in net.hosts:
        host.requests.clear()
    model = ChatGonka(model=MODEL, endpoints=net.endpoints, source_url=[])
    ask_all(
        model,
        prompts,
        folder / f"answers of {workers}",
        workers=workers,
        in_flight=options.in_flight,
        batch_size=options.in_flight * 5,
        report=lambda _: None,
    )
    arrivals = sorted(request.time for host in net.hosts for request in host.requests)
    if len(arrivals) != count:
        raise AssertionError(f"{len(arrivals)} requests for {count} prompts")
    first, last = len(arrivals) // 10, len(arrivals) * 9 // 10
    return (last - first) / (arrivals[last] - arrivals[first])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--prompts", type=int, default=60, help="for each worker")
    parser.add_argument("--in-flight", type=int, default=4, help="calls of one worker at once")
    parser.add_argument("--token-delay", type=float, default=0.1, help="seconds")
    options = parser.parse_args()
    ask_all = recipe().ask_all
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows: list[list[str]] = []
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Devnet(hosts=3, gateways=0, token_delay=options.token_delay) as net,
    ):
        os.environ["GONKA_PRIVATE_KEY"] = net.private_key
        ray.init(log_to_driver=False)
        base = 0.0
        for workers in options.workers:
            rate = measure(net, ask_all, Path(folder), workers, options)
            base = base or rate / workers
            rows.append([str(workers), str(workers * options.in_flight), f"{rate:.1f}",
                         f"{rate / base:.1f}"])  # fmt: skip
            print(rows[-1], flush=True)
        ray.shutdown()
    print(f"\n{describe()}, load {load()}; Ray {ray.__version__}; 3 hosts, a token each "
          f"{options.token_delay:g} s; {time.monotonic() - began:.0f} s in all\n")  # fmt: skip
    print(markdown(["workers", "calls in flight", "prompts/s", "of one worker"], rows))


if __name__ == "__main__":
    main()
