"""A host seen from outside: what it checks, in which order and in which words."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator

import httpx
import pytest
from devnet_wire import (
    ORDER,
    ask,
    body_of,
    chat,
    digest_of,
    events,
    new_client,
    raw_signature,
    signed,
    text_of,
)

from gonka_integrations.devnet import Devnet


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with Devnet(hosts=2, gateways=0, host_models=[["gonka/test-model"], ["gonka/other"]]) as net:
        yield net


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with new_client() as client:
        yield client


def error(response: httpx.Response) -> tuple[int, str]:
    assert response.text.endswith("}\n")
    return response.status_code, response.json()["error"]


def test_a_signed_request_is_served(net: Devnet, client: httpx.Client) -> None:
    host = net.hosts[0]
    body = body_of(chat(text="Good morning"))
    headers = signed(net, host, body)
    response = client.post(f"{host.url}/v1/chat/completions", content=body, headers=headers)
    assert response.status_code == 200
    answer = response.json()
    assert answer["id"] == headers["Authorization"], "the id of an inference is its signature"
    assert answer["model"] == "gonka/test-model"
    assert answer["choices"][0]["message"]["content"] == "You said: Good morning"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 5 + 4


def test_executors_leave_log_probabilities_and_token_ids_in(
    net: Devnet, client: httpx.Client
) -> None:
    answer = ask(client, net, net.hosts[0], chat()).json()
    entry = answer["choices"][0]["logprobs"]["content"][0]
    assert entry["token"].isdecimal()
    assert len(entry["top_logprobs"]) == 5
    assert answer["prompt_token_ids"]
    assert answer["choices"][0]["token_ids"]


def test_a_stream_ends_with_usage_and_done(net: Devnet, client: httpx.Client) -> None:
    response = ask(client, net, net.hosts[0], chat(stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, last = events(response)
    assert last == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text_of(chunks) == "You said: Hello"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 3


def test_also_under_api(net: Devnet, client: httpx.Client) -> None:
    host = net.hosts[0]
    body = body_of(chat())
    response = client.post(
        f"{host.url}/api/v1/chat/completions", content=body, headers=signed(net, host, body)
    )
    assert response.status_code == 200


def test_parts_of_text_and_images_are_taken(net: Devnet, client: httpx.Client) -> None:
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    request = {"model": "gonka/test-model", "messages": [{"role": "user", "content": parts}]}
    assert ask(client, net, net.hosts[0], request).status_code == 200


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"model":"gonka/test-model"', "invalid chat completion request: unexpected end of JSON"),
        (b'{"model":"gonka/test-model"}', "messages is required"),
        (body_of(chat(model="")), "No model specified"),
        (body_of(chat(max_tokens=2**31)), "invalid chat completion request: max_tokens"),
        (
            body_of({"model": "gonka/test-model", "messages": [{"role": "robot", "content": "x"}]}),
            "invalid chat completion request: messages[0].role",
        ),
        (
            body_of({"model": "gonka/test-model", "messages": [{"role": "tool", "content": "x"}]}),
            "invalid chat completion request: messages[0].tool_call_id",
        ),
    ],
)
def test_malformed(net: Devnet, client: httpx.Client, body: bytes, text: str) -> None:
    status, message = error(ask(client, net, net.hosts[0], body))
    assert status == 400
    assert message.startswith(text)


def test_what_the_engine_refuses_comes_wrapped(net: Devnet, client: httpx.Client) -> None:
    request = chat(tools=[{"type": "function", "function": {"name": ""}}])
    status, message = error(ask(client, net, net.hosts[0], request))
    assert status == 400
    assert message.startswith('Inference node response with an error. code = 400. error = {"object')
    assert message.endswith("}.")


class TestSignature:
    def test_absent(self, net: Devnet, client: httpx.Client) -> None:
        response = ask(client, net, net.hosts[0], chat(), headers={"Authorization": ""})
        assert error(response) == (401, "Authorization is required")

    BAD = (401, "Unable to validate request against PubKey:invalid signature")

    def test_of_another_key(self, net: Devnet, client: httpx.Client) -> None:
        answer = ask(client, net, net.hosts[0], chat(), key=net.poor_private_key)
        assert error(answer) == self.BAD

    def test_for_another_host(self, net: Devnet, client: httpx.Client) -> None:
        body = body_of(chat())
        headers = signed(net, net.hosts[1], body)
        url = f"{net.hosts[0].url}/v1/chat/completions"
        assert error(client.post(url, content=body, headers=headers)) == self.BAD

    def test_over_other_bytes(self, net: Devnet, client: httpx.Client) -> None:
        body = body_of(chat())
        url = f"{net.hosts[0].url}/v1/chat/completions"
        headers = signed(net, net.hosts[0], body)
        assert error(client.post(url, content=body + b" ", headers=headers)) == self.BAD

    @pytest.mark.parametrize("shape", ["high s", "DER", "65 bytes", "url-safe", "bearer", "short"])
    def test_in_another_shape(self, net: Devnet, client: httpx.Client, shape: str) -> None:
        host, body = net.hosts[0], body_of(chat())
        # Until the bytes differ between the two base64 alphabets.
        for when in range(time.time_ns(), time.time_ns() + 1000):
            raw = raw_signature(net.private_key, digest_of(body, when, host.address))
            right = base64.b64encode(raw).decode()
            if "+" in right or "/" in right:
                break
        s = int.from_bytes(raw[32:], "big")
        wrong = {
            "high s": base64.b64encode(raw[:32] + (ORDER - s).to_bytes(32, "big")).decode(),
            "DER": base64.b64encode(
                b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:]
            ).decode(),
            "65 bytes": base64.b64encode(raw + b"\x00").decode(),
            "url-safe": base64.urlsafe_b64encode(raw).decode(),
            "bearer": f"Bearer {right}",
            "short": base64.b64encode(raw[:-1]).decode(),
        }
        headers = {"Authorization": wrong[shape], "X-Timestamp": str(when)}
        assert error(ask(client, net, host, body, headers=headers)) == self.BAD
        headers = {"Authorization": right, "X-Timestamp": str(when)}
        assert ask(client, net, host, body, headers=headers).status_code == 200

    def test_raw_bodies_are_signed_where_the_scheme_is_old(self, client: httpx.Client) -> None:
        with Devnet(hosts=1, gateways=0) as old:
            old.scheme = "raw_body"
            host, body, when = old.hosts[0], body_of(chat()), time.time_ns()
            assert error(ask(client, old, host, body)) == self.BAD
            raw = raw_signature(old.private_key, digest_of(body, when, host.address, raw=True))
            signature = base64.b64encode(raw).decode()
            headers = {"Authorization": signature, "X-Timestamp": str(when)}
            assert ask(client, old, host, body, headers=headers).status_code == 200

    def test_comes_before_balance_and_clock(self, net: Devnet, client: httpx.Client) -> None:
        answer = ask(client, net, net.hosts[0], chat(), key=net.poor_private_key, timestamp=1)
        assert error(answer) == self.BAD


class TestAccount:
    def test_unknown(self, net: Devnet, client: httpx.Client) -> None:
        headers = {"X-Requester-Address": net.hosts[0].address}
        answer = ask(client, net, net.hosts[0], chat(), headers=headers)
        expected = (500, "rpc error: code = NotFound desc = account not found")
        assert error(answer) == expected

    def test_without_money(self, net: Devnet, client: httpx.Client) -> None:
        headers = {"X-Requester-Address": net.poor_address}
        answer = ask(client, net, net.hosts[0], chat(), key=net.poor_private_key, headers=headers)
        assert error(answer) == (402, "Insufficient balance")

    def test_needs_the_price_of_what_it_may_get(self, client: httpx.Client) -> None:
        with Devnet(hosts=1, gateways=0) as net:
            account = net.ledger.accounts[net.requester_address]
            # 5 bytes of text, one message, 100 tokens.
            account.balance = 106 * 1000 - 1
            assert ask(client, net, net.hosts[0], chat(max_tokens=100)).status_code == 402
            account.balance += 1
            assert ask(client, net, net.hosts[0], chat(max_tokens=100)).status_code == 200
            assert account.inferences == 1
            assert account.spent == (4 + 3) * 1000

    def test_is_shown(self, net: Devnet, client: httpx.Client) -> None:
        url = f"{net.hosts[0].url}/v1/participants"
        shown = client.get(f"{url}/{net.requester_address}").json()
        assert shown["denom"] == "ngonka"
        assert len(base64.b64decode(shown["pubkey"])) == 33
        assert error(client.get(f"{url}/{net.hosts[0].address}"))[0] == 404


class TestClock:
    def test_too_old(self, net: Devnet, client: httpx.Client) -> None:
        when = time.time_ns() - 61 * 10**9
        answer = ask(client, net, net.hosts[0], chat(), timestamp=when)
        assert error(answer) == (400, "signature is too old")

    def test_in_the_future(self, net: Devnet, client: httpx.Client) -> None:
        when = time.time_ns() + 33 * 10**9
        answer = ask(client, net, net.hosts[0], chat(), timestamp=when)
        assert error(answer) == (400, "signature is in the future")

    def test_is_the_chain_s(self, client: httpx.Client) -> None:
        with Devnet(hosts=1, gateways=0) as net:
            net.clock_offset = -300
            assert error(ask(client, net, net.hosts[0], chat()))[1] == "signature is in the future"
            when = time.time_ns() - 300 * 10**9
            assert ask(client, net, net.hosts[0], chat(), timestamp=when).status_code == 200
            status = client.get(f"{net.source_url}/chain-rpc/status").json()["result"]
            shown = status["sync_info"]["latest_block_time"]
            assert abs(httpx_time(shown) - when / 1e9) < 5

    @pytest.mark.parametrize("text", ["", "soon", str(2**63), "-5", "1e18"])
    def test_a_timestamp_that_is_no_int64_counts_as_none(
        self, net: Devnet, client: httpx.Client, text: str
    ) -> None:
        # A node leaves a timestamp of 0 out of the signed text, and then finds it too old.
        host, body = net.hosts[0], body_of(chat())
        raw = raw_signature(net.private_key, digest_of(body, "", host.address))
        headers = {"Authorization": base64.b64encode(raw).decode(), "X-Timestamp": text}
        answer = ask(client, net, host, body, headers=headers)
        assert error(answer) == (400, "signature is too old")


def httpx_time(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text[:26] + "+00:00").timestamp()


def test_a_signature_is_good_once(net: Devnet, client: httpx.Client) -> None:
    host, body = net.hosts[0], body_of(chat())
    headers = signed(net, host, body)
    url = f"{host.url}/v1/chat/completions"
    assert client.post(url, content=body, headers=headers).status_code == 200
    again = client.post(url, content=body, headers=headers)
    expected = (400, "AuthKey has already been used for a transfer request")
    assert error(again) == expected


def test_models(net: Devnet, client: httpx.Client) -> None:
    unknown = ask(client, net, net.hosts[0], chat(model="no/such"))
    assert error(unknown) == (404, "model not found")
    elsewhere = ask(client, net, net.hosts[0], chat(model="gonka/other"))
    assert error(elsewhere) == (503, "no executors available for model")
    assert ask(client, net, net.hosts[1], chat(model="gonka/other")).status_code == 200


def test_allow_list_comes_first(client: httpx.Client) -> None:
    with Devnet(hosts=2, gateways=0) as net:
        net.allowed_transfer_addresses = [net.hosts[1].address]
        headers = {"Authorization": ""}
        refused = ask(client, net, net.hosts[0], chat(), headers=headers)
        assert error(refused) == (403, "Transfer Agent not allowed")
        assert ask(client, net, net.hosts[1], chat()).status_code == 200
        url = f"{net.source_url}/chain-api/productscience/inference/inference/params"
        params = client.get(url).json()["params"]
        shown = params["transfer_agent_access_params"]["allowed_transfer_addresses"]
        assert shown == [net.hosts[1].address]


def test_developer_gate(client: httpx.Client) -> None:
    with Devnet(hosts=1, gateways=0) as net:
        net.restricted_until_height = net.block_height + 1000
        status, text = error(ask(client, net, net.hosts[0], chat()))
        assert status == 403
        assert (
            text
            == f"inference requests are restricted until block height {net.restricted_until_height}"
        )


def test_classic_inference_may_be_gone(client: httpx.Client) -> None:
    with Devnet(hosts=1, gateways=0) as net:
        net.classic_gone = True
        response = ask(client, net, net.hosts[0], chat())
        assert response.status_code == 410
        assert response.json() == {
            "error": "deprecated",
            "message": "classic inference is deprecated; use devshard",
        }
        assert response.headers["deprecation"] == "true"
        assert response.headers["link"] == '</devshard/{version}>; rel="successor-version"'
        assert client.get(f"{net.source_url}/v1/epochs/current/participants").status_code == 200
        assert client.get(f"{net.source_url}/v1/chat/completions").status_code == 410
        devshard = client.post(f"{net.source_url}/v1/devshard/42/chat")
        assert devshard.status_code == 410
        assert devshard.json()["message"].startswith("/v1/devshard is deprecated")


def test_a_body_of_more_than_10_mib_is_refused(net: Devnet, client: httpx.Client) -> None:
    body = body_of(chat(text="x" * (10 * 1024 * 1024)))
    response = ask(client, net, net.hosts[0], body)
    assert error(response) == (413, "request body too large")


def test_too_many_at_once(client: httpx.Client) -> None:
    with Devnet(hosts=1, gateways=0) as net:
        net.hosts[0].max_concurrent = 0
        status, text = error(ask(client, net, net.hosts[0], chat()))
        assert status == 429
        assert text.startswith("Transfer Agent capacity reached. Try another TA from http://127")


def test_requests_are_recorded(client: httpx.Client) -> None:
    with Devnet(hosts=1, gateways=0) as net:
        host = net.hosts[0]
        ask(client, net, host, chat(stream=True))
        ask(client, net, host, chat(), headers={"Authorization": ""})
        served, refused = host.requests
        assert served.outcome == "served"
        assert served.status == 200
        assert served.json == chat(stream=True)
        assert served.body == body_of(chat(stream=True))
        assert served.headers["x-requester-address"] == net.requester_address
        assert served.streams
        assert (refused.outcome, refused.status) == ("refused", 401)
        assert "Authorization is required" in refused.detail
        assert host.in_flight == 0
        assert host.request_count == 2
        assert (host.accepted, host.connections) == (1, 1)


def test_only_the_newest_requests_are_kept(client: httpx.Client) -> None:
    with Devnet(hosts=1, gateways=0, record_limit=4) as net:
        for _ in range(6):
            ask(client, net, net.hosts[0], chat())
        assert len(net.hosts[0].requests) == 4
        assert net.hosts[0].request_count == 6
