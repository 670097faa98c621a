"""The node with TLS, users and rights: what it takes, and what it refuses."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from devtools.kafka_rights import Kind, May, Pattern, grant, revoke_all
from devtools.kafka_security import USERS, token

TLS = Path(__file__).parents[2] / "fakes" / "tls"
PASSWORDS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Bearer(AbstractTokenProvider):  # type: ignore[misc]  # has no types
    async def token(self) -> str:
        return token("carol")


def trusting(certificate: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
    if certificate:
        context.load_cert_chain(TLS / certificate)
    return context


def as_alice(mechanism: str) -> dict[str, Any]:
    if mechanism == "OAUTHBEARER":
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": Bearer()}
    return {"sasl_mechanism": mechanism, "sasl_plain_username": "alice", "sasl_plain_password": USERS["alice"]}


def at(node: KafkaNode, protocol: str, **client: Any) -> Lab:
    if "SSL" in protocol:
        client.setdefault("ssl_context", trusting())
    return Lab(node.address(protocol), security_protocol=protocol, **client)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", [*PASSWORDS, "OAUTHBEARER"])
async def test_whoever_proves_who_they_are_may_do_what_they_have_a_right_to(
    secured_kafka: KafkaNode, unique: str, protocol: str, mechanism: str
) -> None:
    principal = "User:carol" if mechanism == "OAUTHBEARER" else "User:alice"
    async with Lab(secured_kafka.bootstrap) as lab, at(secured_kafka, protocol, **as_alice(mechanism)) as mine:
        await lab.create_topic(unique)
        with pytest.raises(TopicAuthorizationFailedError):
            await mine.configs(unique)
        assert unique not in await mine.topics()
        await grant(lab, principal, May.DESCRIBE_CONFIGS, Kind.TOPIC, unique)
        await grant(lab, principal, May.WRITE, Kind.TOPIC, unique[:8], Pattern.PREFIXED)
        assert await mine.configs(unique)
        assert await mine.produce(unique, [b"x"]) == [(0, 0)]
        await revoke_all(lab, principal)
        with pytest.raises(TopicAuthorizationFailedError):
            await mine.configs(unique)


async def test_a_certificate_is_a_principal(secured_kafka: KafkaNode, unique: str) -> None:
    async with Lab(secured_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
        await grant(lab, "User:CN=client", May.DESCRIBE, Kind.TOPIC, unique)
        async with at(secured_kafka, "SSL", ssl_context=trusting("client.pem")) as mine:
            assert await mine.topics() == [unique]
        await revoke_all(lab, "User:CN=client")


async def test_without_a_certificate_nobody_gets_in_where_one_is_wanted(secured_kafka: KafkaNode) -> None:
    with pytest.raises(KafkaError):
        async with at(secured_kafka, "SSL"):
            pass


@pytest.mark.parametrize("mechanism", PASSWORDS)
async def test_a_wrong_password_is_refused(secured_kafka: KafkaNode, mechanism: str) -> None:
    wrong = as_alice(mechanism) | {"sasl_plain_password": USERS["bob"]}
    with pytest.raises(KafkaError):
        async with at(secured_kafka, "SASL_SSL", **wrong):
            pass
