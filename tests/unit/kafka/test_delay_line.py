"""What the delay line on Kafka makes of its settings and of a wait, without a broker."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.levels import LEVELS, Levels
from bridge.delays.kafka import KafkaDelayLine, KafkaDelaySettings, _level, topics_of
from bridge.errors import ConfigError
from bridge.model import Delivery, Hold, Stage, Ticket
from bridge.settings.tree import Route

NOW = 1_800_000_000
TARGET = {"type": "webhook", "url": "http://127.0.0.1:1"}
KAFKA = {"type": "kafka", "bootstrap_servers": "127.0.0.1:9092", "topics": "orders"}
RABBITMQ = {"type": "rabbitmq", "url": "amqp://127.0.0.1", "queue": "orders"}


def hold(seconds: float, stage: Stage = Stage.INTAKE) -> Hold:
    ticket = Ticket(route="x", id="e", due_at=int((NOW + seconds) * 1000), attempt=1, first_seen=0)
    return Hold(Delivery(body=b"{}", stage=stage), b"{}", ticket)


def route(source: dict[str, Any], **more: Any) -> Route:
    return Route.model_validate({"source": source, "target": TARGET, **more})


@pytest.mark.parametrize(("wait", "level"), [(-5, 0), (0, 0), (0.5, 0), (1.5, 1), (5, 4), (100, 64), (1e7, LEVELS[-1])])
def test_a_copy_takes_the_longest_level_that_fits(wait: float, level: int) -> None:
    assert _level(hold(wait), NOW) == level


@pytest.mark.parametrize(("wait", "level"), [(-5, 0), (0, 0), (0.5, 1), (5, 4)])
def test_a_copy_that_found_no_room_in_the_process_takes_the_shortest_level(wait: float, level: int) -> None:
    assert _level(hold(wait, Stage.DUE), NOW) == level


def test_a_line_beside_a_kafka_source_needs_no_settings() -> None:
    made = route(KAFKA)
    assert isinstance(made.delay, KafkaDelaySettings)
    assert isinstance(made.delay.build("orders", source=made.source), KafkaDelayLine)


def test_a_line_of_one_broker_may_stand_beside_a_source_of_the_other() -> None:
    there = route(RABBITMQ, delay={"type": "kafka", "bootstrap_servers": "127.0.0.1:9092"})
    there.delay.build("orders", source=there.source)
    back = route(KAFKA, delay={"type": "rabbitmq", "url": "amqp://127.0.0.1"})
    back.delay.build("orders", source=back.source)


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        (RABBITMQ, "kafka", "routes.orders.delay.bootstrap_servers: is missing, and the source is no Kafka"),
        (KAFKA, "rabbitmq", "routes.orders.delay.url: is missing, and the source is no RabbitMQ"),
    ],
)
def test_a_line_at_another_broker_says_what_it_lacks(source: dict[str, Any], line: str, said: str) -> None:
    made = route(source, delay={"type": line})
    with pytest.raises(ConfigError, match=said):
        made.delay.build("orders", source=made.source)


def test_the_topics_are_as_many_and_as_large_as_the_settings_say() -> None:
    settings = KafkaDelaySettings(type="kafka", partitions=7, max_record_bytes=1 << 20, replication_factor=3)
    topics = topics_of(Levels("bridge"), settings)
    assert [topic.name for topic in topics] == list(Levels("bridge").topics())
    assert {(topic.partitions, topic.takes, topic.replicas) for topic in topics} == {(7, 1 << 20, 3)}
    assert all(topic.configs["min.insync.replicas"] == "2" for topic in topics)


def test_a_cluster_with_fewer_replicas_is_not_asked_for_two_at_once() -> None:
    settings = KafkaDelaySettings(type="kafka", replication_factor=2)
    assert all("min.insync.replicas" not in topic.configs for topic in topics_of(Levels("bridge"), settings))
