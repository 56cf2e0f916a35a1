"""Timestamps: never the same twice, in threads, over clock changes and in forked children."""

from __future__ import annotations

import os
import threading

import pytest

from gonka_integrations.core.signing import TimestampSource


def test_they_increase_although_the_clock_stands_still() -> None:
    source = TimestampSource(clock=lambda: 1_000)
    assert [source.next_ns() for _ in range(3)] == [1_000, 1_001, 1_002]


def test_they_increase_although_the_clock_goes_back() -> None:
    readings = iter([5_000, 10, 20, 9_000])
    source = TimestampSource(clock=lambda: next(readings))
    assert [source.next_ns() for _ in range(4)] == [5_000, 5_001, 5_002, 9_000]


def test_offsets_of_one_host_and_of_all() -> None:
    source = TimestampSource(clock=lambda: 1_000)
    source.set_offset(500)
    source.set_offset(-100, "gonka1a")
    assert source.next_ns() == 1_500
    assert source.next_ns("gonka1a") == 901
    assert source.next_ns("gonka1b") == 1_502
    source.set_offset(0, "gonka1a")
    assert source.next_ns("gonka1a") == 1_003


def test_synchronising_with_a_block() -> None:
    """Also when our clock was far ahead and has been set right since."""
    readings = iter([9_000, 1_000, 1_001, 1_002])
    source = TimestampSource(clock=lambda: next(readings))
    source.next_ns()
    assert source.synchronise(1_000) == 1_000 - 9_001
    assert source.next_ns() == 1_001


def test_sources_of_one_process_share_their_clock() -> None:
    sources = [TimestampSource() for _ in range(4)]
    given: list[int] = []

    def take(source: TimestampSource) -> None:
        given.extend([source.next_ns() for _ in range(2_000)])

    threads = [threading.Thread(target=take, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 8_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_inherit_a_held_lock() -> None:
    source = TimestampSource()
    with source._ticker._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if source.next_ns() > 0 else 1)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
