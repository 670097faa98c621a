"""Who gets in at a broker, and in which words everybody else is told why not."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from bridge.errors import ConfigError, Disconnected
from bridge.kafka import connection, reach
from bridge.kafka.connection import client_options, close, start
from bridge.kafka.options import KafkaConnection
from devtools.kafka import KafkaNode
from devtools.kafka_security import MECHANISMS, USERS
from devtools.scratch import free_port

CERTIFICATES = Path(__file__).parents[2] / "fakes" / "tls"
TRUSTED = {"ca_file": str(CERTIFICATES / "ca.pem")}
OURS = {**TRUSTED, "cert_file": str(CERTIFICATES / "client.pem")}
CLIENTS = [AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient]
PASSWORDS = [mechanism for mechanism in MECHANISMS if mechanism != "OAUTHBEARER"]
WHERE = "routes.x.source"


def alice(mechanism: str, password: str = USERS["alice"]) -> dict[str, Any]:
    return {"mechanism": mechanism, "username": "alice", "password": password}


@asynccontextmanager
async def client(servers: str, kind: type[Any] = AIOKafkaAdminClient, **settings: Any) -> AsyncIterator[Any]:
    cluster = KafkaConnection.model_validate({"bootstrap_servers": servers, **settings})
    made = kind(**client_options(cluster, where=WHERE, client_id="test"))
    await start(made, where=WHERE)
    try:
        yield made
    finally:
        await close(made, where=WHERE)


async def refusal(servers: str, kind: type[Any] = AIOKafkaAdminClient, **settings: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        async with client(servers, kind, **settings):
            pass
    return caught.value


async def doubt(servers: str, **settings: Any) -> str:
    with pytest.raises(Disconnected) as caught:
        async with client(servers, **settings):
            pass
    return str(caught.value)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("mechanism", PASSWORDS)
async def test_users_get_in_with_their_password_only(secured_kafka: KafkaNode, mechanism: str, kind: type[Any]) -> None:
    servers = secured_kafka.address("SASL_SSL")
    async with client(servers, kind, tls=TRUSTED, sasl=alice(mechanism)):
        pass
    found = await refusal(servers, kind, tls=TRUSTED, sasl=alice(mechanism, "canary"))
    assert found.field == f"{WHERE}.sasl"
    assert found.problem.startswith(f"{servers} refuses us: Authentication failed")
    assert found.cure == "Check the user and the password"
    assert "canary" not in str(found)


async def test_a_password_is_read_anew_by_the_next_session(secured_kafka: KafkaNode, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("canary\n")
    sasl = {"mechanism": "PLAIN", "username": "alice", "password_file": str(file)}
    servers = secured_kafka.address("SASL_SSL")
    assert (await refusal(servers, tls=TRUSTED, sasl=sasl)).field == f"{WHERE}.sasl"
    file.write_text(USERS["alice"])
    async with client(servers, tls=TRUSTED, sasl=sasl):
        pass


async def test_without_tls_users_get_in_where_that_is_wanted(secured_kafka: KafkaNode) -> None:
    sasl = {**alice("SCRAM-SHA-512"), "allow_plaintext": True}
    async with client(secured_kafka.address("SASL_PLAINTEXT"), sasl=sasl):
        pass


@pytest.mark.parametrize("own", [OURS, {**TRUSTED, "cert_file": str(CERTIFICATES / "client-locked.pem")}])
async def test_a_certificate_gets_in(secured_kafka: KafkaNode, own: dict[str, str]) -> None:
    tls = {**own, "key_password": "canary"} if "locked" in own["cert_file"] else own
    async with client(secured_kafka.address("SSL"), tls=tls):
        pass


@pytest.mark.parametrize("own", [{}, {"cert_file": str(CERTIFICATES / "expired.pem")}])
async def test_without_a_good_certificate_nobody_gets_in(secured_kafka: KafkaNode, own: dict[str, str]) -> None:
    found = await refusal(secured_kafka.address("SSL"), tls={**TRUSTED, **own})
    assert found.field == f"{WHERE}.tls.cert_file"
    assert "does not let us in without a certificate that it trusts" in found.problem


async def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(secured_kafka: KafkaNode) -> None:
    found = await refusal(secured_kafka.address("SASL_SSL"), tls=True, sasl=alice("PLAIN"))
    assert found.field == f"{WHERE}.tls.ca_file"
    assert found.cure == "Name the authority that signed the brokers' certificates"


async def test_a_broker_under_another_name_is_not_spoken_to(secured_kafka: KafkaNode) -> None:
    servers = secured_kafka.address("SASL_SSL").replace("127.0.0.1", "localhost")
    found = await refusal(servers, tls=TRUSTED, sasl=alice("PLAIN"))
    assert found.field == f"{WHERE}.bootstrap_servers"
    assert "localhost" in found.problem
    assert "as their certificates do" in found.cure


@pytest.mark.parametrize(
    ("listener", "settings", "field", "problem"),
    [
        ("SSL", {}, "tls", "speaks TLS"),
        ("SASL_SSL", {"sasl": {**alice("PLAIN"), "allow_plaintext": True}}, "tls", "speaks TLS"),
        ("PLAINTEXT", {"tls": TRUSTED}, "tls", "does not speak TLS"),
        ("SASL_PLAINTEXT", {"tls": TRUSTED, "sasl": alice("PLAIN")}, "tls", "does not speak TLS"),
        ("SASL_PLAINTEXT", {}, "sasl", "asks who we are"),
        ("SASL_SSL", {"tls": TRUSTED}, "sasl", "asks who we are"),
        ("SSL", {"tls": OURS, "sasl": alice("PLAIN")}, "sasl", "does not ask who we are"),
        ("PLAINTEXT", {"sasl": {**alice("PLAIN"), "allow_plaintext": True}}, "sasl", "does not ask who we are"),
    ],
)
@pytest.mark.parametrize("kind", CLIENTS)
async def test_the_wrong_protocol_for_a_listener_is_told(
    secured_kafka: KafkaNode, kind: type[Any], listener: str, settings: dict[str, Any], field: str, problem: str
) -> None:
    servers = secured_kafka.address(listener)
    found = await refusal(servers, kind, **settings)
    assert (found.field, found.problem) == (f"{WHERE}.{field}", f"{servers} {problem}")
    if problem == "asks who we are":
        assert all(mechanism in found.cure for mechanism in MECHANISMS)


async def test_a_broker_that_knows_no_such_mechanism_says_which_it_knows(secured_kafka: KafkaNode) -> None:
    cluster = KafkaConnection.model_validate(
        {"bootstrap_servers": secured_kafka.address("SASL_SSL"), "tls": TRUSTED, "sasl": alice("SCRAM-SHA-256")}
    )
    admin = AIOKafkaAdminClient(**client_options(cluster, where=WHERE, client_id="test"))
    admin._client._sasl_mechanism = "SCRAM-SHA-1"  # the node of the tests knows all that settings can say
    with pytest.raises(ConfigError) as caught:
        await start(admin, where=WHERE)
    assert caught.value.field == f"{WHERE}.sasl.mechanism"
    assert caught.value.cure == f"Choose {' or '.join(sorted(MECHANISMS))}"


@pytest.mark.parametrize("kind", CLIENTS)
async def test_what_a_broker_calls_itself_must_be_reachable(kafka: KafkaNode, kind: type[Any]) -> None:
    nowhere = f"127.0.0.1:{kafka.wire().port}"  # where this listener sends its clients, and nobody listens
    with pytest.raises(Disconnected) as caught:
        async with client(kafka.address("WIRE"), kind):
            pass
    assert str(caught.value) == (
        f"connecting: {kafka.address('WIRE')} answers, but sends its clients on to {nowhere} (its "
        f"advertised.listeners), which cannot be reached from here: {nowhere}: Connection refused"
    )


async def test_one_server_that_answers_is_enough(bootstrap: str) -> None:
    async with client(f"127.0.0.1:{free_port()}, {bootstrap}"):
        pass


async def test_a_server_that_is_frozen_does_not_keep_us_from_the_others(bootstrap: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:  # the system accepts, and nobody reads
        cluster = f"127.0.0.1:{frozen.getsockname()[1]},{bootstrap}"
        for _ in range(3):  # the client asks them in any order
            async with client(cluster):
                pass


async def test_when_none_answers_each_is_named() -> None:
    gone = f"127.0.0.1:{free_port()}"
    said = await doubt(f"{gone},no-such-host.invalid:9092")
    assert f"{gone}: Connection refused" in said
    assert "no-such-host.invalid:9092: " in said


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CALL_LIMIT", 0.5)
    monkeypatch.setattr(reach, "EACH", 0.5)

    with socket.create_server(("127.0.0.1", 0)) as frozen:
        port = frozen.getsockname()[1]
        begun = time.monotonic()
        assert f"127.0.0.1:{port}: no answer within 0.5 s" in await doubt(f"127.0.0.1:{port}")
        assert time.monotonic() - begun < 20
