"""The event-stream reader: the same events however the bytes are cut, and nothing without bound."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gonka_integrations.core.sse import DONE, EventParser
from gonka_integrations.core.wire import WireFailure

STREAMS = [
    b"data: one\n\ndata: two\n\n",
    b"data: one\r\n\r\ndata: two\r\n\r\n",
    b"data: one\r\rdata: two\r\r",
    b": comment\n\ndata: one\n: another\ndata: two\n\n",
    b"event: x\nid: 7\nretry: 10\ndata:one\n\n",
    b"data: first\ndata: second\n\n",
    "data: 🌍 é\n\n".encode(),
    b"data: one\n\nplain text\n",
    b"\n\n\ndata: last one without its blank line",
    b"data\n\ndata:\n\n",
    b"\xef\xbb\xbfdata: after a byte-order mark\n\n",
]


def parse(pieces: list[bytes], **options: int) -> tuple[list[bytes], bytes | None]:
    parser = EventParser(**options)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.end(), parser.stray


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(at)]


@pytest.mark.parametrize(
    ("stream", "events", "stray"),
    [
        (STREAMS[0], [b"one", b"two"], None),
        (STREAMS[1], [b"one", b"two"], None),
        (STREAMS[2], [b"one", b"two"], None),
        (STREAMS[3], [b"one\ntwo"], None),
        (STREAMS[4], [b"one"], None),
        (STREAMS[5], [b"first\nsecond"], None),
        (STREAMS[6], ["🌍 é".encode()], None),
        (STREAMS[7], [b"one"], b"plain text"),
        (STREAMS[8], [b"last one without its blank line"], None),
        (STREAMS[10], [b"after a byte-order mark"], None),
        (b"data: [DONE]\n\n", [DONE], None),
        (b"data:  two spaces\n\n", [b" two spaces"], None),
        (b"error: {}\n\n", [], b"error: {}"),
        (b"", [], None),
        (b"\r", [], None),
        (b"data: x\r", [b"x"], None),
    ],
)
def test_events(stream: bytes, events: list[bytes], stray: bytes | None) -> None:
    assert parse([stream]) == (events, stray)


def test_byte_order_marks_without_end_are_stray_text() -> None:
    assert parse([b"\xef\xbb\xbf" * 3000 + b"\n"])[1] is not None


def test_a_field_without_a_value_is_no_stray_text() -> None:
    assert parse([STREAMS[9]])[1] is None


@pytest.mark.parametrize("stream", STREAMS)
def test_every_place_to_cut_once_or_everywhere(stream: bytes) -> None:
    whole = parse([stream])
    for place in range(len(stream) + 1):
        assert parse([stream[:place], stream[place:]]) == whole
    assert parse([bytes([byte]) for byte in stream]) == whole


LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data: {}", b": c", b"event: d", b"", b"", b"data: \xf0\x9f\x8c\x8d"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(LINES, ENDS), max_size=12).map(
        lambda lines: b"".join(line + end for line, end in lines)
    ),
    st.lists(st.integers(0, 200), max_size=8),
)
@example(b"data: a\r\n\r\n", [8])
def test_any_cutting_gives_the_same_events(stream: bytes, places: list[int]) -> None:
    assert parse(cut(stream, places)) == parse([stream])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_any_bytes_at_all_are_read_the_same(data: bytes, places: list[int]) -> None:
    assert parse(cut(data, places))[0] == parse([data])[0]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_recorded_streams_cut_anywhere(shared: Path, places: list[int]) -> None:
    files = sorted((shared / "fixtures/sse").iterdir())
    assert len(files) >= 10
    for file in files:
        data = file.read_bytes()
        for ends in (data, data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
            assert parse(cut(ends, places)) == parse([ends])


class TestSize:
    def test_of_a_line(self) -> None:
        with pytest.raises(WireFailure) as caught:
            parse([b"data: ", b"x" * 100], limit=50)
        assert caught.value.kind == "too_large"

    def test_of_an_event_of_many_lines(self) -> None:
        with pytest.raises(WireFailure) as caught:
            parse([b"data: 0123456789\n"] * 50, limit=100)
        assert caught.value.kind == "too_large"

    def test_of_one_event_not_of_the_stream(self) -> None:
        parser = EventParser(limit=50)
        for _ in range(100):
            assert parser.feed(b"data: 0123456789\n\n") == [b"0123456789"]

    def test_many_small_events_in_one_read_are_not_a_large_one(self) -> None:
        assert len(parse([b"data: 0123456789\n\n" * 10], limit=50)[0]) == 10
