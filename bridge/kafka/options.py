"""How to reach a Kafka cluster, as settings. Imports no client."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bridge.errors import ConfigError

Server = Annotated[str, Field(min_length=1, max_length=300)]


class KafkaConnection(BaseModel):
    """A cluster and how to talk to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap_servers: tuple[Server, ...] = Field(
        min_length=1, description="Brokers to begin with, as host:port; the others are learnt from them."
    )


def needs_client(where: str) -> ConfigError:
    """The error for a route that names Kafka where its client is not installed."""
    return ConfigError(f"{where}.type", "needs the Kafka client", "Install event-bridge[kafka]")
