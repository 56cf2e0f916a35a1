"""The error table, case by case: what each answer of an endpoint makes a call do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from gonka_integrations.core.error_bodies import error_text
from gonka_integrations.core.failures import failed_verdict
from gonka_integrations.core.verdicts import (
    TABLE,
    WIRE_TABLE,
    Action,
    Health,
    judge_failure,
    judge_status,
)
from gonka_integrations.core.wire import WireFailure

NODE, GATE, PROV = "participant", "gateway", "provider"
STOP, OTHER, TWICE = Action.STOP, Action.OTHER_HOST, Action.SAME_TWICE
RESIGN, CONFIRM, KEYS = Action.RESIGN, Action.CONFIRM, Action.OTHER_CREDENTIALS
ENGINE = "Inference node response with an error. code = {}. error = {}."


class Case(NamedTuple):
    kind: str
    status: int
    text: str
    action: Action
    health: Health
    refresh: bool = False


CASES = [
    # A node about the request.
    Case(NODE, 400, "invalid chat completion request: unexpected end of JSON", STOP, Health.OK),
    Case(NODE, 400, "messages is required", STOP, Health.OK),
    Case(NODE, 400, "No model specified", STOP, Health.OK),
    Case(NODE, 400, "Prompt hash is missing", STOP, Health.OK),
    Case(NODE, 413, "request body too large", STOP, Health.OK),
    Case(NODE, 400, ENGINE.format(400, '{"message":"bad field"}'), STOP, Health.OK),
    Case(NODE, 422, ENGINE.format(422, "seed must be an integer"), STOP, Health.OK),
    Case(NODE, 500, ENGINE.format(400, '{"message":"bad field"}'), STOP, Health.OK),
    # Its length: engines differ in what they take.
    Case(NODE, 400, ENGINE.format(400, "maximum context length exceeded"), TWICE, Health.OK),
    Case(NODE, 500, "This model's maximum context length is 4096 tokens", TWICE, Health.OK),
    Case(GATE, 400, "prompt is longer than the context window", TWICE, Health.OK),
    Case(PROV, 413, "too many input tokens in the prompt", TWICE, Health.OK),
    # A node about the clock.
    Case(NODE, 400, "signature is too old", RESIGN, Health.OK),
    Case(NODE, 400, "signature is in the future", RESIGN, Health.OK),
    Case(NODE, 400, "Request timestamp is too old", RESIGN, Health.OK),
    Case(NODE, 400, "Request timestamp is in the future", RESIGN, Health.OK),
    Case(NODE, 400, "AuthKey has already been used for a transfer request", OTHER, Health.OK),
    Case(NODE, 400, "AuthKey has already been used for a executor request", OTHER, Health.OK),
    Case(NODE, 400, "Prompt hash mismatch", OTHER, Health.SHARE),
    Case(NODE, 400, "Failed to compute prompt hash", OTHER, Health.SHARE),
    # A node about the account.
    Case(
        NODE, 401, "Unable to validate request against PubKey:invalid signature",
        CONFIRM, Health.OK, refresh=True,
    ),
    Case(NODE, 401, "Authorization is required", CONFIRM, Health.OK),
    Case(
        NODE, 401, "Unable to validate request against TransferSignature:invalid", OTHER,
        Health.SOFT,
    ),
    Case(NODE, 402, "Insufficient balance", CONFIRM, Health.OK),
    Case(NODE, 403, "inference requests are restricted until block height 1", CONFIRM, Health.OK),
    Case(NODE, 404, "Account not found", CONFIRM, Health.OK),
    Case(NODE, 404, "Inference participant not found", CONFIRM, Health.OK),
    Case(NODE, 500, "rpc error: code = NotFound desc = account not found", CONFIRM, Health.OK),
    # A node about itself.
    Case(NODE, 403, "Transfer Agent not allowed", OTHER, Health.DENIED, refresh=True),
    Case(NODE, 403, "Access Denied: This route is currently blocked.", OTHER, Health.DENIED),
    Case(NODE, 404, "model not found", OTHER, Health.MODEL, refresh=True),
    Case(NODE, 404, ENGINE.format(404, "The model `x` does not exist."), OTHER, Health.MODEL,
         refresh=True),
    Case(NODE, 410, "deprecated: classic inference is deprecated; use devshard", OTHER,
         Health.GONE),
    Case(NODE, 408, "request body read timeout", OTHER, Health.OK),
    Case(NODE, 429, "Transfer Agent capacity reached. Try another TA from http://x", OTHER,
         Health.FULL),
    Case(NODE, 503, "no executors available for model", OTHER, Health.SOFT),
    Case(NODE, 503, "no inference nodes available", OTHER, Health.SOFT),
    Case(NODE, 503, "unable to fetch current epoch group data", OTHER, Health.SOFT),
    # Its executor failed, not the request: no two hosts share one.
    Case(NODE, 500, ENGINE.format(502, "upstream"), OTHER, Health.SHARE),
    Case(NODE, 500, "dial tcp 10.0.0.1:5000: connect: connection refused", OTHER, Health.SHARE),
    Case(NODE, 500, 'Post "http://10.0.0.1/v1": context deadline exceeded', OTHER, Health.SHARE),
    Case(NODE, 500, "unexpected EOF", OTHER, Health.SHARE),
    Case(NODE, 500, ENGINE.format(404, "no such route"), TWICE, Health.SHARE),
    Case(NODE, 500, "something nobody has seen before", TWICE, Health.SHARE),
    # What stands in front of a node.
    Case(NODE, 502, "502 Bad Gateway", OTHER, Health.SOFT),
    Case(NODE, 503, "503 Service Temporarily Unavailable", OTHER, Health.SOFT),
    Case(NODE, 504, "504 Gateway Time-out", OTHER, Health.SOFT),
    Case(NODE, 529, "overloaded", OTHER, Health.SOFT),
    Case(NODE, 413, "413 Request Entity Too Large", STOP, Health.OK),
    Case(NODE, 404, "404 Not Found", OTHER, Health.SOFT),
    Case(NODE, 404, "Chain API Disabled", OTHER, Health.SOFT),
    Case(NODE, 405, "405 Not Allowed", OTHER, Health.SOFT),
    Case(NODE, 302, "Found", OTHER, Health.DENIED),
    Case(NODE, 101, "Switching Protocols", OTHER, Health.SOFT),
    # Gateways.
    Case(GATE, 308, "please use ... base url", OTHER, Health.GONE),
    Case(GATE, 400, 'Chat completions parameter "x" is currently rejected', STOP, Health.OK),
    Case(GATE, 400, 'unsupported model "foo"; supported models: A, B', OTHER, Health.MODEL),
    Case(GATE, 400, "messages[2].tool_calls[1].id is duplicated", STOP, Health.OK),
    Case(GATE, 400, "use /devshard/{id} prefix for this endpoint when", OTHER, Health.DENIED),
    Case(GATE, 401, 'model "X" requires an API key', KEYS, Health.OK),
    Case(GATE, 401, 'model "X" requires an admin API key', KEYS, Health.OK),
    Case(GATE, 401, "Invalid admin API key.", KEYS, Health.OK),
    Case(GATE, 404, "unknown devshard 7", OTHER, Health.DENIED),
    Case(GATE, 404, 'version "v1" not found', OTHER, Health.DENIED),
    Case(GATE, 404, "The model `minimaxai/minimax-m2.7` does not exist", OTHER, Health.MODEL),
    Case(GATE, 405, "method not allowed", STOP, Health.OK),
    Case(GATE, 409, "devshard 42 is unavailable for new inferences: x", OTHER, Health.OK),
    Case(GATE, 413, "request body too large", STOP, Health.OK),
    Case(GATE, 429, "rate limit exceeded: too many concurrent requests", OTHER, Health.FULL),
    Case(GATE, 429, "rate limit exceeded: too many input tokens in flight", OTHER, Health.FULL),
    Case(GATE, 429, "no available escrows: participant request budget exhausted", OTHER,
         Health.FULL),
    Case(GATE, 502, "no devshard runtimes available for new inferences", OTHER, Health.SOFT),
    Case(GATE, 503, "devshard temporarily unavailable during PoC generation", OTHER,
         Health.BLOCKED),
    Case(GATE, 503, "devshard temporarily unavailable during confirmation PoC validation", OTHER,
         Health.BLOCKED),
    Case(GATE, 503, 'model "X" is temporarily unavailable', OTHER, Health.SOFT),
    Case(GATE, 504, "inference: no non-empty response after retrying", OTHER, Health.SHARE),
    Case(GATE, 504, "504 Gateway Time-out", OTHER, Health.SOFT),
    # Providers.
    Case(PROV, 400, "Unknown parameter: 'top_k'.", STOP, Health.OK),
    Case(PROV, 401, "Incorrect API key provided", KEYS, Health.OK),
    Case(PROV, 402, "Insufficient credits", KEYS, Health.OK),
    Case(PROV, 403, "Country not supported", KEYS, Health.OK),
    Case(PROV, 404, "The model `x` does not exist", OTHER, Health.MODEL),
    Case(PROV, 429, "Rate limit reached", OTHER, Health.FULL),
    Case(PROV, 429, "You exceeded your current quota", KEYS, Health.OK),
    Case(PROV, 500, "The server had an error", TWICE, Health.SHARE),
    Case(PROV, 520, "Web server is returning an unknown error", OTHER, Health.SOFT),
    Case(PROV, 600, "no HTTP status", OTHER, Health.SOFT),
]  # fmt: skip


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: f"{case.kind}-{case.status}-{case.text[:40]}"
)
def test_case(case: Case) -> None:
    verdict = judge_status(case.kind, case.status, case.text)  # type: ignore[arg-type]
    assert (verdict.action, verdict.health, verdict.refresh) == (
        case.action,
        case.health,
        case.refresh,
    )


# The words of a list of every known error answer -> the verdicts that do as it says. A refusal by
# one host alone may also be taken to another, as long as it is not repeated where it was made.
_OF_ONE_HOST = (Health.DENIED, Health.MODEL, Health.GONE)
MEANINGS = {
    "stop": (STOP, CONFIRM, KEYS, TWICE),
    "stop_or_refresh_models": (OTHER,),
    "stop_use_gateway": (OTHER,),
    "report_new_url_do_not_follow_automatically": (OTHER,),
    "resync_clock_then_resign_once": (RESIGN,),
    "resign_and_retry_other_host": (OTHER,),
    "refresh_discovery_and_retry_other_host": (OTHER,),
    "retry_other_host": (OTHER, TWICE),
    "retry": (OTHER,),
    "retry_after": (OTHER,),
    "retry_once_other_gateway": (OTHER,),
    "backoff_then_retry": (OTHER,),
    "backoff_then_retry_other_host": (OTHER,),
    "backoff_minutes_or_other_gateway": (OTHER,),
}
HEALTHS = {
    "stop_or_refresh_models": (Health.MODEL,),
    "stop_use_gateway": (Health.GONE,),
    "report_new_url_do_not_follow_automatically": (Health.GONE,),
    "backoff_minutes_or_other_gateway": (Health.BLOCKED,),
}


def test_every_known_error_answer(shared: Path) -> None:
    listed = json.loads((shared / "fixtures/endpoints/errors.json").read_text())["errors"]
    assert len(listed) > 50
    wrong = []
    for error in listed:
        kind = GATE if error["surface"] == "gateway" else NODE
        text = error_text(error["body"].encode())
        verdict = judge_status(kind, error["status"], text)  # type: ignore[arg-type]
        action = error["action"]
        fits = verdict.action in MEANINGS[action] or (
            action == "stop" and verdict.action is OTHER and verdict.health in _OF_ONE_HOST
        )
        fits &= verdict.health in HEALTHS.get(action, tuple(Health))
        fits &= verdict.refresh or not action.startswith("refresh")
        if not fits:
            wrong.append((error["id"], action, verdict))
    assert not wrong


def test_errors_of_the_account_say_nothing_of_the_host() -> None:
    for case in CASES:
        if case.action in (KEYS, CONFIRM, RESIGN, STOP):
            assert case.health is Health.OK


def test_the_last_row_takes_everything() -> None:
    assert all(TABLE[-1].matches(kind, 999, "?") for kind in (NODE, GATE, PROV))  # type: ignore[arg-type]


def test_advice_tells_what_to_do() -> None:
    for kind, status, text, words in [
        (NODE, 410, "deprecated", "GONKA_BROKER_URL"),
        (NODE, 402, "Insufficient balance", "add funds"),
        (NODE, 401, "PubKey", "private key"),
        (NODE, 404, "Account not found", "on chain"),
        (GATE, 401, "requires an admin API key", "operator"),
        (GATE, 503, "PoC generation", "wait some minutes"),
        (PROV, 404, "no such model", "letter case"),
    ]:
        assert words in judge_status(kind, status, text).advice  # type: ignore[arg-type]


@pytest.mark.parametrize("failure", sorted(WIRE_TABLE))
def test_a_failure_without_an_answer_goes_to_another_host(failure: str) -> None:
    assert judge_failure(failure).action is OTHER


@pytest.mark.parametrize(
    ("failure", "health"),
    [
        ("refused", Health.HARD),
        ("dns", Health.HARD),
        ("tls", Health.HARD),
        ("connect_timeout", Health.HARD),
        ("first_token_timeout", Health.HARD),
        ("forbidden_address", Health.DENIED),
        ("reset", Health.SOFT),
        ("idle_timeout", Health.SOFT),
        # Weak signs: a pool that ejects on one of these empties itself.
        ("cut", Health.SHARE),
        ("truncated", Health.SHARE),
        ("garbage", Health.SHARE),
        ("error_event", Health.SHARE),
    ],
)
def test_what_such_a_failure_says_of_the_host(failure: str, health: Health) -> None:
    assert judge_failure(failure).health is health


@pytest.mark.parametrize(
    ("body", "action", "status"),
    [
        (b'{"error":{"message":"maximum context length exceeded","code":400}}', TWICE, 400),
        (b'{"error":{"message":"upstream closed"}}', OTHER, None),
        (b'{"error":{"message":"busy","code":"429"}}', OTHER, 429),
        (b'{"error":{"message":"odd","code":"invalid_api_key"}}', OTHER, None),
        (b'{"error":{"message":"odd","code":200}}', OTHER, None),
        (b'{"error":"text"}', OTHER, None),
        (b'{"object":"error","message":"bad field","code":400}', STOP, 400),
        (b"[]", OTHER, None),
    ],
)
def test_an_error_inside_a_200_is_judged_by_the_code_it_carries(
    body: bytes, action: Action, status: int | None
) -> None:
    failure = WireFailure("error_event", error_text(body), body=body)
    assert failed_verdict("gateway", failure).action is action
    assert failure.status == status
