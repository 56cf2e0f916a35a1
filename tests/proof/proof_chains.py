"""Synthetic chains and bundles of their answers, for the proof tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from gonka_integrations.devnet.chain import SyntheticChain
from gonka_integrations.devnet.epochs import EpochBook, Member
from gonka_integrations.devnet.forgery import Forgery
from gonka_integrations.devnet.ledger import TestKey, validator_public_key
from gonka_integrations.proof.light import LightBlock, TrustedHeader
from gonka_integrations.proof.node_reader import Request, Steps
from gonka_integrations.proof.trust import Checkpoint
from gonka_integrations.proof.verification import Bundle, Rules, read_light_block

CHAIN_ID = "gonka-devnet"
RULES = Rules(chain_id=CHAIN_ID)
EPOCH_SECONDS = 23 * 3600.0
_T = TypeVar("_T")


class Clock:
    """Time that moves when told to."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now

    def ns(self) -> int:
        return int(self.now * 1e9)


def member(index: int, *, weight: int = 100) -> Member:
    return Member(
        index,
        TestKey.from_label(f"0 host {index}").address,
        validator_public_key(f"0 host {index}"),
        weight,
        f"http://198.51.100.{index % 250}:{8000 + index}",
        ("gonka/test-model",),
    )


def members(indices: Iterable[int]) -> tuple[Member, ...]:
    return tuple(member(index) for index in indices)


class Network:
    """A chain, its clock, and its answers as nodes give them."""

    def __init__(self, epochs: Sequence[Iterable[int]], *, guardians: int = 0) -> None:
        self.clock = Clock()
        self.book = EpochBook(now=self.clock)
        self.chain = SyntheticChain(self.book, self.clock.ns, guardians=guardians)
        for number, indices in enumerate(epochs, start=1):
            if number > 1:
                self.clock.now += EPOCH_SECONDS
            self.book.begin(number, members(indices))
            self.chain.observe()
        self.clock.now += 60
        self.chain.observe()

    @property
    def epoch(self) -> int:
        return self.book.current_id

    @property
    def height(self) -> int:
        """Height of the header that proves the current epoch."""
        return self.book.current.created_at + 1

    def block(self, height: int) -> LightBlock:
        return read_light_block(CHAIN_ID, *block_answers(self.chain, height))

    def trusted(self, height: int) -> TrustedHeader:
        return TrustedHeader.of(self.block(height))

    def checkpoint(self, height: int) -> Checkpoint:
        return Checkpoint(height, self.chain.header(height).hash, CHAIN_ID)

    def bundle(self) -> Bundle:
        return bundle_of(Forgery(self.chain, self.epoch))


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def block_answers(chain: Any, height: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Answers to `commit` and `validators`."""
    at = {"height": str(height)}
    pages = []
    total, page = 1, 0
    while len(pages) * 100 < total:
        page += 1
        answer = chain.rpc("validators", {**at, "per_page": "100", "page": str(page)})
        total = int(answer["result"]["total"])
        pages.append(dump(answer))
    return dump(chain.rpc("commit", at)), tuple(pages)


def bundle_of(forgery: Forgery) -> Bundle:
    commit = None if forgery.signed is None else dump({"signed_header": forgery.signed})
    return Bundle(dump(forgery.payload), commit, (dump({"validators": forgery.validators}),))


class Node:
    """What a source answers: a chain behind a base URL; counts what it is asked."""

    def __init__(self, chain: Any, *, down: bool = False) -> None:
        self.chain = chain
        self.down = down
        self.asked: list[str] = []

    def answer(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.down:
            return 0, b"connection refused"
        route, _, query = path.removeprefix("/chain-rpc/").partition("?")
        pairs = dict(pair.split("=", 1) for pair in query.split("&") if pair)
        pairs = {key: value.replace("%22", '"') for key, value in pairs.items()}
        found = self.chain.rpc(route, pairs)
        if found is None:
            return 404, b"404 page not found"
        return (500 if "error" in found else 200), dump(found)


def drive(steps: Steps[_T], nodes: dict[str, Node]) -> _T:
    """Run a verification against nodes in memory."""
    answer: tuple[int, bytes] | None = None
    while True:
        try:
            request: Request = next(steps) if answer is None else steps.send(answer)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        answer = nodes[request.source].answer(request.path)


def with_payload(bundle: Bundle, change: Any) -> Bundle:
    """The bundle with its payload changed by *change*."""
    payload = json.loads(bundle.payload)
    change(payload)
    return replace(bundle, payload=dump(payload))
