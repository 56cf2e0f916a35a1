"""Time of one verification: a list of 1,000 participants, signed by 150 validators.

    python -m benchmarks.proof [--participants N] [--validators N] [--rounds N]

Prints the time of each part and exits with 1 above the limit of 150 ms. The answers are those of a
synthetic chain and no network is involved: what is measured is reading JSON, decoding protobuf,
hashing trees, and checking Ed25519 signatures. The limit is for the thread's own time, which is
what passes on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from gonka_integrations.devnet.chain import SyntheticChain
from gonka_integrations.devnet.epochs import EpochBook, Member
from gonka_integrations.devnet.ledger import TestKey, validator_public_key
from gonka_integrations.proof.light import TrustedHeader
from gonka_integrations.proof.participants_proof import decode_record
from gonka_integrations.proof.verification import Bundle, Rules, read_light_block, verify

LIMIT_MS = 150.0
RULES = Rules(chain_id="gonka-devnet")


def member(index: int) -> Member:
    label = f"0 host {index}"
    return Member(
        index,
        TestKey.from_label(label).address,
        validator_public_key(label),
        1000 + index,
        f"http://node{index}.example:8000",
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "MiniMaxAI/MiniMax-M2.7"),
    )


class Case:
    """The answers of a chain with so many participants and validators."""

    def __init__(self, participants: int, validators: int) -> None:
        book = EpochBook()
        chain = SyntheticChain(book, time.time_ns, guardians=0)
        chain.signers.most = validators
        book.begin(1, tuple(member(index) for index in range(participants)))
        chain.observe()
        height = book.current.created_at + 1
        self.participants = participants
        self.bundle = Bundle(dump(chain.payload(1)), *answers(chain, height))
        root = book.current.created_at
        self.trusted = TrustedHeader.of(read_light_block("gonka-devnet", *answers(chain, root)))

    def verify(self) -> None:
        found = verify(self.bundle, epoch=None, trusted=self.trusted, now=time.time(), rules=RULES)
        if not found.verified or len(found) != self.participants:
            raise AssertionError(found)

    def parts(self) -> dict[str, Callable[[], Any]]:
        payload = json.loads(self.bundle.payload)
        record = bytes.fromhex(payload["active_participants_bytes"])
        commit = self.bundle.commit or b""
        return {
            "whole verification": self.verify,
            "JSON of the payload": lambda: json.loads(self.bundle.payload),
            "record decoded": lambda: decode_record(record),
            "signed header checked": lambda: read_light_block(
                "gonka-devnet", commit, self.bundle.validators
            ),
        }


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def answers(chain: SyntheticChain, height: int) -> tuple[bytes, tuple[bytes, ...]]:
    count = len(chain.validator_set(height))
    pages = [
        {"height": str(height), "per_page": "100", "page": str(page + 1)}
        for page in range(-(-count // 100))
    ]
    commit = dump(chain.rpc("commit", {"height": str(height)}))
    return commit, tuple(dump(chain.rpc("validators", page)) for page in pages)


def measure(function: Callable[[], Any], rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of the thread's time and of the clock's, after one round to warm up."""
    function()
    spent, passed = [], []
    for _ in range(rounds):
        begun, since = time.thread_time(), time.perf_counter()
        function()
        spent.append((time.thread_time() - begun) * 1000)
        passed.append((time.perf_counter() - since) * 1000)
    return spent, passed


async def longest_stall(function: Callable[[], Any]) -> float:
    """Longest time, in milliseconds, that an event loop waits while *function* is in a thread."""
    longest = 0.0
    task = asyncio.ensure_future(asyncio.to_thread(function))
    while not task.done():
        begun = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, (time.perf_counter() - begun) * 1000)
    await task
    return longest


def main() -> int:
    options = argparse.ArgumentParser(description="Time of one verification.")
    options.add_argument("--participants", type=int, default=1000)
    options.add_argument("--validators", type=int, default=150)
    options.add_argument("--rounds", type=int, default=15)
    chosen = options.parse_args()
    case = Case(chosen.participants, chosen.validators)
    print(
        f"{chosen.participants} participants, {chosen.validators} validators, "
        f"payload of {len(case.bundle.payload) / 1000:.0f} kB"
    )
    medians = {}
    for name, function in case.parts().items():
        spent, passed = measure(function, chosen.rounds)
        medians[name] = statistics.median(spent)
        print(
            f"{name:24} {medians[name]:6.1f} ms of its own, by the clock {min(passed):6.1f} ms "
            f"at best, {statistics.median(passed):6.1f} ms in the median"
        )
    stall = asyncio.run(longest_stall(case.verify))
    print(f"{'event loop stalls':24} at most {stall:5.1f} ms with the checks in a thread")
    good = medians["whole verification"] < LIMIT_MS
    print("within" if good else "ABOVE", f"the limit of {LIMIT_MS:.0f} ms")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
