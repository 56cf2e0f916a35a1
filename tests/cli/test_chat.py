"""`gonka chat`, with a question and as a conversation."""

from __future__ import annotations

from gonka_integrations.devnet import Devnet

from .conftest import Gonka
from .test_network import settings


def test_a_question_is_answered_and_says_who_served(gonka: Gonka, devnet: Devnet) -> None:
    ran = gonka(
        "chat", "What is new?", "-s", devnet.source_url, GONKA_PRIVATE_KEY=devnet.private_key
    )
    assert ran.code == 0, ran.err
    assert "You said: What is new?" in ran.out
    assert any(host.address in ran.out for host in devnet.hosts)
    assert devnet.private_key not in ran.out + ran.err


def test_a_question_as_json(gonka: Gonka, devnet: Devnet) -> None:
    told = gonka("chat", "--json", "Hello", **settings(devnet)).json
    assert told["content"] == "You said: Hello"
    assert told["served"]["failovers"] == 0
    assert told["usage"]["completion_tokens"] > 0


def test_a_conversation_remembers_and_takes_commands(gonka: Gonka, devnet: Devnet) -> None:
    said = "first\nsecond\n/stats\n/reset\nthird\n/what\n/quit\nnever\n"
    ran = gonka("chat", stdin=said, **settings(devnet))
    assert ran.code == 0, ran.err
    sent = [request.json for server in devnet.servers for request in server.requests]
    lengths = {body["messages"][-1]["content"]: len(body["messages"]) for body in sent}
    assert lengths == {"first": 1, "second": 3, "third": 1}
    assert "never" not in ran.out


def test_a_failure_does_not_end_the_conversation(gonka: Gonka, devnet: Devnet) -> None:
    said = "/model no/such\nlost\n/model gonka/test-model\nfound\n"
    ran = gonka("chat", stdin=said, **settings(devnet))
    assert ran.code == 0
    assert "no/such" in ran.err
    assert "You said: found" in ran.out
    assert "Traceback" not in ran.err


def test_without_a_model_the_only_one_is_used(gonka: Gonka, devnet: Devnet) -> None:
    environment = settings(devnet)
    del environment["GONKA_MODEL"], environment["GONKA_BROKER_URL"]
    del environment["GONKA_BROKER_API_KEY"]
    assert "You said: Hello" in gonka("chat", "Hello", **environment).out


def test_a_failed_question_is_1_and_shows_no_traceback(gonka: Gonka, devnet: Devnet) -> None:
    ran = gonka("chat", "Hello", **(settings(devnet) | {"GONKA_MODEL": "no/such"}))
    assert ran.code == 1
    assert "no/such" in ran.err
    assert "Traceback" not in ran.err
