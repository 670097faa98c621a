"""The command line against a real Kafka and the local event API: publish, run, check, and no secret anywhere."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cli.main import SHAPES
from bridge.devserver import DevServer, DevServerSettings
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from tests.integration.commands import SECRET, Done, Start, delivered, done, lines_until, starting, until


@pytest.fixture
async def api() -> AsyncIterator[DevServer]:
    async with DevServer(DevServerSettings(port=0)) as server:
        yield server


@pytest.fixture
async def lab(bootstrap: str) -> AsyncIterator[Lab]:
    async with Lab(bootstrap) as lab:
        yield lab


@pytest.fixture
async def topic(lab: Lab, unique: str) -> str:
    return await lab.create_topic(f"{unique}.events", 3)


@pytest.fixture
async def start(tmp_path: Path, bootstrap: str, topic: str, unique: str, api: DevServer) -> AsyncIterator[Start]:
    """Start `event-bridge` with the topic, a namespace of its own, and the API of this test."""
    source = {
        "BRIDGE_SOURCE__TYPE": "kafka",
        "BRIDGE_SOURCE__BOOTSTRAP_SERVERS": bootstrap,
        "BRIDGE_SOURCE__TOPICS": topic,
        "BRIDGE_SOURCE__GROUP_ID": unique,
        "BRIDGE_DELAY__NAMESPACE": unique,
        "BRIDGE_DEAD_LETTERS__NAMESPACE": unique,
    }
    async with starting(tmp_path, source, api) as start:
        yield start


async def test_every_shape_is_published_and_delivered(start: Start, api: DevServer, topic: str) -> None:
    daemon = await start("run")
    await lines_until(daemon, "started")
    for shape in SHAPES:
        published = await done(await start("publish", "--shape", shape, "--name", "user.created", "--id", shape))
        assert published == Done(0, f"published event {shape} to {topic}\n", "")
    # Inngest knows one id only, so that of a CloudEvent has its source in it.
    ids = {"/event-bridge/publish#cloudevents" if shape == "cloudevents" else shape for shape in SHAPES}
    await until(lambda: set(delivered(api)) == ids)
    daemon.send_signal(signal.SIGTERM)
    assert (await done(daemon)).code == 0


async def test_many_and_delayed_ones_with_the_data_of_a_file(start: Start, api: DevServer, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"n": 7}')
    arguments = ("--name", "order.paid", "--data", "@data.json", "--id", "o", "--count", "2500", "--delay", "500ms")
    published = await done(await start("publish", *arguments))
    assert (published.code, published.err) == (0, "")
    daemon = await start("run")
    await until(lambda: len(delivered(api)) == 2500)
    assert set(delivered(api)) == {f"o-{number}" for number in range(1, 2501)}
    daemon.terminate()
    assert (await done(daemon)).code == 0


async def test_a_record_has_the_key_and_the_headers_that_were_asked_for(start: Start, lab: Lab, topic: str) -> None:
    more = ("--key", "customer-7", "--header", "tenant=acme", "--header", "note=a=b")
    published = await done(
        await start("publish", "--shape", "raw", "--name", "order.paid", "--id", "o", "--data", "[1]", *more)
    )
    assert published.code == 0
    [record] = await lab.records(topic)
    assert (record.key, record.value) == (b"customer-7", b"[1]")
    assert dict(record.headers) == {
        "content-type": b"application/json",
        "x-event-name": b"order.paid",
        "x-deduplication-header": b"o",
        "tenant": b"acme",
        "note": b"a=b",
    }


async def test_one_of_several_topics_has_to_be_named(start: Start, lab: Lab, topic: str, unique: str) -> None:
    other = await lab.create_topic(f"{unique}.other")
    publish, several = ("publish", "--name", "user.created"), {"BRIDGE_SOURCE__TOPICS": f"{topic},{other}"}
    refused = await done(await start(*publish, **several))
    assert refused.code == 78
    assert "--topic: is missing, and the source reads 2 topics" in refused.err
    refused = await done(await start(*publish, "--topic", "third", **several))
    assert "--topic: the source does not read third" in refused.err
    assert (await done(await start(*publish, "--topic", other, **several))).code == 0
    assert len(await lab.records(other)) == 1


async def test_a_topic_of_a_pattern_has_to_be_named(start: Start, lab: Lab, topic: str, unique: str) -> None:
    publish = ("publish", "--name", "user.created")
    pattern = {"BRIDGE_SOURCE__TOPICS": "", "BRIDGE_SOURCE__TOPIC_PATTERN": f"{unique}.+"}
    refused = await done(await start(*publish, **pattern))
    assert refused.code == 78
    assert "--topic: is missing, and the source reads a pattern of topics" in refused.err
    assert (await done(await start(*publish, "--topic", topic, **pattern))).code == 0
    assert len(await lab.records(topic)) == 1


async def test_check_reaches_everything_and_changes_nothing(
    start: Start, lab: Lab, topic: str, kafka: KafkaNode, unique: str
) -> None:
    checked = await done(await start("check", "--connect"))
    assert checked.code == 0, checked.out
    assert re.search(
        rf"# ok +routes\.default\.source: Kafka {re.escape(kafka.version)}[^\n]* reached, 1 broker", checked.out
    )
    assert f"the topic {topic} is there, 3 partitions" in checked.out
    assert re.search(rf"routes\.default\.delay: the topics {unique}\.delay\.v1\.\d+ \.\. .* will be made", checked.out)
    assert f"routes.default.dead_letters: the topic {unique}.dead.v1 will be made" in checked.out
    assert re.search(r"# ok +routes\.default\.target: reached, nothing sent", checked.out)
    assert [name for name in await lab.topics() if name.startswith(unique)] == [topic]
    assert unique not in await lab.groups()


async def test_check_finds_what_was_made(start: Start, unique: str) -> None:
    daemon = await start("run")
    await lines_until(daemon, "started")
    checked = await done(await start("check", "--connect"))
    assert checked.code == 0, checked.out
    assert f"the topic {unique}.dead.v1 is there" in checked.out
    assert re.search(rf"the topics {unique}\.delay\.v1\.\d+ \.\. .* are there", checked.out)
    assert f"the group {unique} has 1 member now" in checked.out
    daemon.terminate()
    assert (await done(daemon)).code == 0


async def test_a_topic_that_is_not_there_is_named_by_check_and_publish(start: Start, lab: Lab, unique: str) -> None:
    missing = {"BRIDGE_SOURCE__TOPICS": f"{unique}.missing"}
    checked = await done(await start("check", "--connect", **missing))
    assert checked.code == 1
    assert f"there is no topic {unique}.missing" in checked.out
    refused = await done(await start("publish", "--name", "user.created", **missing))
    assert refused.code == 78
    assert f"there is no topic {unique}.missing" in refused.err
    assert f"{unique}.missing" not in await lab.topics()


async def test_brokers_that_are_away_are_waited_for_by_the_daemon_only(start: Start) -> None:
    away = {"BRIDGE_SOURCE__BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    assert (await done(await start("check", "--connect", **away))).code == 1
    published = await done(await start("publish", "--name", "user.created", **away))
    assert (published.code, published.out) == (1, "")
    daemon = await start("run", **away)
    waiting = await lines_until(daemon, "waiting_to_open")
    assert str(waiting["part"]).startswith("routes.default.")
    daemon.terminate()
    assert (await done(daemon)).code == 0


@pytest.mark.parametrize("command", [("run",), ("check", "--connect"), ("publish", "--name", "user.created")])
async def test_a_wrong_password_is_said_and_not_shown(
    start: Start, secured_kafka: KafkaNode, command: tuple[str, ...]
) -> None:
    wrong = {
        "BRIDGE_SOURCE__BOOTSTRAP_SERVERS": secured_kafka.address("SASL_PLAINTEXT"),
        "BRIDGE_SOURCE__SASL__MECHANISM": "SCRAM-SHA-256",
        "BRIDGE_SOURCE__SASL__USERNAME": "alice",
        "BRIDGE_SOURCE__SASL__PASSWORD": SECRET,
        "BRIDGE_SOURCE__SASL__ALLOW_PLAINTEXT": "true",
    }
    refused = await done(await start(*command, **wrong))
    assert refused.code == (1 if command[0] == "check" else 78)
    assert "Check the user and the password" in refused.out + refused.err


async def test_a_key_or_a_topic_is_nothing_for_another_broker(start: Start) -> None:
    for option in ("--key", "--topic"):
        refused = await done(
            await start("publish", "--name", "user.created", option, "x", "--set", "source.type=memory")
        )
        assert refused.code == 78


async def test_a_second_instance_with_a_store_of_its_own_is_warned_of(start: Start) -> None:
    store = {"BRIDGE_STORE__TYPE": "memory"}
    first, second = await start("run", **store), await start("run", **store)
    for daemon in (first, second):
        assert (await lines_until(daemon, "store_not_shared"))["route"] == "default"
    checked = await done(await start("check", "--connect"))
    assert "has 2 members now: each has a key store of its own" in checked.out
    for daemon in (first, second):
        daemon.terminate()
        assert (await done(daemon)).code == 0


async def test_an_only_instance_is_not_warned_of_itself(start: Start, api: DevServer) -> None:
    daemon = await start("run")
    await lines_until(daemon, "started")
    await done(await start("publish", "--name", "user.created", "--id", "e"))
    await until(lambda: delivered(api))
    daemon.terminate()
    ended = await done(daemon)
    assert ended.code == 0
    assert "store_not_shared" not in ended.out
