"""The benches at work, with few events: their figures mean nothing here, but every event must arrive and be settled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import delays
from bench.contestants import HAND_WRITTEN, contestants
from bench.measuring import SinkProcess, running_sink
from bench.places import Lane, Queue, Topic
from bench.road import Course, race
from devtools.kafka import KafkaNode
from devtools.rabbitmq import Node

INSTALLED = ("bridge", HAND_WRITTEN)  # FastStream comes with `./dev bench` only


@pytest.fixture
def sink() -> Iterator[SinkProcess]:
    with running_sink() as running:
        yield running


def assert_everyone_arrives(course: Course, lane: Lane) -> None:
    results = race(course, [lane], rounds=1, names=INSTALLED)
    assert set(results[lane]) == set(INSTALLED) <= set(contestants(course.place, arrays=lane.arrays))
    for runs in results[lane].values():
        (run,) = runs
        assert run.cpu > 0
        assert run.rate > 0
        assert run.packing >= 1


@pytest.mark.parametrize("lane", Queue.lanes[::3], ids=lambda lane: lane.title)
def test_everyone_brings_all_events_down_the_road(broker: Node, vhost: str, sink: SinkProcess, lane: Lane) -> None:
    assert_everyone_arrives(Course(Queue(broker, vhost), sink, events=300, margin=120), lane)


@pytest.mark.parametrize("lane", Topic.lanes, ids=lambda lane: lane.title)
def test_everyone_brings_all_events_down_the_road_from_kafka(
    newest_kafka: KafkaNode, unique: str, sink: SinkProcess, lane: Lane
) -> None:
    # Enough that the kernel, which counts in hundredths of a second, has something to count.
    assert_everyone_arrives(Course(Topic(newest_kafka.bootstrap, unique), sink, events=8_000, margin=120), lane)


def test_a_contestant_that_gives_up_is_noticed(broker: Node, vhost: str, sink: SinkProcess) -> None:
    course = Course(Queue(broker, vhost), sink, events=1, margin=0)
    with pytest.raises(TimeoutError, match="ended with code 0 after 0 of 1 events"):
        course.measure(Queue.lanes[0], lambda _job, _place: ["true"])


def test_delayed_events_arrive_and_none_is_early(broker: Node, vhost: str, sink: SinkProcess) -> None:
    result = delays.measure(Queue(broker, vhost), sink, 20, rate=0, longest=1.0)
    assert len(result.ms) == 20
    assert min(result.ms) >= 0


def test_delayed_events_from_kafka_arrive_and_none_is_early(
    newest_kafka: KafkaNode, unique: str, sink: SinkProcess
) -> None:
    result = delays.measure(Topic(newest_kafka.bootstrap, unique), sink, 20, rate=0, longest=6.0)
    assert len(result.ms) == 20
    assert min(result.ms) >= 0
