"""`python -m gonka_integrations.devnet`: the local network as a program."""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from .epoch_params import EpochParams
from .network import DEFAULT_MODEL, Devnet
from .real_model import RealModel, RealModelError
from .upstream import UpstreamEngine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .engines import Engine


def main(
    arguments: Sequence[str] | None = None, program: str = "python -m gonka_integrations.devnet"
) -> int:
    """Run the network until interrupted.

    Args:
        arguments: What stands after the program's name; None takes the process's own.
        program: Its name in the help and in errors.

    Returns:
        Exit status.
    """
    options = _parser(program).parse_args(arguments)
    if options.verbose:
        logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
        logging.getLogger("gonka_integrations.devnet").setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with _engine(options) as engine, _network(options, engine) as net:
            _say(_banner(net))
            _run(net, stop, options.epoch_seconds)
    except (RealModelError, OSError) as error:
        _say(f"error: {_trouble(error, options.port)}", sys.stderr)
        return 1
    return 0


def _trouble(error: Exception, port: int) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"a port from {port} on is in use; take others with --port, or free ones (--port 0)"
    return str(error)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="A local Gonka network.")
    parser.add_argument("--hosts", type=int, default=3, help="participants (default 3)")
    parser.add_argument("--gateways", type=int, default=1, help="gateways (default 1)")
    parser.add_argument("--providers", type=int, default=0, help="plain OpenAI-compatible servers")
    parser.add_argument("--port", type=int, default=9000, help="first port; 0 takes free ones")
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="model id, or 'real' for a small one"
    )
    parser.add_argument("--upstream", metavar="URL", help="server that answers, ending in /v1")
    parser.add_argument("--upstream-model", metavar="NAME", help="model name there")
    parser.add_argument("--threads", type=int, default=1, help="threads of the real model")
    parser.add_argument("--epoch-seconds", type=float, help="change the epoch this often")
    parser.add_argument("--token-delay", type=float, default=0.0, help="seconds between tokens")
    parser.add_argument("--gone", action="store_true", help="answer 410 to signed inference")
    parser.add_argument("--verbose", action="store_true", help="log every request")
    return parser


@contextmanager
def _engine(options: argparse.Namespace) -> Iterator[Engine | None]:
    if options.upstream:
        yield UpstreamEngine(options.upstream, model=options.upstream_model)
    elif options.model == "real":
        with RealModel(threads=options.threads) as model:
            yield UpstreamEngine(model.base_url, model=model.name)
    else:
        yield None


def _network(options: argparse.Namespace, engine: Engine | None) -> Devnet:
    seconds = options.epoch_seconds
    name = RealModel().name if options.model == "real" else options.model
    net = Devnet(
        options.hosts,
        options.gateways,
        options.providers,
        models=(name,),
        engine=engine,
        epoch_params=EpochParams.of_seconds(seconds) if seconds else None,
        token_delay=options.token_delay,
        proofs=True,
        port=options.port,
    )
    net.classic_gone = options.gone
    return net


def _run(net: Devnet, stop: threading.Event, epoch_seconds: float | None) -> None:
    """Wait; change the epoch every so often, another host pausing in each."""
    paused: int | None = None
    with contextlib.suppress(KeyboardInterrupt):
        while not stop.wait(epoch_seconds):
            if paused is not None:
                net.rejoin(paused)
            paused = net.epoch % len(net.hosts) if len(net.hosts) > 1 else None
            epoch = net.advance_epoch(leave=() if paused is None else (paused,))
            _say(f"epoch {epoch}: {len(net.participants)} participants")


def _banner(net: Devnet) -> str:
    lines = [f"Gonka devnet, epoch {net.epoch}, model {net.models[0]}", ""]
    lines += [f"host      {host.url}  {host.address}  weight {host.weight}" for host in net.hosts]
    lines += [f"gateway   {one.base_url}  key {one.api_key}" for one in net.gateways]
    lines += [f"provider  {one.base_url}  key {one.api_key}" for one in net.providers]
    lines += ["", f"export GONKA_MODEL={net.models[0]}"]
    if net.hosts:
        lines += [f"export GONKA_SOURCE_URL={net.source_url}"]
        lines += [
            f"export GONKA_PRIVATE_KEY={net.private_key}  # worthless outside of this network"
        ]
    if net.gateways:
        lines += [f"export GONKA_BROKER_URL={net.gateway.base_url}"]
        lines += [f"export GONKA_BROKER_API_KEY={net.gateway.api_key}"]
    return "\n".join([*lines, ""])


def _say(text: str, stream: TextIO | None = None) -> None:
    out = stream or sys.stdout
    out.write(f"{text}\n")
    out.flush()


if __name__ == "__main__":
    raise SystemExit(main())
