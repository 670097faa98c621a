"""What the client's errors mean."""

from __future__ import annotations

import socket
import ssl

import pytest
from aiokafka import TopicPartition, errors

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.failures import of_certificate, translated, words
from bridge.kafka.tokens import NoToken

WHERE = "routes.x.source"


def config(error: Exception, needs: str = "") -> ConfigError:
    named = translated(error, "reading", WHERE, needs=needs)
    assert isinstance(named, ConfigError)
    return named


@pytest.mark.parametrize(
    ("error", "name", "right"),
    [
        (errors.TopicAuthorizationFailedError("orders"), "topic orders", "Read to consume it"),
        (errors.TopicAuthorizationFailedError({"b", "a"}), "topic a, b", "Write to produce"),
        (errors.TopicAuthorizationFailedError(TopicPartition("orders", 3)), "topic orders", "Read"),
        (errors.TopicAuthorizationFailedError(), "the topic", "Read"),
        (errors.GroupAuthorizationFailedError("bridge"), "group bridge", "Read"),
        (errors.ClusterAuthorizationFailedError(), "the cluster", "IdempotentWrite"),
    ],
)
def test_a_missing_right_is_named_with_what_it_is_about(error: Exception, name: str, right: str) -> None:
    found = config(error)
    assert found.problem == f"reading: {name} is forbidden to this user"
    assert found.cure.startswith("Give this user the ACL ")
    assert right in found.cure
    assert found.cure.endswith(f" on {name}")


def test_the_right_that_a_call_takes_is_named_alone() -> None:
    assert config(errors.TopicAuthorizationFailedError("orders"), "Write").cure.endswith("ACL Write on topic orders")
    assert "IdempotentWrite" in config(errors.ClusterAuthorizationFailedError(), "Write").cure


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (errors.UnknownTopicOrPartitionError("orders"), WHERE),
        (errors.SaslAuthenticationFailed("no"), f"{WHERE}.sasl"),
        (errors.UnsupportedSaslMechanismError(object()), f"{WHERE}.sasl.mechanism"),
        (errors.IllegalSaslStateError(object()), f"{WHERE}.sasl"),
        (errors.IncompatibleBrokerVersion("old"), WHERE),
    ],
)
def test_what_waiting_does_not_cure_names_its_field(error: Exception, field: str) -> None:
    assert config(error).field == field


@pytest.mark.parametrize(
    "error",
    [
        errors.KafkaConnectionError("Connection at kafka:9092 closed"),
        errors.NodeNotReadyError("node 1"),
        errors.RequestTimedOutError(),
        errors.GroupCoordinatorNotAvailableError(),
        errors.NotEnoughReplicasError(),
        errors.UnknownError(),
        errors.ConsumerStoppedError(),
        TimeoutError(),
        ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"),
    ],
)
def test_what_waiting_cures_is_a_lost_session(error: Exception) -> None:
    named = translated(error, "reading", WHERE)
    assert isinstance(named, Disconnected)
    assert str(named).startswith("reading: ")
    assert len(str(named)) > len("reading: ")


def test_what_is_none_of_the_clients_comes_back_as_it_is() -> None:
    error = KeyError("oops")
    assert translated(error, "reading", WHERE) is error


def test_a_missing_token_is_told_in_its_own_words() -> None:
    told = Disconnected("no token")
    assert translated(NoToken(told), "reading", WHERE) is told


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (errors.IllegalSaslStateError(object()), errors.IllegalSaslStateError.description),
        (errors.KafkaConnectionError(), "KafkaConnectionError"),
        (ConnectionRefusedError(111, "Connect call failed ('10.0.0.1', 9092)"), "Connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (errors.KafkaError("x" * 1000), "x" * 300),
    ],
)
def test_words_are_short_and_plain(error: Exception, said: str) -> None:
    assert words(error) == said


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] ...")
    error.reason = reason
    return error


def unverified(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("error", "field"),
    [
        (unverified(20, "unable to get local issuer certificate"), "tls.ca_file"),
        (unverified(10, "certificate has expired"), "tls.ca_file"),
        (unverified(62, "Hostname mismatch"), "bootstrap_servers"),
        (unverified(64, "IP address mismatch"), "bootstrap_servers"),
        (alert("SSLV3_ALERT_BAD_CERTIFICATE"), "tls.cert_file"),
        (alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls.cert_file"),
        (alert("TLSV1_ALERT_UNKNOWN_CA"), "tls.cert_file"),
        (alert("TLSV1_ALERT_PROTOCOL_VERSION"), "tls"),
        (alert("SSLV3_ALERT_HANDSHAKE_FAILURE"), "tls"),
        (alert("UNSUPPORTED_PROTOCOL"), "tls"),
    ],
)
def test_trouble_with_certificates_names_the_field_that_cures_it(error: ssl.SSLError, field: str) -> None:
    found = config(error)
    assert found.field == f"{WHERE}.{field}"
    assert not found.problem.endswith(".")


def test_other_trouble_of_tls_may_pass() -> None:
    error = alert("UNEXPECTED_EOF_WHILE_READING")
    assert of_certificate(error, "kafka:9093", WHERE) is None
    assert isinstance(translated(error, "reading", WHERE), Disconnected)
