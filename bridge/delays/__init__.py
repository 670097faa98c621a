"""Where events wait until they are due. The union is the registry."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from bridge.delays.kafka import KafkaDelaySettings
from bridge.delays.memory import MemoryDelaySettings
from bridge.delays.rabbitmq import RabbitMQDelaySettings

DelaySettings: TypeAlias = Annotated[
    RabbitMQDelaySettings | KafkaDelaySettings | MemoryDelaySettings, Field(discriminator="type")
]
