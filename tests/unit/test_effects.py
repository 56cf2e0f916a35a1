"""Flows: what they yield is done, what comes of it is sent or thrown back, in both worlds."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import pytest

from gonka_integrations.core.effects import Close, Compute, Finish, Open, Park, Read, adrive, drive


class Recording:
    """Connections and exchange in one, that write down what they are told."""

    status, headers = 200, {}

    def __init__(self) -> None:
        self.did: list[Any] = []

    def open(self, request: Any) -> Any:
        self.did.append(("open", request))
        return self

    def read(self) -> bytes:
        self.did.append("read")
        return b"data"

    def finish(self) -> None:
        self.did.append("finish")

    def close(self) -> None:
        self.did.append("close")

    def park(self, waiter: Any, seconds: float) -> None:
        self.did.append(("park", waiter, seconds))

    def compute(self, function: Any) -> Any:
        self.did.append("compute")
        return function()

    def race(self, contest: Any) -> Any:
        raise NotImplementedError


class AsyncRecording(Recording):
    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in ("open", "read", "finish", "close", "park", "compute"):

            async def method(*arguments: Any) -> Any:
                await asyncio.sleep(0)
                return found(*arguments)

            return method
        return found


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Any:
    """Runs a flow; the connections it ran on are its attribute."""

    def run(flow: Any) -> Any:
        if request.param == "sync":
            return drive(flow, run.connections)  # type: ignore[attr-defined]
        return asyncio.run(adrive(flow, run.connections))  # type: ignore[attr-defined]

    run.connections = Recording() if request.param == "sync" else AsyncRecording()  # type: ignore[attr-defined]
    return run


def everything() -> Generator[Any, Any, list[Any]]:
    exchange = yield Open("request")  # type: ignore[arg-type]
    results = [(yield Read(exchange)), (yield Compute(lambda: 42)), (yield Park(None, 1.5))]
    yield Finish(exchange)
    yield Close(exchange)
    return results


def test_commands_are_performed_in_order(run: Any) -> None:
    assert run(everything()) == [b"data", 42, None]
    assert run.connections.did == [
        ("open", "request"), "read", "compute", ("park", None, 1.5), "finish", "close",
    ]  # fmt: skip


def test_errors_are_thrown_into_the_flow(run: Any) -> None:
    def flow() -> Generator[Any, Any, str]:
        try:
            yield Compute(lambda: 1 / 0)
        except ZeroDivisionError as error:
            return str(error)
        raise AssertionError

    assert run(flow()) == "division by zero"


def test_and_out_of_it_when_it_does_not_mind_them(run: Any) -> None:
    def flow() -> Generator[Any, Any, None]:
        try:
            yield Compute(lambda: 1 / 0)
        finally:
            yield Park(None, 0.0)

    with pytest.raises(ZeroDivisionError):
        run(flow())
    assert run.connections.did[-1] == ("park", None, 0.0)


def test_a_flow_that_yields_nothing(run: Any) -> None:
    def flow() -> Generator[Any, Any, int]:
        return 7
        yield

    assert run(flow()) == 7


async def test_cancellation_reaches_the_flow() -> None:
    seen: list[str] = []

    class Never(AsyncRecording):
        async def park(self, waiter: Any, seconds: float) -> None:
            await asyncio.sleep(3600)

    def flow() -> Generator[Any, Any, None]:
        try:
            yield Park(None, 1.0)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.ensure_future(adrive(flow(), Never()))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
