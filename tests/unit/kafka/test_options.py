"""Settings of a Kafka connection: what is taken, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.delays.kafka import KafkaDelaySettings
from bridge.errors import ConfigError
from bridge.kafka.options import KafkaConnection, SharedKafkaConnection
from bridge.sources.kafka import KafkaSourceSettings
from bridge.sources.memory import MemorySourceSettings

PLAIN = {"mechanism": "PLAIN", "username": "alice", "password": "canary"}
SOURCE = KafkaSourceSettings.model_validate(
    {"type": "kafka", "bootstrap_servers": "kafka:9093", "topics": "orders", "tls": {"ca_file": "/ca"}, "sasl": PLAIN}
)
PARTS = [KafkaDelaySettings, KafkaDeadLettersSettings]


def connection(**settings: Any) -> KafkaConnection:
    return KafkaConnection.model_validate({"bootstrap_servers": "kafka:9092", **settings})


def complaint(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        connection(**settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "servers"),
    [
        ("kafka:9092", ("kafka:9092",)),
        ("a.example.com:9092, b_2:9093", ("a.example.com:9092", "b_2:9093")),
        (["127.0.0.1:1", "[::1]:65535"], ("127.0.0.1:1", "[::1]:65535")),
    ],
)
def test_servers_are_a_list_or_have_commas_between_them(written: object, servers: tuple[str, ...]) -> None:
    assert connection(bootstrap_servers=written).bootstrap_servers == servers


@pytest.mark.parametrize(
    "written",
    [
        "",
        [],
        "kafka",
        "kafka:",
        ":9092",
        "kafka:0",
        "kafka:65536",
        "::1:9092",
        "[x]:1",
        "[::1:9092",
        "a:1,",
        "kafka://a:1",
    ],
)
def test_what_is_no_host_and_port_is_refused(written: object) -> None:
    assert "write each broker as host:port" in complaint(bootstrap_servers=written)


@pytest.mark.parametrize("written", [True, "true", "True", {}])
def test_tls_may_be_plainly_on(written: object) -> None:
    tls = connection(tls=written).tls
    assert tls is not None
    assert tls.ca_file is None


@pytest.mark.parametrize("written", [False, "false", None])
def test_tls_may_be_plainly_off(written: object) -> None:
    assert connection(tls=written).tls is None


@pytest.mark.parametrize("field", ["key_file", "key_password"])
def test_a_key_is_for_a_certificate(field: str) -> None:
    assert f"{field} needs cert_file" in complaint(tls={field: "canary"})


def test_a_password_is_not_shown_to_the_network_unasked() -> None:
    assert "sasl without tls would show the password" in complaint(sasl=PLAIN)
    assert connection(sasl={**PLAIN, "allow_plaintext": True}).sasl
    assert connection(sasl=PLAIN, tls=True).sasl


BEARER = {"mechanism": "OAUTHBEARER", "token_file": "/token"}


@pytest.mark.parametrize(
    ("sasl", "problem"),
    [
        ({**PLAIN, "username": None}, "username is missing"),
        ({**PLAIN, "password": None}, "password or password_file is missing"),
        ({**PLAIN, "password_file": "/p"}, "password and password_file exclude each other"),
        ({**PLAIN, "token_file": "/t"}, "token_file is not for PLAIN, only OAUTHBEARER has it"),
        ({**PLAIN, "mechanism": "SCRAM-SHA-512", "token_command": ["t"]}, "token_command is not for SCRAM-SHA-512"),
        ({**PLAIN, "extensions": {"a": "b"}}, "extensions is not for PLAIN"),
        ({**BEARER, "password": "canary"}, "password is not for OAUTHBEARER, only PLAIN and SCRAM have it"),
        ({**BEARER, "token_file": None}, "token_file or token_command is missing"),
        ({**BEARER, "token_command": ["t"]}, "token_file and token_command exclude each other"),
        ({**BEARER, "extensions": {"auth": "canary"}}, "is not `auth`"),
        ({**BEARER, "extensions": {"a": "\x01canary"}}, "printable ASCII"),
        ({**PLAIN, "mechanism": "GSSAPI"}, "'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512' or 'OAUTHBEARER'"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_told(sasl: dict[str, object], problem: str) -> None:
    said = complaint(sasl=sasl, tls=True)
    assert problem in said
    assert "canary" not in said


@pytest.mark.parametrize("written", [["get", "--for", "a b"], "get --for 'a b'"])
def test_a_command_is_a_list_or_is_split_like_one(written: object) -> None:
    sasl = connection(tls=True, sasl={"mechanism": "OAUTHBEARER", "token_command": written}).sasl
    assert sasl is not None
    assert sasl.token_command == ("get", "--for", "a b")


@pytest.mark.parametrize("settings", PARTS)
def test_a_part_lives_at_the_sources_cluster(settings: type[KafkaDelaySettings | KafkaDeadLettersSettings]) -> None:
    at = settings(type="kafka").at(SOURCE, "routes.x.delay")
    assert at == KafkaConnection(bootstrap_servers=("kafka:9093",), tls=SOURCE.tls, sasl=SOURCE.sasl)


def test_what_a_part_says_itself_wins() -> None:
    bob = {**PLAIN, "username": "bob"}
    at = SharedKafkaConnection.model_validate({"sasl": bob}).at(SOURCE, "routes.x.delay")
    assert at == connection(bootstrap_servers="kafka:9093", tls={"ca_file": "/ca"}, sasl=bob)


def test_another_cluster_takes_nothing_over() -> None:
    at = SharedKafkaConnection(bootstrap_servers=("other:9092",)).at(SOURCE, "routes.x.delay")
    assert at == connection(bootstrap_servers="other:9092")


@pytest.mark.parametrize(
    ("part", "source", "field"),
    [
        ({}, MemorySourceSettings(type="memory"), "routes.x.delay.bootstrap_servers"),
        ({"bootstrap_servers": "other:9092", "sasl": PLAIN}, SOURCE, "routes.x.delay.sasl"),
        ({"sasl": PLAIN}, connection(), "routes.x.delay.sasl"),
    ],
)
def test_a_part_that_cannot_connect_says_which_field_is_wrong(part: Any, source: object, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SharedKafkaConnection.model_validate(part).at(source, "routes.x.delay")
    assert caught.value.field == field
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("route", "namespace"), [("default", "bridge"), ("orders", "bridge.orders")])
def test_each_route_has_a_namespace_of_its_own(route: str, namespace: str) -> None:
    assert SharedKafkaConnection().namespace_of(route) == namespace
    assert SharedKafkaConnection(namespace="mine").namespace_of(route) == "mine"


@pytest.mark.parametrize("namespace", ["", "a b", "#", "*.x", ".x", "x" * 101])
def test_namespaces_that_no_topic_can_have_are_refused(namespace: str) -> None:
    with pytest.raises(ValidationError):
        SharedKafkaConnection(namespace=namespace)


def test_no_secret_shows_in_a_repr() -> None:
    locked = connection(tls={"cert_file": "/c", "key_password": "canary"}, sasl=PLAIN)
    assert "canary" not in f"{SOURCE!r} {SOURCE} {locked!r} {SharedKafkaConnection().at(SOURCE, 'x')!r}"
