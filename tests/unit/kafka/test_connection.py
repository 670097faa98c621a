"""What the client is told, and the files it comes from."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from bridge.errors import ConfigError
from bridge.kafka.connection import client_options
from bridge.kafka.options import KafkaConnection
from bridge.kafka.tokens import Tokens

CERTIFICATES = Path(__file__).parents[2] / "fakes" / "tls"
USER = {"mechanism": "SCRAM-SHA-256", "username": "alice"}


def options(**settings: Any) -> dict[str, Any]:
    connection = KafkaConnection.model_validate({"bootstrap_servers": "kafka:9092", **settings})
    return client_options(connection, where="source", client_id="bridge")


@pytest.mark.parametrize(
    ("settings", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"tls": True}, "SSL"),
        ({"tls": True, "sasl": {**USER, "password": "p"}}, "SASL_SSL"),
        ({"sasl": {**USER, "password": "p", "allow_plaintext": True}}, "SASL_PLAINTEXT"),
    ],
)
async def test_all_clients_take_the_options(settings: dict[str, Any], protocol: str) -> None:
    made = options(**settings)
    assert made["security_protocol"] == protocol
    clients = [kind(**made) for kind in (AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)]
    for client in clients:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


def test_tls_checks_certificates_and_names() -> None:
    context = options(tls=True)["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_only_the_named_authority_is_trusted() -> None:
    context = options(tls={"ca_file": str(CERTIFICATES / "ca.pem")})["ssl_context"]
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_password_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    for password in ("first", "se cond "):
        file.write_text(f"{password}\n")
        assert options(tls=True, sasl={**USER, "password_file": str(file)})["sasl_plain_password"] == password


@pytest.mark.parametrize("content", ["", "\n", "canary\nmore\n"])
def test_a_password_file_holds_one_line(tmp_path: Path, content: str) -> None:
    file = tmp_path / "password"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        options(tls=True, sasl={**USER, "password_file": str(file)})
    assert caught.value.field == "source.sasl.password_file"
    assert "canary" not in str(caught.value)


async def test_a_bearer_has_a_token_for_each_connection() -> None:
    made = options(tls=True, sasl={"mechanism": "OAUTHBEARER", "token_file": "/t"})
    assert isinstance(made["sasl_oauth_token_provider"], Tokens)


@pytest.mark.parametrize(
    "tls",
    [
        {"cert_file": str(CERTIFICATES / "client.pem")},
        {"cert_file": str(CERTIFICATES / "client.pem"), "key_file": str(CERTIFICATES / "client.pem")},
        {"cert_file": str(CERTIFICATES / "client-locked.pem"), "key_password": "canary"},
    ],
)
def test_a_certificate_of_our_own_comes_with_its_key(tls: dict[str, str]) -> None:
    assert options(tls=tls)["security_protocol"] == "SSL"


@pytest.mark.parametrize(
    ("tls", "field"),
    [
        ({"ca_file": "/none"}, "source.tls.ca_file"),
        ({"ca_file": __file__}, "source.tls.ca_file"),
        ({"cert_file": "/none"}, "source.tls.cert_file"),
        ({"cert_file": str(CERTIFICATES / "ca.pem")}, "source.tls.cert_file"),
        ({"cert_file": str(CERTIFICATES / "client.pem"), "key_file": "/none"}, "source.tls.cert_file"),
        ({"cert_file": str(CERTIFICATES / "client-locked.pem")}, "source.tls.cert_file"),
        ({"cert_file": str(CERTIFICATES / "client-locked.pem"), "key_password": "canar"}, "source.tls.cert_file"),
    ],
)
def test_files_of_no_use_are_told(tls: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(tls=tls)
    assert caught.value.field == field
    assert "canar" not in str(caught.value)
