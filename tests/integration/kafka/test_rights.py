"""The rights that the guide names: with them all of the road works, and without one of them somebody says which."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.delays.kafka import KafkaDelaySettings
from bridge.errors import BridgeError, EndOfSource
from bridge.model import Burial, Delivery, Verdict
from bridge.ports import Resource
from bridge.sources.kafka import KafkaSourceSettings
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from devtools.kafka_rights import Kind, May, Pattern, grant, revoke_all
from devtools.kafka_security import USERS
from tests.contract.delay_line import hold
from tests.unit.markdown import paper

BOB = "User:bob"
TLS = Path(__file__).parents[2] / "fakes" / "tls"
LIMIT = 60.0


@dataclass(frozen=True)
class Right:
    """A cell of the guide's table."""

    part: str
    prefix: bool
    kind: Kind
    name: str
    may: May

    def __str__(self) -> str:
        return f"{self.part}: {self.may.name} on {self.kind.name} {self.name}"


def rights() -> Iterator[Right]:
    rows = re.findall(r"^\| (.+?) \| (topic|topics with the prefix|group) \| `(.+?)` \| (.+?) \|$", TABLE, re.MULTILINE)
    for part, resource, name, operations in rows:
        kind = Kind.GROUP if resource == "group" else Kind.TOPIC
        for operation in operations.split(", "):
            may = May[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()]
            yield Right(part.strip("`"), "prefix" in resource, kind, name, may)


TABLE = paper("docs/kafka.md").text.partition("## The least rights")[2].partition("\n## ")[0]
RIGHTS = list(rights())


class Road:
    """A source, a delay line and dead letters of somebody with few rights, in a namespace of their own."""

    def __init__(self, node: KafkaNode, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.orders = f"{name}-orders"
        self.stop: Callable[[], None] = lambda: None
        at = {
            "bootstrap_servers": node.address("SASL_SSL"),
            "tls": {"ca_file": str(TLS / "ca.pem")},
            "sasl": {"mechanism": "SCRAM-SHA-256", "username": "bob", "password": USERS["bob"]},
        }
        self.source = KafkaSourceSettings.model_validate(
            {"type": "kafka", **at, "topics": [self.orders], "group_id": name}
        )
        self.delay = KafkaDelaySettings(type="kafka", namespace=name, partitions=1)
        self.dead = KafkaDeadLettersSettings(type="kafka", namespace=name)

    async def let(self, allowed: list[Right]) -> None:
        await revoke_all(self.lab, BOB)
        for right in allowed:
            name = right.name.replace("bridge", self.name).replace("orders", self.orders)
            pattern = Pattern.PREFIXED if right.prefix else Pattern.LITERAL
            await grant(self.lab, BOB, right.may, right.kind, name, pattern)

    async def receives(self) -> None:
        source = self.source.build("x")
        self.stop = source.stop
        async with _open(source):
            await self.lab.produce(self.orders, [b"x"])
            batch = await source.receive(1, 0.0)
            await source.settle(batch, [Verdict.SETTLE])

    async def delays(self) -> None:
        line = self.delay.build("x", self.source)
        self.stop = line.due.stop
        async with _open(line):
            for error in await line.hold([hold(1, 0.1)]):
                if error is not None:
                    raise error
            batch = await line.due.receive(1, 0.0)
            await line.due.settle(batch, [Verdict.SETTLE])
        await line.sweep.sweep()

    async def buries(self) -> None:
        dead = self.dead.build("x", self.source)
        async with _open(dead):
            await dead.bury([Burial(Delivery(body=b"x"), b"x", "rejected", "rejected")])

    async def exhumes(self) -> None:
        dead = self.dead.build("x", self.source)
        async with _open(dead), dead.take(10) as taken:
            assert taken


@asynccontextmanager
async def _open(resource: Resource) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LIMIT):
            await resource.open()
            yield
    finally:
        await resource.close()


@pytest.fixture
async def road(secured_kafka: KafkaNode, unique: str) -> AsyncIterator[Road]:
    async with Lab(secured_kafka.bootstrap) as lab:
        road = Road(secured_kafka, lab, unique)
        await lab.create_topic(road.orders)
        yield road
        await revoke_all(lab, BOB)


def warnings(caplog: pytest.LogCaptureFixture) -> str:
    ours = [
        record for record in caplog.records if record.name.startswith("bridge.") and record.levelno >= logging.WARNING
    ]
    said = [(record.message, record.__dict__.get("reason", ""), record.__dict__.get("cure", "")) for record in ours]
    return " ".join(f"{message} {reason} {cure}" for message, reason, cure in said)


async def test_with_the_rights_of_the_guide_all_of_it_works(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    await road.let(RIGHTS)
    for act in (road.receives, road.delays, road.buries, road.exhumes):
        await act()
    assert "not_verified" not in warnings(caplog)
    assert "not_swept" not in warnings(caplog)


async def test_create_is_for_those_who_declare_only(road: Road) -> None:
    await road.let(RIGHTS)
    await road.delays()
    await road.buries()
    await road.let([right for right in RIGHTS if right.may is not May.CREATE])
    await road.delays()
    await road.buries()


@pytest.mark.parametrize("left_out", RIGHTS, ids=str)
async def test_each_of_them_is_missed(road: Road, caplog: pytest.LogCaptureFixture, left_out: Right) -> None:
    if left_out.may is not May.CREATE:  # all is there, and was in use
        await road.let(RIGHTS)
        for act in (road.delays, road.buries):
            await act()
    await road.let([right for right in RIGHTS if right is not left_out])
    caplog.clear()
    told = await _complaint(road, left_out, caplog)
    assert _named(left_out, told)
    assert USERS["bob"] not in told + caplog.text


def _act(road: Road, right: Right) -> Callable[[], Awaitable[None]]:
    acts = {"source": road.receives, "delay": road.delays, "dead_letters": road.buries}
    return acts.get(right.part, road.exhumes if "dlq" in right.part else road.delays)


async def _complaint(road: Road, right: Right, caplog: pytest.LogCaptureFixture) -> str:
    """What is said: by the error that it ends with, or in the log."""
    acting = asyncio.ensure_future(_act(road, right)())
    async with asyncio.timeout(LIMIT):
        while not acting.done() and not _named(right, warnings(caplog)):  # noqa: ASYNC110  a log is no event
            await asyncio.sleep(0.02)
        if not acting.done():
            road.stop()
        await asyncio.wait({acting})
    error = acting.exception()
    assert error is None or isinstance(error, BridgeError)
    return warnings(caplog) if error is None or isinstance(error, EndOfSource) else str(error)


def _named(right: Right, told: str) -> bool:
    name = right.may.name.title().replace("_", "")
    return re.search(rf"\b{name}\b", told) is not None or "that this user may see" in told
