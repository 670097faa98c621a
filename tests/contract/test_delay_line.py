"""The contract of delay lines, over memory, RabbitMQ and Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bridge.delays.kafka import KafkaDelaySettings
from bridge.delays.memory import MemoryDelayLine
from bridge.delays.rabbitmq import RabbitMQDelaySettings
from bridge.ports import DelayLine
from bridge.rabbitmq import topology
from tests.contract.delay_line import DelayLineContract


class TestMemoryDelayLine(DelayLineContract):
    @pytest.fixture
    async def line(self) -> AsyncIterator[DelayLine]:
        line = MemoryDelayLine()
        await line.open()
        yield line
        await line.close()


class TestRabbitMQDelayLine(DelayLineContract):
    @pytest.fixture
    async def line(self, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DelayLine]:
        monkeypatch.setattr(topology, "NEWBORN", 0.0)  # nobody kills this broker
        line = RabbitMQDelaySettings(type="rabbitmq", url=SecretStr(amqp_url)).build("default")
        await line.open()
        yield line
        await line.close()


class TestKafkaDelayLine(DelayLineContract):
    @pytest.fixture
    async def line(self, bootstrap: str, unique: str) -> AsyncIterator[DelayLine]:
        settings = {"type": "kafka", "bootstrap_servers": bootstrap, "namespace": unique}
        line = KafkaDelaySettings.model_validate(settings).build("default")
        await line.open()
        yield line
        await line.close()
