"""Where deliveries come from. The union is the registry."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from bridge.sources.kafka import KafkaSourceSettings
from bridge.sources.memory import MemorySourceSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings

SourceSettings: TypeAlias = Annotated[
    RabbitMQSourceSettings | KafkaSourceSettings | MemorySourceSettings, Field(discriminator="type")
]
