"""How to reach a Kafka cluster, as settings. Imports no client."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from bridge.core.names import namespace_for
from bridge.errors import ConfigError
from bridge.units import Duration

TopologyMode = Literal["declare", "verify", "off"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

_HOST = re.compile(r"[A-Za-z0-9_.-]+")
_VALUE = re.compile(r"[ -~\t\r\n]*")
_LAST_PORT = 65_535


def _split(value: object) -> object:
    """Take "a:9092, b:9092" for a list, as other clients of Kafka do."""
    return value.split(",") if isinstance(value, str) else value


def _checked(servers: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValueError, which pydantic turns into its report, naming what is no `host:port`."""
    servers = tuple(server.strip() for server in servers)
    if not servers or not all(map(_is_server, servers)):
        raise ValueError("write each broker as host:port, such as kafka:9092 or [::1]:9092, with a comma between two")
    return servers


def _is_server(text: str) -> bool:
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _LAST_PORT):
        return False
    if not host.startswith("["):
        return _HOST.fullmatch(host) is not None
    try:
        return host.endswith("]") and bool(IPv6Address(host[1:-1]))
    except ValueError:
        return False


def _words(value: object) -> object:
    """Take "program --option" for a list, as a shell would split it; it is run without one."""
    return shlex.split(value) if isinstance(value, str) else value


Servers = Annotated[
    tuple[str, ...], BeforeValidator(_split, json_schema_input_type=str | list[str]), AfterValidator(_checked)
]
Command = Annotated[tuple[str, ...], BeforeValidator(_words, json_schema_input_type=str | list[str])]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Tls(_Options):
    """Which certificates are trusted, and which is ours. Host names are always checked, TLS is 1.2 or later."""

    ca_file: str | None = Field(
        None, min_length=1, description="PEM file of the certificate authorities to trust instead of the system's."
    )
    cert_file: str | None = Field(
        None, min_length=1, description="PEM file of our own certificate, where the brokers want one."
    )
    key_file: str | None = Field(
        None, min_length=1, description="PEM file of its private key, unless cert_file holds that too."
    )
    key_password: SecretStr | None = Field(None, description="What the private key is encrypted with, if it is.")

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        for name in ("key_file", "key_password"):
            if getattr(self, name) is not None and self.cert_file is None:
                raise ValueError(f"{name} needs cert_file: name the certificate that the key belongs to")
        return self


def _plain_tls(value: object) -> object:
    """Take `tls: true` for TLS with nothing special, `tls: false` for none."""
    words: dict[object, object] = {"true": {}, "false": None}
    return words.get(str(value).lower(), value) if isinstance(value, bool | str) else value


TlsOrNone = Annotated[Tls | None, BeforeValidator(_plain_tls, json_schema_input_type=bool | Tls | None)]


class Sasl(_Options):
    """Who we are: a user with a password, or the bearer of a token."""

    mechanism: Mechanism = Field(description="How we prove it; what the brokers' listener has enabled.")
    username: str | None = Field(None, min_length=1, description="The user, for PLAIN and SCRAM.")
    password: SecretStr | None = Field(None, description="The password. Better: password_file or the environment.")
    password_file: str | None = Field(
        None, min_length=1, description="File with the password, read at each new session, so that it can be rotated."
    )
    token_file: str | None = Field(
        None, min_length=1, description="File with the token, for OAUTHBEARER; read at each connection."
    )
    token_command: Command | None = Field(
        None,
        min_length=1,
        description="Program and arguments that print a token, for OAUTHBEARER. Run without a shell at a connection, "
        "when the last token is past four fifths of its life, or does not say when that ends.",
    )
    token_timeout: Duration = Field(10.0, gt=0, le=60, description="How long token_command may take.")
    extensions: Mapping[str, str] = Field(
        default_factory=dict,
        description="What a token is sent with, such as logicalCluster and identityPoolId for Confluent Cloud.",
    )
    allow_plaintext: bool = Field(
        False, description="Prove it without TLS too, where everybody on the way can read the password or the token."
    )

    @field_validator("extensions")
    @classmethod
    def _sendable(cls, extensions: Mapping[str, str]) -> Mapping[str, str]:
        """RFC 7628, 3.1: a name is of letters and is not `auth`, a value is printable."""
        for name, value in extensions.items():
            if not (name.isascii() and name.isalpha()) or name.lower() == "auth" or not _VALUE.fullmatch(value):
                raise ValueError("a name is of letters and is not `auth`, a value is of printable ASCII")
        return extensions

    @model_validator(mode="after")
    def _complete(self) -> Self:
        user = {"username": self.username, "password": self.password, "password_file": self.password_file}
        token = {
            "token_file": self.token_file,
            "token_command": self.token_command,
            "extensions": self.extensions or None,
        }
        bearer = self.mechanism == "OAUTHBEARER"
        for name, value in (user if bearer else token).items():
            if value is not None:
                kind = "only PLAIN and SCRAM have" if bearer else "only OAUTHBEARER has"
                raise ValueError(f"{name} is not for {self.mechanism}, {kind} it: remove it, or change the mechanism")
        if bearer:
            _exactly_one(token_file=self.token_file, token_command=self.token_command)
            return self
        if self.username is None:
            raise ValueError(f"username is missing: {self.mechanism} needs one")
        _exactly_one(password=self.password, password_file=self.password_file)
        return self


def _exactly_one(**fields: object) -> None:
    given = [name for name, value in fields.items() if value is not None]
    if not given:
        raise ValueError(f"{' or '.join(fields)} is missing: give one of them")
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other: keep one")


class KafkaConnection(_Options):
    """A cluster and how to talk to it."""

    bootstrap_servers: Servers = Field(
        description="Brokers to begin with, as host:port; the others are learnt from them."
    )
    tls: TlsOrNone = Field(None, description="Encrypt: true, or with which certificates. By default not.")
    sasl: Sasl | None = Field(None, description="Who we are, where the brokers ask for it.")

    @model_validator(mode="after")
    def _no_password_in_the_open(self) -> Self:
        if self.sasl is not None and self.tls is None and not self.sasl.allow_plaintext:
            raise ValueError(_OPEN)
        return self


_OPEN = "sasl without tls would show the password to the network: set tls, or sasl.allow_plaintext to take that"


class SharedKafkaConnection(_Options):
    """A part that lives at the source's cluster unless it is told of another one."""

    bootstrap_servers: Servers | None = Field(
        None, description="Brokers to begin with, as host:port; by default the source's."
    )
    tls: TlsOrNone = Field(None, description="As at the source; by default the source's.")
    sasl: Sasl | None = Field(None, description="As at the source; by default the source's.")
    namespace: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="First part of the names of its topics and groups; by default `bridge`, and `bridge.<route>` "
        "for a route that is not `default`. Never share one between routes or deployments.",
    )
    topology: TopologyMode = Field(
        "declare",
        description="`declare` its topics, `verify` that they are there and fit, or trust that they do (`off`).",
    )

    def at(self, source: object, where: str) -> KafkaConnection:
        """The cluster to use: the source's, but for what is said here. Raises ConfigError when there is none."""
        names = tuple(KafkaConnection.model_fields)
        own = {name: value for name in names if (value := getattr(self, name)) is not None}
        if "bootstrap_servers" not in own and not isinstance(source, KafkaConnection):
            cure = "Give the brokers of a Kafka, as host:port"
            raise ConfigError(f"{where}.bootstrap_servers", "is missing, and the source is no Kafka", cure)
        # Another cluster shares nothing with the source's: who we are there need not be known here.
        shared = isinstance(source, KafkaConnection) and "bootstrap_servers" not in own
        taken: dict[str, Any] = {name: getattr(source, name) for name in names} if shared else {}
        merged = {**taken, **own}
        if merged.get("sasl") is not None and merged.get("tls") is None and not merged["sasl"].allow_plaintext:
            raise ConfigError(f"{where}.sasl", "would be shown to the network without TLS", "Set tls beside it")
        return KafkaConnection(**merged)

    def namespace_of(self, route: str) -> str:
        return self.namespace or namespace_for(route)


def needs_client(where: str) -> ConfigError:
    """The error for a route that names Kafka where its client is not installed."""
    return ConfigError(f"{where}.type", "needs the Kafka client", "Install event-bridge[kafka]")
