"""The benches at work, with few events: their figures mean nothing here, but every event must arrive and be settled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import compare, delays, waiting
from bench.compare import Extent, Meeting, Trials
from bench.contestants import BRIDGE, HAND_WRITTEN, contestants
from bench.course import Course
from bench.measuring import SinkProcess, running_sink
from bench.places import Lane, Queue, Topic
from bench.publishing import RabbitMQPublisher
from bench.report import results
from bench.road import race
from devtools.kafka import KafkaNode
from devtools.rabbitmq import Node

INSTALLED = (BRIDGE, HAND_WRITTEN)  # FastStream comes with `./dev bench` only


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


def test_the_same_process_tells_its_cost_and_its_latency(broker: Node, vhost: str, sink: SinkProcess) -> None:
    course = Course(Queue(broker, vhost), sink, events=300, margin=100)
    start = contestants(course.place, arrays=False)[BRIDGE]
    run, latency = course.measure_twice(Queue.lanes[0], start, rate=200, seconds=0.5)
    assert run.cpu > 0
    assert run.start > 0
    assert len(latency.ms) == 100
    assert min(latency.ms) > 0
    assert latency.cpu > 0


def test_all_figures_of_a_road_are_taken_in_turn(broker: Node, vhost: str, sink: SinkProcess) -> None:
    extent = Extent(rounds=2, share=0.02, margin=100, seconds=0.2, backlog=500, sampling=2.0, programs=INSTALLED)
    meeting = Meeting(Queue(broker, vhost), sink, extent, Trials())
    meeting.go([Queue.lanes[2]])
    assert meeting.trials.failures == {}
    for found in results(list(meeting.trials.entries.values())):
        assert found["program"] in INSTALLED
        assert len(found["runs"]["cpu_us_per_event"]) == 2
        assert 0 < found["p50_ms"] <= found["p99_ms"]
        assert found["rss_mb"] > 10
        assert found["ratio"].keys() == {HAND_WRITTEN}


def test_who_fails_is_left_out_of_further_rounds(
    broker: Node, vhost: str, sink: SinkProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "contestants", lambda _place, arrays: {BRIDGE: lambda _job, _home: ["false"]})  # noqa: ARG005  its name is the caller's
    extent = Extent(rounds=2, share=0.0, margin=1, seconds=0.1, backlog=10, sampling=0.1)
    meeting = Meeting(Queue(broker, vhost), sink, extent, Trials())
    meeting.go([Queue.lanes[1]])
    assert list(meeting.trials.failures) == [("rabbitmq-classic-post", BRIDGE)]
    assert "it ended with code 1" in meeting.trials.faults()[0]
    assert results(list(meeting.trials.entries.values())) == []


def test_many_are_held_and_the_one_that_is_due_comes(broker: Node, vhost: str, sink: SinkProcess) -> None:
    held = waiting.measure(Queue(broker, vhost), sink, Queue.lanes[0], 25)
    assert held.cpu > 0
    assert held.peak > 10
    assert held.late >= 0


def test_memory_is_read_while_events_wait(broker: Node, vhost: str, sink: SinkProcess) -> None:
    course = Course(Queue(broker, vhost), sink, events=0, margin=0)
    start = contestants(course.place, arrays=True)[HAND_WRITTEN]
    assert course.peak(Queue.lanes[2], start, waiting=2_000, seconds=60) > 10


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 300_000])
def test_events_of_any_size_are_published(broker: Node, vhost: str, size: int) -> None:
    place = Queue(broker, vhost)
    place.fill("quorum", [b"x" * size])
    assert broker.depths(vhost)[place.name] == (1, 0)
    place.clear()


def test_each_event_goes_out_at_its_time(broker: Node, vhost: str) -> None:
    place = Queue(broker, vhost)
    place.fill("classic", [])
    with RabbitMQPublisher(place.address, place.name) as publisher:
        times = publisher.publish_paced([b"x"] * 20, lambda number: number / 100)
    assert times == sorted(times)
    assert times[-1] - times[0] >= 0.15  # the first may be late
    place.clear()


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
