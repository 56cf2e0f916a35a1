"""Error bodies in all the envelopes that are met, read by content and never by declared type."""

from __future__ import annotations

import pytest

from gonka_integrations.core.error_bodies import error_text, new_url, parse_body


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"Insufficient balance"}\n', "Insufficient balance"),
        (b'{"error":{"message":"use a key"}}', "use a key"),
        (
            b'{"error":"deprecated","message":"classic inference is deprecated; use devshard"}\n',
            "deprecated: classic inference is deprecated; use devshard",
        ),
        (b'{"status":308,"message":"moved","new_url":"https://x"}', "moved"),
        (b'{"object":"error","message":"bad","type":"BadRequestError","code":400}', "bad"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'{"error":{"code":7}}', "{'code': 7}"),
        (b'{"error":null,"other":1}', '{"error": null, "other": 1}'),
        (b'{"error":""}', '{"error": ""}'),
        (b"Chain API Disabled", "Chain API Disabled"),
        (b'"just text"', "just text"),
        (b"[1, 2]", "[1, 2]"),
        (b"", ""),
        (b"  line one\r\n\tline two  ", "line one line two"),
        (b"\xff\xfe broken", "�� broken"),
        # Go quotes control characters in a way that is not JSON: the raw text is shown then.
        (b'{"error":{"message":"a\\x07b"}}', '{"error":{"message":"a\\x07b"}}'),
        (
            b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>x</body></html>",
            "502 Bad Gateway",
        ),
        (b"<HTML><body><h1>Down</h1> for <b>repair</b></body></HTML>", "Down for repair"),
        (b"[" * 100_000, ("[" * 100_000)[:2000]),
    ],
)
def test_error_text(body: bytes, text: str) -> None:
    assert error_text(body) == text


def test_a_long_text_is_cut() -> None:
    assert len(error_text(b"x" * 3_000_000)) == 2000


@pytest.mark.parametrize(
    ("body", "parsed"),
    [(b'{"a":1}', {"a": 1}), (b"oops", "oops"), (b"\x80", "�"), (b"9" * 5000, "9" * 5000)],
)
def test_parse_body(body: bytes, parsed: object) -> None:
    assert parse_body(body) == parsed


@pytest.mark.parametrize(
    ("body", "url"),
    [
        (b'{"new_url":"https://new.example/v1"}', "https://new.example/v1"),
        (b'{"new_url":7}', None),
        (b"{}", None),
        (b"text", None),
    ],
)
def test_new_url(body: bytes, url: str | None) -> None:
    assert new_url(body) == url
