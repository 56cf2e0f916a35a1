"""The pool as a state machine, driven from data: tests/scenarios/*.json.

Steps of a scenario, each an object:

- ``members``: who takes part from now on; ``joined``, ``left`` and ``drained`` say what follows.
- ``begin``: leases on these hosts; ``end`` settles the oldest, served in ``seconds`` or failed
  ``as`` a kind of health; ``cancel`` settles it as abandoned; ``hear`` is its first content.
  ``fail`` and ``serve`` begin and end.
- ``wait``: calls that queue; ``woken`` (of any step) names those that get a lease by it.
- ``pass``: seconds that go by. ``probe``: who is tried before its time.
- ``pick``: exactly these hosts can be leased now. ``share``: bounds of the share they get.
- ``expect``: a part of the snapshot. ``gone``: hosts that are not in it.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from made import FakeClock, node, provider

from gonka_integrations.core.endpoints import Endpoint
from gonka_integrations.core.pool import EndpointPool, Lease, Outcome, Waiter, Want
from gonka_integrations.core.verdicts import Health

SCENARIOS = sorted((Path(__file__).parents[1] / "scenarios").glob("*.json"))


class Middle(random.Random):
    """Chance whose ranges always give their middle, so that cooldowns are exact."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def name_of(endpoint: Endpoint) -> str:
    return endpoint.base_url.split("//")[1].split(".")[0]


def made(member: dict[str, Any]) -> Endpoint:
    fields = {key: member[key] for key in ("tier", "max_concurrent") if key in member}
    if "models" in member:
        fields["models"] = frozenset(member["models"])
    fields["weight"] = float(member.get("weight", 1))
    kind, number = member["host"][:4], int(member["host"][4:])
    return provider(number, **fields) if kind == "prov" else node(number, **fields)


class Stage:
    """One run of a scenario."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.drained: list[str] = []
        self.pool = EndpointPool(
            clock=self.clock,
            rng=Middle(5),
            on_drained=lambda endpoint: self.drained.append(name_of(endpoint)),
        )
        self.leases: dict[str, list[Lease]] = defaultdict(list)
        self.waiters: dict[str, Waiter] = {}
        self.woken: list[str] = []

    def run(self, step: dict[str, Any]) -> None:
        self.drained.clear()
        self.woken.clear()
        for action in ("members", "begin", "hear", "end", "cancel", "fail", "serve", "wait", "pass",
                       "probe", "pick", "share", "expect", "gone"):  # fmt: skip
            if action in step:
                getattr(self, f"do_{action}")(step[action], step)
        for word in ("woken", "drained"):
            if word in step:
                assert getattr(self, word) == step[word]

    def lease(self, host: str, model: str = "") -> Lease:
        """A lease on *host*, whoever else would have been chosen."""
        want = Want(model)
        want.tried = {
            state for state in self.pool._members.states.values() if name_of(state.endpoint) != host
        }
        lease = self.pool.acquire(want)
        assert lease is not None, f"{host} can be leased"
        return lease

    def do_members(self, members: list[dict[str, Any]], step: dict[str, Any]) -> None:
        joined, left = self.pool.replace([made(member) for member in members])
        if "joined" in step:
            assert [name_of(endpoint) for endpoint in joined] == step["joined"]
            assert [name_of(endpoint) for endpoint in left] == step["left"]

    def do_begin(self, hosts: list[str], step: dict[str, Any]) -> None:
        for host in hosts:
            self.leases[host].append(self.lease(host, step.get("model", "")))

    def do_end(self, hosts: list[str], step: dict[str, Any]) -> None:
        for host in hosts:
            self.pool.settle(self.leases[host].pop(0), self.outcome(step))

    def do_hear(self, hosts: list[str], step: dict[str, Any]) -> None:
        for host in hosts:
            self.pool.heard(next(lease for lease in self.leases[host] if not lease.heard))

    def do_cancel(self, hosts: list[str], step: dict[str, Any]) -> None:
        for host in hosts:
            self.pool.settle(self.leases[host].pop(0), Outcome(failure="cancelled"))

    def do_fail(self, hosts: list[str], step: dict[str, Any]) -> None:
        self.do_serve(hosts, step)

    def do_serve(self, hosts: list[str], step: dict[str, Any]) -> None:
        """Begun together, since who has failed may not be leased again."""
        leases = [self.forced(host, step.get("model", "")) for host in hosts]
        for lease in leases:
            self.pool.settle(lease, self.outcome(step))

    def forced(self, host: str, model: str) -> Lease:
        """A lease as if it had been given before the host went out of service."""
        state = next(s for s in self.pool._members.states.values() if name_of(s.endpoint) == host)
        return self.pool._lease(state, model, self.clock())

    def outcome(self, step: dict[str, Any]) -> Outcome:
        if "as" in step:
            return Outcome(Health[step["as"]], "status", step.get("retry_after"))
        seconds = step.get("seconds")
        return Outcome(first_token=seconds, total=seconds)

    def do_wait(self, calls: list[str], step: dict[str, Any]) -> None:
        for call in calls:
            waiter = self.pool.enqueue(Want(step.get("model", "")))
            assert waiter is not None
            waiter.wake = lambda call=call: self.woken.append(call)  # type: ignore[misc]
            self.waiters[call] = waiter

    def do_pass(self, seconds: float, step: dict[str, Any]) -> None:
        self.clock.advance(seconds)

    def do_probe(self, host: str | None, step: dict[str, Any]) -> None:
        lease = self.pool.probe(Want(step.get("model", "")))
        assert (lease and name_of(lease.endpoint)) == host
        if lease is not None and host is not None:
            self.leases[host].append(lease)

    def do_pick(self, hosts: list[str], step: dict[str, Any]) -> None:
        assert sorted(self.drawn(step.get("model", ""))) == sorted(hosts)

    def do_share(self, bounds: dict[str, list[float]], step: dict[str, Any]) -> None:
        drawn = self.drawn(step.get("model", ""), 2_000)
        for host, (least, most) in bounds.items():
            assert least <= drawn[host] / drawn.total() <= most

    def drawn(self, model: str, draws: int = 200) -> Counter[str]:
        found: Counter[str] = Counter()
        for _ in range(draws):
            lease = self.pool.acquire(Want(model))
            if lease is not None:
                found[name_of(lease.endpoint)] += 1
                self.pool.settle(lease, Outcome(failure="cancelled"))
        return found

    def do_expect(self, expected: dict[str, dict[str, Any]], step: dict[str, Any]) -> None:
        shown = self.shown()
        for host, fields in expected.items():
            seen = {name: shown[host][name] for name in fields}
            assert seen == pytest.approx(fields, abs=1e-6), host

    def do_gone(self, hosts: list[str], step: dict[str, Any]) -> None:
        assert not set(hosts) & set(self.shown())

    def shown(self) -> dict[str, dict[str, Any]]:
        snapshot = json.loads(json.dumps(self.pool.snapshot()))
        names = [name_of(endpoint) for endpoint in self.pool.endpoints()]
        return dict(zip(names, snapshot, strict=True))


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 15


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_scenario(file: Path) -> None:
    scenario, stage = json.loads(file.read_text()), Stage()
    for number, step in enumerate(scenario["steps"], 1):
        try:
            stage.run(step)
        except AssertionError as error:
            error.add_note(f"{file.name}: step {number}: {json.dumps(step)}")
            raise
