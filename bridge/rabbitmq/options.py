"""How to reach a broker, as settings. Imports no client."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bridge.core.names import namespace_for
from bridge.errors import ConfigError
from bridge.units import Duration

TopologyMode = Literal["declare", "verify", "off"]
Client = Literal["native", "aio-pika"]


class ConnectionSettings(BaseModel):
    """A broker and how to talk to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr = Field(description="Where the broker is: amqp:// or amqps://user:password@host:port/vhost.")
    heartbeat: Duration = Field(
        15.0,
        ge=5,
        le=600,
        description="Seconds between heartbeats; a dead broker is noticed after three of them at the latest.",
    )
    ca_file: str | None = Field(
        None, description="PEM file of the certificate authorities to trust instead of the system's."
    )


class ConsumingSettings(ConnectionSettings):
    """A broker that is consumed from."""

    client: Client = Field(
        "native",
        description="What speaks AMQP for deliveries and acks: the bridge's own codec (`native`), or `aio-pika`, which "
        "costs many times the CPU. Publishing is aio-pika's in any case.",
    )


class SharedConnectionSettings(BaseModel):
    """A part that lives at the source's broker unless it is told of another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr | None = Field(None, description="amqp:// or amqps:// URL; by default the source's.")
    heartbeat: Duration | None = Field(
        None, ge=5, le=600, description="Seconds between heartbeats; by default the source's, or 15."
    )
    ca_file: str | None = Field(None, description="PEM file of the authorities to trust; by default the source's.")
    namespace: str | None = Field(
        None,
        min_length=1,
        max_length=100,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="First part of the names of its exchanges and queues; by default `bridge`, and `bridge.<route>` "
        "for a route that is not `default`. Never share one between routes or deployments.",
    )
    topology: TopologyMode = Field(
        "declare",
        description="`declare` its exchanges and queues, `verify` that they are there, or trust that they are (`off`).",
    )

    def at(self, source: object, where: str) -> ConnectionSettings:
        """The broker to use: the source's, but for what is said here. Raises ConfigError when there is no URL."""
        names = set(ConnectionSettings.model_fields)
        own = self.model_dump(include=names, exclude_none=True)
        if self.url is None and not isinstance(source, ConnectionSettings):
            raise ConfigError(f"{where}.url", "is missing, and the source is no RabbitMQ", "Give the URL of a RabbitMQ")
        # Another broker shares nothing with the source's: what is trusted there need not be trusted here.
        taken = source.model_dump(include=names) if isinstance(source, ConnectionSettings) and not self.url else {}
        return ConnectionSettings(**{**taken, **own})

    def namespace_of(self, route: str) -> str:
        return self.namespace or namespace_for(route)


def needs_client(where: str) -> ConfigError:
    """The error for a route that names RabbitMQ where its client is not installed."""
    return ConfigError(f"{where}.type", "needs the RabbitMQ client", "Install event-bridge[rabbitmq]")
