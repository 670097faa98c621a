"""The contract of dead letters, over memory, RabbitMQ and Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings
from bridge.rabbitmq import topology
from tests.contract.dead_letters import DeadLettersContract, Graves


class TestMemoryDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def graves(self) -> AsyncIterator[Graves]:
        graves = MemoryDeadLetters()
        await graves.open()
        yield graves
        await graves.close()


class TestRabbitMQDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def graves(self, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graves]:
        monkeypatch.setattr(topology, "NEWBORN", 0.0)  # nobody kills this broker
        graves = RabbitMQDeadLettersSettings(type="rabbitmq", url=SecretStr(amqp_url)).build("default")
        await graves.open()
        yield graves
        await graves.close()


class TestKafkaDeadLetters(DeadLettersContract):
    @pytest.fixture
    async def graves(self, bootstrap: str, unique: str) -> AsyncIterator[Graves]:
        graves = KafkaDeadLettersSettings(type="kafka", bootstrap_servers=(bootstrap,), namespace=unique).build(
            "default"
        )
        await graves.open()
        yield graves
        await graves.close()
