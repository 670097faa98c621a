"""A source at one broker, with the delay line and the dead letters at the other."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.core.pairs import pairs_of
from bridge.deadletters.kafka import KafkaDeadLetters, KafkaDeadLettersSettings
from bridge.deadletters.rabbitmq import RabbitMQDeadLetters, RabbitMQDeadLettersSettings
from bridge.devserver.faults import Fault, Match
from bridge.model import Burial
from devtools import rabbitmq
from devtools.kafka_lab import Lab
from devtools.rabbitmq import Node
from tests.chaos.kafka.road import KafkaRoad, as_bytes, event
from tests.chaos.rabbitmq_publisher import QUEUE
from tests.chaos.rabbitmq_road import Road, road
from tests.chaos.road import AnyRoad, answered

pytestmark = pytest.mark.parametrize(
    "broker_version", rabbitmq.VERSIONS[-1:], ids=lambda version: f"rabbitmq-{version}"
)

POISON = b'{"name": "x", "name": "y"}'
KINDS = {"poison": "poison", "bad": "rejected", "bad-later": "rejected"}
KEY = b"k\xff"
PAIRS = [("trace", b"\x00\xff"), ("trace", b"twice"), ("none", None)]
TABLE: dict[str, Any] = {"trace": "kept", "deep": {"numbers": [1, 2]}}


@pytest.fixture
async def rabbit_road(tmp_path: Path, broker: Node, vhost: str) -> AsyncIterator[Road]:
    folder = tmp_path / "rabbitmq"
    folder.mkdir()
    async with road(folder, broker, vhost) as made:
        yield made


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Batch:
    """Events of every fate: at once, later, after two failures, rejected, rejected later; and one nobody can read."""

    def __init__(self) -> None:
        self.due = {f"later-{number}": now_ms() + 12_000 + 100 * number for number in range(20)}
        self.bodies: dict[str, bytes] = {
            "poison": POISON,
            **{event_id: as_bytes(event(event_id)) for event_id in ("good", "fails", "bad")},
            **{event_id: as_bytes(event(event_id, ts=at)) for event_id, at in self.due.items()},
            "bad-later": as_bytes(event("bad-later", ts=now_ms() + 12_000)),
        }

    @property
    def passing(self) -> list[str]:
        return ["good", "fails", *self.due]


def prepare(made: AnyRoad, elsewhere: dict[str, Any]) -> None:
    """Let delays and dead letters be elsewhere, and retries be long enough to be held there too."""
    made.bridge.settings |= {"delay": elsewhere, "dead_letters": elsewhere, "retry": {"base": 5, "cap": 5}}
    made.api.add_fault(Fault(match=Match(id="fails"), status=500, each=2))
    made.api.add_fault(Fault(match=Match(id="bad*"), poison="no such user"))


async def cross(made: AnyRoad, other: AnyRoad, batch: Batch) -> None:
    """See a published batch through, killing the bridge while events wait at the other broker."""
    await made.until_arrived(["good"])

    async def held() -> bool:
        return sum(map(_size, (await _depths(other)).values())) >= len(batch.due)

    await answered(held, what="copies at the other broker")
    await made.bridge.kill()
    assert not set(batch.due) & set(made.arrived()), "the kill came too late"
    await made.bridge.start()
    await made.until_arrived(batch.passing)
    samples = await made.until_quiet()

    async def empty() -> bool:
        return not await other.depths()

    await answered(empty, what="nothing left at the other broker")
    assert set(made.arrived()) == set(batch.passing)
    assert max(made.arrived().values()) <= 2, "1 + one crash"
    for event_id, due in batch.due.items():
        [record] = [record for record in made.api.book.events.values() if record.id == event_id]
        assert record.arrivals[0] >= due, f"{event_id} was early"
    assert samples["bridge_deliveries_received_total{stage=due}"] >= len(batch.due), "they waited elsewhere"


async def _depths(made: AnyRoad) -> dict[str, Any]:
    depths = await made.depths()
    assert isinstance(depths, dict)
    return depths


def _size(depth: int | tuple[int, int]) -> int:
    return depth if isinstance(depth, int) else sum(depth)


async def dug_up(graves: KafkaDeadLetters | RabbitMQDeadLetters) -> dict[str, Burial]:
    """All dead letters by the id of their event; `poison` has none."""
    await graves.open()
    try:
        letters = await graves.browse(100)
    finally:
        await graves.close()
    return {letter.event_id or letter.kind: letter for letter in letters}


async def test_from_kafka_with_delays_and_dead_letters_at_rabbitmq(quiet_road: KafkaRoad, rabbit_road: Road) -> None:
    url = rabbit_road.node.url_of(rabbit_road.vhost)
    elsewhere = {"type": "rabbitmq", "url": url, "namespace": quiet_road.topic}
    prepare(quiet_road, elsewhere)
    await quiet_road.bridge.start()
    batch = Batch()

    async with Lab(quiet_road.bootstrap) as lab:
        bodies = list(batch.bodies.values())
        places = await lab.produce(quiet_road.topic, bodies, keys=[KEY] * len(bodies), headers=PAIRS)
    await cross(quiet_road, rabbit_road, batch)

    letters = await dug_up(RabbitMQDeadLettersSettings.model_validate(elsewhere).build("default"))
    assert {name: letter.kind for name, letter in letters.items()} == KINDS
    origins = dict(zip(batch.bodies, places, strict=True))
    for name, letter in letters.items():
        delivery = letter.delivery
        assert (delivery.body, delivery.key) == (batch.bodies[name], KEY)
        assert list(pairs_of(delivery.headers)) == PAIRS
        assert delivery.origin == f"kafka:{quiet_road.topic}"
        assert delivery.position == f"{quiet_road.topic}/{origins[name][0]}/{origins[name][1]}"


async def test_from_rabbitmq_with_delays_and_dead_letters_at_kafka(quiet_road: KafkaRoad, rabbit_road: Road) -> None:
    elsewhere = {"type": "kafka", "bootstrap_servers": quiet_road.bootstrap, "namespace": quiet_road.topic}
    prepare(rabbit_road, elsewhere)
    await rabbit_road.bridge.start()
    batch = Batch()

    await rabbit_road.publisher.publish(batch.bodies.values(), TABLE)
    await cross(rabbit_road, quiet_road, batch)

    letters = await dug_up(KafkaDeadLettersSettings.model_validate(elsewhere).build("default"))
    assert {name: letter.kind for name, letter in letters.items()} == KINDS
    for name, letter in letters.items():
        delivery = letter.delivery
        assert (delivery.body, delivery.routing_key) == (batch.bodies[name], QUEUE)
        assert {header: delivery.headers[header] for header in TABLE} == TABLE
        assert delivery.origin == f"rabbitmq:{QUEUE}"
