"""Running a flow: a generator that decides and yields what is to be done.

Everything that decides is written once, as generators that yield the commands below and receive
their results. `drive` runs one on blocking connections, `adrive` on asynchronous ones; they differ
in one `await`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from .leases import Waiter
    from .wire import Connections, Exchange, WireRequest

T = TypeVar("T")


@dataclass(slots=True)
class Open:
    """Send a request, get its `Exchange`."""

    request: WireRequest

    def perform(self, connections: Connections) -> Any:
        """Do it, or return what to await."""
        return connections.open(self.request)


@dataclass(slots=True)
class Read:
    """Get the next bytes of an exchange."""

    exchange: Exchange

    def perform(self, _connections: Connections) -> Any:
        """Do it, or return what to await."""
        return self.exchange.read()


@dataclass(slots=True)
class Finish:
    """Let go of an exchange that has said all it had to say."""

    exchange: Exchange

    def perform(self, _connections: Connections) -> Any:
        """Do it, or return what to await."""
        return self.exchange.finish()


@dataclass(slots=True)
class Close:
    """Let go of an exchange, whatever it still says."""

    exchange: Exchange

    def perform(self, _connections: Connections) -> Any:
        """Do it, or return what to await."""
        return self.exchange.close()


@dataclass(slots=True)
class Park:
    """Wait until woken, or for some seconds."""

    waiter: Waiter | None
    seconds: float

    def perform(self, connections: Connections) -> Any:
        """Do it, or return what to await."""
        return connections.park(self.waiter, self.seconds)


@dataclass(slots=True)
class Compute:
    """Call a function that may block."""

    function: Callable[[], Any]

    def perform(self, connections: Connections) -> Any:
        """Do it, or return what to await."""
        return connections.compute(self.function)


Flow = Generator[Any, Any, T]


@dataclass(slots=True)
class Race:
    """Run a flow; when it has no result after a while, run another beside it.

    Flows return None when they have failed. The first other result wins, and the flow that has
    lost is told so.

    Attributes:
        first: The flow that starts at once.
        after: Seconds until the other starts.
        second: Makes the other, None when there is none to be had.
        lose: Called with 0 or 1 for the flow whose result is not wanted any more, and whether that
            is because the other was quicker.
        dispose: Makes the flow that lets go of a result nobody wants.
    """

    first: Flow[Any]
    after: float
    second: Callable[[], Flow[Any] | None]
    lose: Callable[[int, bool], None]
    dispose: Callable[[Any], Flow[None]]

    def perform(self, connections: Connections) -> Any:
        """Do it, or return what to await."""
        return connections.race(self)


Command = Open | Read | Finish | Close | Park | Compute | Race


def drive(flow: Flow[T], connections: Connections) -> T:
    """Run *flow* to its end on blocking *connections*; returns what it returns."""
    try:
        command = next(flow)
        while True:
            try:
                result = command.perform(connections)
            except BaseException as error:  # noqa: BLE001 - the flow decides what it means
                command = flow.throw(error)
            else:
                command = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value


async def adrive(flow: Flow[T], connections: Connections) -> T:
    """Run *flow* to its end on asynchronous *connections*; returns what it returns."""
    try:
        command = next(flow)
        while True:
            try:
                result = await command.perform(connections)
            except BaseException as error:  # noqa: BLE001 - the flow decides what it means
                command = flow.throw(error)
            else:
                command = flow.send(result)
    except StopIteration as stop:
        value: T = stop.value
        return value
