"""Pieces of gonka_integrations: choosing, signing, decoding, constructing."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

from ..common.stats import median
from .timing import Figures, cpu_us

if TYPE_CHECKING:
    from collections.abc import Callable


def pick() -> Figures:
    """Lease an endpoint and settle the lease as served, over pools of three sizes."""
    from gonka_integrations.core.endpoints import Bearer, Endpoint
    from gonka_integrations.core.pool import EndpointPool, Outcome, Want

    served = Outcome(first_token=0.05, total=0.2)
    found: Figures = {}
    for size in (10, 1_000, 10_000):
        pool = EndpointPool()
        pool.replace(
            Endpoint("gateway", f"http://host-{i}/v1", Bearer(None, str(i)), weight=1.0 + i % 7)
            for i in range(size)
        )

        def cycle(pool: EndpointPool = pool) -> None:
            lease = pool.acquire(Want("model"))
            assert lease is not None
            pool.settle(lease, served)

        for _ in range(3 * size):  # every endpoint measured at least once, tables built
            cycle()
        found[f"pick + settle, {size:,} endpoints, us"] = cpu_us(cycle, 5_000)
    return found


def sign() -> Figures:
    """Sign a request of 1 KB: hash of the body, of the message, and the signature."""
    from gonka_integrations.core.curve import backend
    from gonka_integrations.core.keys import PrivateKey
    from gonka_integrations.core.signing import body_hash, sign_hash

    key, body = PrivateKey.from_hex("1" * 64), b"x" * 1024
    stamps = itertools.count(1_750_000_000_000_000_000)
    name = "pure Python" if backend().__name__ == "_Pure" else "coincurve"

    def one() -> str:
        return sign_hash(key, body_hash(body), next(stamps), key.address)

    one()
    return {f"sign 1 KB, {name}, us": cpu_us(one, 300)}


def decode() -> Figures:
    """Decode a participant list of 10,000, JSON included."""
    from gonka_integrations.core.participants import decode_participants

    payload = _participants(10_000)
    taken = []
    for _ in range(5):
        begin = time.process_time()
        found = decode_participants(json.loads(payload), source_url="http://127.0.0.1")
        taken.append((time.process_time() - begin) * 1000)
        assert len(found.participants) == 10_000, found.skipped[:3]

    def again() -> None:
        decode_participants(json.loads(payload), source_url="http://127.0.0.1")

    return {
        "decode 10,000 participants, ms": median(taken),
        "longest halt of an event loop meanwhile, ms": asyncio.run(_halt(again)) * 1000,
    }


async def _halt(function: Callable[[], None]) -> float:
    """Longest time between two turns of a busy loop while *function* runs in a thread, seconds."""
    longest, last = 0.0, time.perf_counter()
    working = asyncio.ensure_future(asyncio.to_thread(function))
    while not working.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def _participants(count: int) -> bytes:
    import bech32

    def address(number: int) -> str:
        return bech32.bech32_encode("gonka", bech32.convertbits(number.to_bytes(20, "big"), 8, 5))

    participants = [
        {
            "index": address(number),
            "validator_key": "A" * 43 + "=",
            "weight": 1000 + number % 977,
            "inference_url": f"http://203.0.113.{number % 250}:{8000 + number // 250}",
            "models": ["MiniMaxAI/MiniMax-M2.7", "moonshotai/Kimi-K2.6"],
            "seed": {"participant": "", "epoch_index": 361, "signature": "ab" * 32},
        }
        for number in range(count)
    ]
    active = {
        "participants": participants, "epoch_id": 361, "epoch_group_id": 361,
        "poc_start_block_height": 5_567_506, "effective_block_height": 5_567_901,
        "created_at_block_height": 5_567_896,
    }  # fmt: skip
    return json.dumps({"active_participants": active, "excluded_participants": []}).encode()


def construct() -> Figures:
    """A second model of equal configuration, while the first lives."""
    from gonka_integrations import ChatGonka, GonkaLLM

    found: Figures = {}
    for kind in (ChatGonka, GonkaLLM):
        arguments = given(10)
        kept = [kind(**arguments)]
        found[f"second {kind.__name__} of equal config, ms"] = (
            cpu_us(lambda kind=kind, arguments=arguments: kind(**arguments), 50) / 1000
        )
        kept.clear()
    return found


def given(hosts: int, first_port: int = 9000) -> dict[str, Any]:
    """Connection parameters over *hosts* endpoints that do not exist."""
    from gonka_integrations import PrivateKey

    address = PrivateKey.from_hex("2" * 64).address
    return {
        "model": "bench", "private_key": "1" * 64, "refresh_enabled": False,
        "allow_private_hosts": True,
        "endpoints": [f"http://127.0.0.1:{first_port + i};{address}" for i in range(hosts)],
    }  # fmt: skip
