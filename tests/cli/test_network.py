"""Commands that look at a network, over a local one."""

from __future__ import annotations

import pytest

from gonka_integrations.devnet import Devnet, Fault

from .conftest import Gonka


def settings(net: Devnet) -> dict[str, str]:
    return {
        "GONKA_SOURCE_URL": net.source_url,
        "GONKA_PRIVATE_KEY": net.private_key,
        "GONKA_BROKER_URL": net.gateway.base_url,
        "GONKA_BROKER_API_KEY": str(net.gateway.api_key),
        "GONKA_MODEL": net.models[0],
    }


def test_participants_as_a_table_and_as_json(gonka: Gonka, devnet: Devnet) -> None:
    shown = gonka("participants", "--source-url", devnet.source_url)
    assert shown.code == 0, shown.err
    assert all(host.address in shown.out for host in devnet.hosts)
    told = gonka("participants", "--json", GONKA_SOURCE_URL=devnet.source_url).json
    assert told["epoch"] == devnet.epoch
    assert {one["address"] for one in told["participants"]} == {h.address for h in devnet.hosts}


def test_who_is_left_out_and_why(gonka: Gonka, devnet: Devnet) -> None:
    devnet.exclude(1)
    shown = gonka("participants", "-s", devnet.source_url)
    assert "excluded" in shown.out
    skipped = gonka("participants", "-s", devnet.source_url, "--json").json["skipped"]
    assert [one["participant"] for one in skipped] == [devnet.hosts[1].address]


def test_models_of_the_network_and_of_gateways(gonka: Gonka, devnet: Devnet) -> None:
    told = gonka("models", "--json", **settings(devnet)).json["models"]
    assert {(one["model"], one["kind"]) for one in told} == {
        (devnet.models[0], "network"),
        (devnet.models[0], "gateway"),
    }
    assert devnet.models[0] in gonka("models", **settings(devnet)).out


def test_epoch(gonka: Gonka, devnet: Devnet) -> None:
    told = gonka("epoch", "--json", "-s", devnet.source_url).json
    assert (told["epoch"], told["phase"]) == (devnet.epoch, "Inference")
    assert told["seconds_to_change"] > 0
    assert "Inference" in gonka("epoch", "-s", devnet.source_url).out


@pytest.mark.parametrize("command", ["participants", "models", "epoch", "status"])
def test_without_anywhere_to_look_it_says_what_to_give(gonka: Gonka, command: str) -> None:
    ran = gonka(command)
    assert ran.code == 2
    assert "--source-url" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", ["participants", "epoch", "models"])
def test_a_source_that_is_not_there(gonka: Gonka, command: str) -> None:
    ran = gonka(command, "-s", "http://127.0.0.1:9")
    assert ran.code == 1
    assert "127.0.0.1:9" in ran.err
    assert "Traceback" not in ran.err


def test_status_shows_who_is_down_and_asks_nothing_that_costs(gonka: Gonka, devnet: Devnet) -> None:
    devnet.hosts[2].kill()
    told = gonka("status", "--json", **settings(devnet)).json
    assert [one["up"] for one in told["endpoints"]] == [True, True, False, True]
    assert told["epoch"] == devnet.epoch
    shown = gonka("status", **settings(devnet))
    assert shown.code == 0
    assert "3 of 4 endpoints answer" in shown.out
    assert not any(server.requests for server in devnet.servers)


def test_status_watches(gonka: Gonka, devnet: Devnet) -> None:
    ran = gonka("status", "--watch", "--looks", "2", "--interval", "0", **settings(devnet))
    assert ran.code == 0, ran.err
    assert "4 of 4 endpoints answer" in ran.out


def test_status_is_1_when_nobody_answers(gonka: Gonka, devnet: Devnet) -> None:
    devnet.gateway.kill()
    assert gonka("status", "--base-url", devnet.gateway.base_url).code == 1


def test_doctor_finds_everything_in_order(gonka: Gonka, devnet: Devnet) -> None:
    ran = gonka("doctor", "--call", **settings(devnet))
    assert ran.code == 0, ran.out + ran.err
    assert "wrong" not in ran.out
    checks = {
        one["check"] for one in gonka("doctor", "--json", **settings(devnet)).json["findings"]
    }
    assert checks >= {"key", "address", "source", "clock", "allow-list", "models", "account"}


def findings(gonka: Gonka, devnet: Devnet, **changed: str) -> dict[str, dict[str, str]]:
    ran = gonka("doctor", "--json", **(settings(devnet) | changed))
    wrong = any(one["state"] == "wrong" for one in ran.json["findings"])
    assert ran.code == (1 if wrong else 0)
    return {one["check"]: one for one in ran.json["findings"]}


def test_doctor_on_accounts(gonka: Gonka, devnet: Devnet) -> None:
    poor = findings(gonka, devnet, GONKA_PRIVATE_KEY=devnet.poor_private_key)
    assert poor["account"]["state"] == "wrong"
    assert "fund" in poor["account"]["advice"]
    unknown = findings(gonka, devnet, GONKA_PRIVATE_KEY=devnet.unknown_private_key)
    assert "does not know" in unknown["account"]["detail"]


def test_doctor_on_the_clock_and_the_allow_list(gonka: Gonka, devnet: Devnet) -> None:
    devnet.clock_offset = -90.0
    devnet.allowed_transfer_addresses = [devnet.hosts[0].address]
    told = findings(gonka, devnet)
    assert "ahead" in told["clock"]["detail"]
    assert "NTP" in told["clock"]["advice"]
    assert "1 addresses" in told["allow-list"]["detail"]


def test_doctor_on_models(gonka: Gonka, devnet: Devnet) -> None:
    told = findings(gonka, devnet, GONKA_MODEL=devnet.models[0].upper())
    assert devnet.models[0] in told["models"]["advice"]


def test_doctor_on_gateways(gonka: Gonka, devnet: Devnet) -> None:
    devnet.gateway.kill()
    told = findings(gonka, devnet)
    assert told["gateway"]["state"] == "wrong"


def test_doctor_tries_the_key_of_a_gateway_without_asking_a_model(
    gonka: Gonka, devnet: Devnet
) -> None:
    told = findings(gonka, devnet)
    assert told["gateway"]["state"] == "ok"
    assert all("messages" not in (one.json or {}) for one in devnet.gateway.requests)

    told = findings(gonka, devnet, GONKA_BROKER_API_KEY="not-the-key")
    assert told["gateway"]["state"] == "wrong"
    assert "401" in told["gateway"]["detail"]
    assert "GONKA_BROKER_API_KEY" in told["gateway"]["advice"]
    assert "not-the-key" not in str(told)


def test_doctor_without_anything(gonka: Gonka) -> None:
    ran = gonka("doctor")
    assert ran.code == 1
    assert "GONKA_BROKER_URL" in ran.out


def test_bench_measures_each_endpoint(gonka: Gonka, devnet: Devnet) -> None:
    devnet.hosts[1].fault = Fault("status", status=503)
    told = gonka("bench", "--json", "-n", "2", **settings(devnet)).json["endpoints"]
    assert [one["served"] for one in told] == [2, 0, 2, 2]
    assert all(one["first_token_seconds"] > 0 for one in told if one["served"])
    assert "503" in told[1]["errors"][0]
    shown = gonka("bench", "-n", "1", **settings(devnet))
    assert shown.code == 0
    assert devnet.hosts[0].address in shown.out
