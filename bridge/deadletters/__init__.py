"""Where events end that can never pass. The union is the registry."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.deadletters.memory import MemoryDeadLettersSettings
from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings

DeadLettersSettings: TypeAlias = Annotated[
    RabbitMQDeadLettersSettings | KafkaDeadLettersSettings | MemoryDeadLettersSettings, Field(discriminator="type")
]
