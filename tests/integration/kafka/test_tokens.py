"""Bearers of tokens that a broker takes, refuses, and cuts off when they expire."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import ConfigError, Disconnected
from bridge.model import Verdict
from bridge.ports import Source
from bridge.sources.kafka import KafkaSourceSettings
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from devtools.kafka_rights import Kind, May, grant, revoke_all
from devtools.kafka_security import token

ROOT = Path(__file__).parents[3]
CAROL = "User:carol"
LIFE = 4  # seconds
LIMIT = 60.0


PRINT_TOKEN = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from devtools.kafka_security import token
with open(sys.argv[1], "a") as runs:
    runs.write("x")
print(token("carol", lifetime={LIFE}))
"""


class Reader:
    """A source that reads the topic `name` of a node as carol."""

    def __init__(self, node: KafkaNode, lab: Lab, name: str) -> None:
        self.node = node
        self.lab = lab
        self.name = name

    def source(self, **bearer: Any) -> Source:
        settings = {
            "type": "kafka",
            "bootstrap_servers": self.node.address("SASL_SSL"),
            "tls": {"ca_file": str(ROOT / "tests" / "fakes" / "tls" / "ca.pem")},
            "sasl": {"mechanism": "OAUTHBEARER", **bearer},
            "topics": [self.name],
            "group_id": self.name,
        }
        return KafkaSourceSettings.model_validate(settings).build("x")

    async def passes(self, source: Source, number: int) -> None:
        """One record goes through, exactly once."""
        await self.lab.produce(self.name, [b"%d" % number])
        batch = await source.receive(100, 0.0)
        assert [delivery.body for delivery in batch] == [b"%d" % number]
        await source.settle(batch, [Verdict.SETTLE])


@pytest.fixture
async def reader(secured_kafka: KafkaNode, unique: str) -> AsyncIterator[Reader]:
    async with Lab(secured_kafka.bootstrap) as lab:
        await lab.create_topic(unique)
        for kind in (Kind.TOPIC, Kind.GROUP):
            await grant(lab, CAROL, May.READ, kind, unique)
        yield Reader(secured_kafka, lab, unique)
        await revoke_all(lab, CAROL)


async def test_a_source_outlives_the_tokens_of_its_program(
    reader: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs = tmp_path / "runs"
    source = reader.source(token_command=[sys.executable, "-c", PRINT_TOKEN, str(runs)])
    try:
        await source.open()
        number = 0
        async with asyncio.timeout(LIMIT):
            while len(runs.read_text()) < 4:  # the broker has cut the connections of three tokens
                await reader.passes(source, number)
                number += 1
                await asyncio.sleep(0.1)
        await reader.passes(source, number)
        assert "session_lost" not in caplog.text
    finally:
        await source.close()


async def test_a_source_outlives_the_tokens_of_its_file(reader: Reader, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token("carol", lifetime=LIFE))
    source = reader.source(token_file=str(file))
    loop = asyncio.get_running_loop()
    try:
        await source.open()
        begun, number = loop.time(), 0
        async with asyncio.timeout(LIMIT):
            while loop.time() < begun + 2.5 * LIFE:
                file.write_text(token("carol", lifetime=LIFE))
                await reader.passes(source, number)
                number += 1
                await asyncio.sleep(0.1)
    finally:
        await source.close()


async def test_a_source_comes_back_once_its_file_has_a_good_token_again(reader: Reader, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token("carol", lifetime=LIFE))
    source = reader.source(token_file=str(file))
    loop = asyncio.get_running_loop()
    try:
        await source.open()
        opened = loop.time()
        await reader.passes(source, 0)
        await asyncio.sleep(opened + 2 * LIFE - loop.time())  # nobody renews it: the broker cuts us off
        file.write_text(token("carol"))
        async with asyncio.timeout(LIMIT):
            await reader.passes(source, 1)
    finally:
        await source.close()


async def test_an_expired_token_is_waited_for(reader: Reader, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token("carol", lifetime=-30))
    source = reader.source(token_file=str(file))
    try:
        with pytest.raises(Disconnected, match=r"refuses our token, which expired 3\d s ago: renew it"):
            await source.open()
        file.write_text(token("carol"))
        await source.open()
        await reader.passes(source, 0)
    finally:
        await source.close()


async def test_a_token_that_means_nothing_to_the_brokers_is_told(
    reader: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("canary")
    source = reader.source(token_file=str(file))
    with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError) as caught:
        await source.open()
    await source.close()
    assert caught.value.field == "routes.x.source.sasl"
    assert caught.value.problem == f"{reader.node.address('SASL_SSL')} refuses our token: invalid_token"
    assert "canary" not in f"{caught.value} {caught.value.__cause__!r} {caplog.text}"


async def test_a_program_that_fails_is_told(reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    source = reader.source(token_command=[sys.executable, "-c", "print('canary'); raise SystemExit(3)"])
    with caplog.at_level(logging.DEBUG), pytest.raises(Disconnected, match="ended with exit code 3") as caught:
        await source.open()
    await source.close()
    seen = [record.getMessage() for record in caplog.records if record.name != "asyncio"]  # which shows the arguments
    assert "canary" not in f"{caught.value} {caught.value.__cause__!r} {seen}"
