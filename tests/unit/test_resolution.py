"""Names in participants' URLs: looked up in bounded time, refused when they lead inside."""

from __future__ import annotations

import logging
import threading

import pytest

from gonka_integrations.core.participants import GonkaParticipant
from gonka_integrations.core.resolution import HostPolicy, resolve_all

NAMES = {
    "good.example": ("93.184.216.34", "2606:2800:220:1::1"),
    "inside.example": ("10.0.0.5",),
    "half.example": ("93.184.216.34", "169.254.169.254"),
    "mapped.example": ("::ffff:127.0.0.1",),
}


def resolve(host: str) -> tuple[str, ...]:
    return NAMES.get(host, ())


def host(url: str) -> GonkaParticipant:
    return GonkaParticipant("gonka1x", url)


def test_many_names_at_once() -> None:
    hosts = [f"h{number}.example" for number in range(200)]
    found = resolve_all(hosts, resolve=lambda name: (f"1.1.1.{len(name)}",), patience=30)
    assert found.keys() == set(hosts)
    assert resolve_all([]) == {}


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    release = threading.Event()

    def hang(name: str) -> tuple[str, ...]:
        if name == "slow.example":
            release.wait(30)
        return ("1.1.1.1",)

    found = resolve_all(["slow.example", "quick.example"], resolve=hang, patience=0.2)
    assert found == {"quick.example": ("1.1.1.1",)}
    release.set()


def test_the_systems_resolver() -> None:
    assert "127.0.0.1" in resolve_all(["localhost"], patience=30)["localhost"]
    assert resolve_all(["no.such.name.invalid", "\udcff"], patience=30) == {}


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://good.example:8000", None),
        ("http://unknown.example", None),  # the connection looks where it leads
        ("http://93.184.216.34", None),
        ("http://inside.example", "inside.example leads to 10.0.0.5"),
        ("http://INSIDE.example.", "leads to 10.0.0.5"),
        ("http://half.example", "169.254.169.254"),
        ("http://mapped.example", "127.0.0.1"),
        ("http://127.0.0.1", "not a public one"),
        ("http://localhost", "private networks"),
    ],
)
def test_who_is_refused(url: str, reason: str | None) -> None:
    policy = HostPolicy(resolve)
    policy.look_up([host(url)])
    found = policy.refusal(host(url), allow_private=False)
    assert found is None if reason is None else reason in str(found)
    assert policy.refusal(host(url), allow_private=True) is None


def test_names_are_looked_up_again_after_a_while() -> None:
    now, asked = 0.0, []

    def counting(name: str) -> tuple[str, ...]:
        asked.append(name)
        return NAMES[name]

    policy = HostPolicy(counting, clock=lambda: now)
    for now in (0.0, 1.0, 599.0, 601.0):  # noqa: B007 - read by the clock
        policy.look_up([host("http://good.example"), host("http://1.1.1.1")])
    assert asked == ["good.example", "good.example"]
    policy.look_up([])
    policy.look_up([host("http://good.example")])
    assert len(asked) == 3


def test_refusals_are_told_once_for_each_epoch(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    policy = HostPolicy(resolve)
    for epoch in (7, 7, 8):
        policy.tell(epoch, [("gonka1a", "its host is inside"), ("gonka1b", "it is excluded")])
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"Participant {who} is left out in epoch {epoch}: {why}"
        for epoch in (7, 8)
        for who, why in (("gonka1a", "its host is inside"), ("gonka1b", "it is excluded"))
    ]
