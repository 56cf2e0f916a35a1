"""Callers that leave, loops and threads that come and go, second attempts: nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pool_doors import MODEL, PAYLOAD, SAID, answer_of, met, session_over, text_in, wait_until

from gonka_integrations.core.served import CallOptions
from gonka_integrations.core.session import GonkaSession
from gonka_integrations.devnet import Devnet, Fault
from gonka_integrations.errors import GonkaBadRequestError

LONG: dict[str, Any] = {
    "model": MODEL,
    "messages": [{"role": "user", "content": " ".join(f"word{n}" for n in range(60))}],
}


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(hosts=3, gateways=0) as net:
        yield net


@pytest.fixture(params=["aiohttp", "httpcore"])
def async_stack(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "httpcore":
        monkeypatch.setitem(sys.modules, "aiohttp", None)
    else:
        pytest.importorskip("aiohttp")
    return str(request.param)


def in_order(session: GonkaSession) -> GonkaSession:
    """Let the hosts be asked in their order."""
    session.pool._rng.random = lambda: 0.0  # type: ignore[method-assign]
    return session


def nobody_is_served(net: Devnet) -> bool:
    return not any(host.in_flight for host in net.hosts)


async def soon(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.002)


class TestClosing:
    def test_a_stream_early(self, net: Devnet) -> None:
        net.token_delay = 0.02
        with session_over(net) as session:
            stream = session.chat.stream(LONG)
            next(stream)
            assert session.pool.in_flight() == 1
            stream.close()
            assert session.pool.in_flight() == 0
            wait_until(lambda: nobody_is_served(net))
            assert [one.disconnected for h in net.hosts for one in h.requests] == [True]
            stream.close()

    async def test_an_async_one(self, net: Devnet, async_stack: str) -> None:
        net.token_delay = 0.02
        async with session_over(net) as session:
            async with await session.chat.astream(LONG) as stream:
                await anext(stream)
            assert session.pool.in_flight() == 0
            await soon(lambda: nobody_is_served(net))
            assert [one.disconnected for h in net.hosts for one in h.requests] == [True]

    def test_before_it_was_read_at_all(self, net: Devnet) -> None:
        net.token_delay = 0.02
        with session_over(net) as session:
            with session.chat.stream(LONG):
                pass
            assert session.pool.in_flight() == 0
            wait_until(lambda: nobody_is_served(net))

    def test_a_cancelled_stream_is_held_against_nobody(self, net: Devnet) -> None:
        with session_over(net) as session:
            for _ in range(10):
                session.chat.stream(LONG).close()
            for state in session.stats()["endpoints"]:
                assert state["out_because"] == ""
                for stats in state["models"].values():
                    assert stats["failures"] == {}
                    assert stats["cancelled"] == stats["calls"]


class TestForgetting:
    """Without close, and without a warning."""

    def test_a_stream(self, net: Devnet) -> None:
        net.token_delay = 0.02
        with session_over(net) as session:
            stream = session.chat.stream(LONG)
            next(stream)
            del stream
            wait_until(lambda: session.pool.in_flight() == 0)
            wait_until(lambda: nobody_is_served(net))

    async def test_an_async_one(self, net: Devnet, async_stack: str) -> None:
        net.token_delay = 0.02
        async with session_over(net) as session:
            stream = await session.chat.astream(LONG)
            await anext(stream)
            del stream
            gc.collect()
            await soon(lambda: session.pool.in_flight() == 0)
            await soon(lambda: nobody_is_served(net))

    def test_the_session_does_not_cut_its_streams(self, net: Devnet) -> None:
        net.token_delay = 0.002
        stream = session_over(net).chat.stream(LONG)
        next(stream)
        gc.collect()
        assert list(stream)[-1]["choices"] == []
        wait_until(lambda: nobody_is_served(net))
        assert not any(one.disconnected for h in net.hosts for one in h.requests)

    async def test_nor_the_async_ones(self, net: Devnet, async_stack: str) -> None:
        net.token_delay = 0.002
        stream = await session_over(net).chat.astream(LONG)
        gc.collect()
        chunks = [chunk async for chunk in stream]
        assert chunks[-1]["choices"] == []
        assert not any(one.disconnected for h in net.hosts for one in h.requests)


class TestCancelling:
    @pytest.mark.parametrize("hedge_after", [None, 0.02], ids=["alone", "hedged"])
    @pytest.mark.parametrize("fault", ["hang", "hang_mid_stream", "slow"])
    async def test_a_task_in_the_middle(
        self, net: Devnet, async_stack: str, fault: str, hedge_after: float | None
    ) -> None:
        for host in net.hosts:
            host.fault = Fault(fault, token_delay=0.05)  # type: ignore[arg-type]
        async with session_over(net) as session:
            options = CallOptions(hedge_after=hedge_after)
            task = asyncio.ensure_future(session.chat.acomplete(LONG, options))
            await soon(lambda: sum(host.in_flight for host in net.hosts))
            await asyncio.sleep(0.06)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert session.pool.in_flight() == 0
            await soon(lambda: nobody_is_served(net))
            for state in session.stats()["endpoints"]:
                assert state["out_because"] == ""
                for stats in state["models"].values():
                    assert stats["failures"] == {}
            for host in net.hosts:
                host.fault = None
            answer = await session.chat.acomplete(PAYLOAD)
            assert answer.served.failovers == 0

    async def test_a_stream_that_opens(self, net: Devnet, async_stack: str) -> None:
        for host in net.hosts:
            host.fault = Fault("hang")
        async with session_over(net) as session:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.chat.astream(PAYLOAD), 0.05)
            assert session.pool.in_flight() == 0
            await soon(lambda: nobody_is_served(net))

    async def test_a_stream_that_is_read(self, net: Devnet, async_stack: str) -> None:
        for host in net.hosts:
            host.fault = Fault("hang_mid_stream")

        async def read(session: GonkaSession) -> None:
            async with await session.chat.astream(LONG) as stream:
                async for _ in stream:
                    pass

        async with session_over(net) as session:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(read(session), 0.1)
            assert session.pool.in_flight() == 0
            await soon(lambda: nobody_is_served(net))

    async def test_a_call_that_waits(self, net: Devnet, async_stack: str) -> None:
        host = net.hosts[0]
        host.fault = Fault("slow", delay=0.2)
        async with session_over(net, endpoints=host.endpoint, max_concurrent=1) as session:
            first = asyncio.ensure_future(session.chat.acomplete(PAYLOAD))
            await soon(lambda: host.in_flight == 1)
            second = asyncio.ensure_future(session.chat.acomplete(PAYLOAD))
            third = asyncio.ensure_future(session.chat.acomplete(PAYLOAD))
            await soon(lambda: session.pool.waiting() == 2)
            second.cancel()
            await asyncio.wait([second])
            assert session.pool.waiting() == 1
            host.fault = None
            assert (await first).served.failovers == (await third).served.failovers == 0
        assert met(host) == 2


class TestHedging:
    """Off unless asked for; a second host is asked when the first is slow to begin."""

    def test_a_silent_host_costs_little(self, net: Devnet) -> None:
        net.hosts[0].fault = Fault("hang")
        with in_order(session_over(net, hedge_after=0.03)) as session:
            began = time.monotonic()
            answer = session.chat.complete(PAYLOAD)
            assert time.monotonic() - began < 5.0
            self.check(net, session, answer.served)

    async def test_on_a_loop(self, net: Devnet, async_stack: str) -> None:
        net.hosts[0].fault = Fault("hang")
        async with in_order(session_over(net, hedge_after=0.03)) as session:
            answer = await session.chat.acomplete(PAYLOAD)
            await soon(lambda: nobody_is_served(net))
            self.check(net, session, answer.served)

    def check(self, net: Devnet, session: GonkaSession, served: Any) -> None:
        assert served.address == net.hosts[1].address
        assert [one.outcome for one in served.attempts] == ["outrun", "served"]
        assert served.failovers == 0
        wait_until(lambda: session.pool.in_flight() == 0)
        wait_until(lambda: nobody_is_served(net))
        stats = session.stats()["endpoints"][0]["models"][MODEL]
        assert stats["failures"] == {"outrun": 1}
        assert stats["ambiguous"] == 1
        first, second = (host.requests[0] for host in net.hosts[:2])
        assert first.headers["authorization"] != second.headers["authorization"]
        assert first.body == second.body

    def test_a_stream(self, net: Devnet) -> None:
        net.hosts[0].fault = Fault("hang")
        with (
            in_order(session_over(net, hedge_after=0.03)) as session,
            session.chat.stream(PAYLOAD) as stream,
        ):
            assert text_in(stream) == SAID
            assert stream.served.address == net.hosts[1].address
            wait_until(lambda: session.pool.in_flight() == 0)
        wait_until(lambda: nobody_is_served(net))

    async def test_an_async_stream(self, net: Devnet, async_stack: str) -> None:
        net.hosts[0].fault = Fault("role_then_cut", delay=0.3)
        async with in_order(session_over(net, hedge_after=0.03)) as session:
            async with await session.chat.astream(PAYLOAD) as stream:
                assert text_in([chunk async for chunk in stream]) == SAID
            assert session.pool.in_flight() == 0
            await soon(lambda: nobody_is_served(net))

    def test_the_first_may_still_win(self, net: Devnet) -> None:
        net.hosts[0].fault = Fault("slow", delay=0.1)
        net.hosts[1].fault = Fault("hang")
        with in_order(session_over(net)) as session:
            answer = session.chat.complete(PAYLOAD, CallOptions(hedge_after=0.03))
            assert answer.served.address == net.hosts[0].address
            assert [one.outcome for one in answer.served.attempts] == ["outrun", "served"]
            wait_until(lambda: session.pool.in_flight() == 0)
            wait_until(lambda: nobody_is_served(net))

    def test_a_quick_host_is_asked_alone(self, net: Devnet) -> None:
        with in_order(session_over(net, hedge_after=5.0)) as session:
            assert answer_of(session) == SAID
        assert met(*net.hosts) == 1

    def test_both_may_fail_and_a_third_serve(self, net: Devnet) -> None:
        net.hosts[0].fault = Fault("reset", delay=0.1)
        net.hosts[1].fault = Fault("reset", delay=0.1)
        with in_order(session_over(net, hedge_after=0.03)) as session:
            answer = session.chat.complete(PAYLOAD)
            assert answer.served.address == net.hosts[2].address
            assert sorted(one.outcome for one in answer.served.attempts) == [
                "reset", "reset", "served",
            ]  # fmt: skip
            wait_until(lambda: session.pool.in_flight() == 0)


class TestConnections:
    @pytest.mark.parametrize("stream", [False, True])
    def test_are_used_again(self, net: Devnet, stream: bool) -> None:
        host = net.hosts[0]
        with session_over(net, endpoints=host.endpoint) as session:
            for _ in range(8):
                if stream:
                    with session.chat.stream(PAYLOAD) as chunks:
                        assert text_in(chunks) == SAID
                else:
                    assert answer_of(session) == SAID
            assert host.accepted == 1

    @pytest.mark.parametrize("stream", [False, True])
    async def test_are_used_again_on_loops(
        self, net: Devnet, async_stack: str, stream: bool
    ) -> None:
        host = net.hosts[0]
        async with session_over(net, endpoints=host.endpoint) as session:
            for _ in range(8):
                if stream:
                    async with await session.chat.astream(PAYLOAD) as chunks:
                        assert text_in([chunk async for chunk in chunks]) == SAID
                else:
                    await session.chat.acomplete(PAYLOAD)
            assert host.accepted == 1

    def test_close_with_the_session(self, net: Devnet) -> None:
        with session_over(net) as session:
            answer_of(session)
            assert sum(host.connections for host in net.hosts) == 1
        wait_until(lambda: not any(host.connections for host in net.hosts))

    def test_of_a_host_that_left_close(self, net: Devnet) -> None:
        with session_over(net, source_url=net.source_urls) as session:
            wait_until(lambda: all(met(host) for host in net.hosts) or not answer_of(session))
            net.advance_epoch(leave=[2])
            before = net.hosts[2].connections
            session.refresh()
            assert before >= 1
            wait_until(lambda: net.hosts[2].connections < before)

    async def test_on_a_loop_those_of_a_host_that_left_close(
        self, net: Devnet, async_stack: str
    ) -> None:
        async with session_over(net, source_url=net.source_urls) as session:
            while not all(met(host) for host in net.hosts):
                await session.chat.acomplete(PAYLOAD)
            net.advance_epoch(leave=[2])
            before = net.hosts[2].connections
            await asyncio.to_thread(session.refresh)
            if async_stack == "httpcore":  # idle ones of aiohttp end by themselves
                await soon(lambda: net.hosts[2].connections < before)
            answer = await session.chat.acomplete(PAYLOAD)
            assert answer.served.failovers == 0


class TestLoopsAndThreads:
    def test_one_loop_after_the_other(self, net: Devnet, async_stack: str) -> None:
        with session_over(net) as session:

            async def ask() -> str:
                answer = await session.chat.acomplete(PAYLOAD)
                async with await session.chat.astream(PAYLOAD) as stream:
                    assert text_in([chunk async for chunk in stream]) == SAID
                text: str = answer.data["choices"][0]["message"]["content"]
                return text

            for _ in range(5):
                assert asyncio.run(ask()) == SAID
            gc.collect()
            assert len(session.network._loops) <= 1
            assert session.pool.in_flight() == 0
            wait_until(lambda: not any(host.connections for host in net.hosts))

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_a_loop_that_is_closed_without_ceremony(self, net: Devnet, async_stack: str) -> None:
        with session_over(net) as session:
            for _ in range(3):
                loop = asyncio.new_event_loop()
                loop.run_until_complete(session.chat.acomplete(PAYLOAD))
                loop.close()
                del loop
            asyncio.run(session.chat.acomplete(PAYLOAD))  # type: ignore[arg-type]
            gc.collect()
            assert len(session.network._loops) <= 1

    def test_four_loops_and_four_threads_at_once(self, net: Devnet, async_stack: str) -> None:
        failures: list[BaseException] = []

        async def ask(session: GonkaSession, number: int) -> None:
            answers = await asyncio.gather(
                *(session.chat.acomplete({**PAYLOAD, "seed": number * 100 + n}) for n in range(8))
            )
            assert all(json.dumps(one.served.as_dict()) for one in answers)

        def on_a_loop(number: int) -> None:
            guarded(lambda: asyncio.run(ask(session, number)))

        def by_blocking(number: int) -> None:
            guarded(lambda: [answer_of(session, seed=number * 1000 + n) for n in range(8)])

        def guarded(work: Any) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - shown below
                failures.append(error)

        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-4)
        try:
            with session_over(net, max_concurrent=4) as session:
                threads = [
                    threading.Thread(target=work, args=(number,))
                    for number in range(4)
                    for work in (on_a_loop, by_blocking)
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(30)
                assert not failures
                assert session.pool.in_flight() == session.pool.waiting() == 0
        finally:
            sys.setswitchinterval(before)
        assert met(*net.hosts) == 64
        assert all(host.peak_in_flight <= 4 for host in net.hosts)
        signatures = [one.headers["authorization"] for h in net.hosts for one in h.requests]
        assert len(set(signatures)) == 64


class TestTheChainsTime:
    @pytest.mark.parametrize("offset", [-120.0, 120.0])
    def test_is_learnt_by_one_refusal_a_host(self, net: Devnet, offset: float) -> None:
        net.clock_offset = offset
        with session_over(net) as session:
            answer = session.chat.complete(PAYLOAD)
            assert [one.status for one in answer.served.attempts] == [400, None]
            for _ in range(12):
                answer_of(session)
            for state in session.stats()["endpoints"]:
                assert state["out_because"] == ""
        refused = [one for h in net.hosts for one in h.requests if one.outcome == "refused"]
        assert len(refused) == 1, "what one host has taught is used for the others"

    async def test_on_a_loop_too(self, net: Devnet, async_stack: str) -> None:
        net.clock_offset = 120.0
        async with session_over(net) as session:
            answer = await session.chat.acomplete(PAYLOAD)
            assert answer.served.failovers == 1

    def test_that_cannot_be_learnt_is_an_error_that_says_so(self, net: Devnet) -> None:
        net.clock_offset = 20.0
        net.timestamp_expiration = 10
        net.chain_api_enabled = False
        with (
            session_over(net, max_retries=2) as session,
            pytest.raises(GonkaBadRequestError, match="clock of this machine"),
        ):
            answer_of(session)
        assert met(*net.hosts) <= 4
