"""`event-bridge dlq` on both brokers: a dead letter is found, read, sent once more past its own mark, and deleted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.devserver import DevServer, DevServerSettings, Fault, Match
from devtools.kafka_lab import Lab
from tests.integration.commands import Done, Start, delivered, done, lines_until, starting, until


@pytest.fixture
async def api() -> AsyncIterator[DevServer]:
    async with DevServer(DevServerSettings(port=0)) as server:
        yield server


def rabbitmq(url: str) -> Mapping[str, str]:
    return {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": url,
        "BRIDGE_SOURCE__QUEUE": "events",
        "BRIDGE_SOURCE__TOPOLOGY": "declare",
    }


def kafka(bootstrap: str, unique: str) -> Mapping[str, str]:
    return {
        "BRIDGE_SOURCE__TYPE": "kafka",
        "BRIDGE_SOURCE__BOOTSTRAP_SERVERS": bootstrap,
        "BRIDGE_SOURCE__TOPICS": f"{unique}.events",
        "BRIDGE_SOURCE__GROUP_ID": unique,
        "BRIDGE_DELAY__NAMESPACE": unique,
        "BRIDGE_DEAD_LETTERS__NAMESPACE": unique,
    }


async def test_dead_letters_of_rabbitmq(tmp_path: Path, amqp_url: str, api: DevServer) -> None:
    async with starting(tmp_path, rabbitmq(amqp_url), api) as start:
        await dead_letters_are_looked_at_replayed_and_deleted(start, api)


async def test_dead_letters_of_kafka(tmp_path: Path, bootstrap: str, unique: str, api: DevServer) -> None:
    async with Lab(bootstrap) as lab:
        await lab.create_topic(f"{unique}.events", 2)
    async with starting(tmp_path, kafka(bootstrap, unique), api) as start:
        await dead_letters_are_looked_at_replayed_and_deleted(start, api)


async def dead_letters_are_looked_at_replayed_and_deleted(start: Start, api: DevServer) -> None:
    refusal = api.add_fault(Fault(match=Match(name="order.paid"), poison="unknown customer"))
    daemon = await start("run")
    for event in (
        ("--name", "order.sent", "--id", "p", "--header", "x-delay=soon"),
        ("--name", "order.paid", "--id", "o", "--data", '{"sum": 7}', "--header", "tenant=acme"),
        ("--name", "order.paid", "--id", "q"),
    ):
        assert (await done(await start("publish", "--shape", "inngest", *event))).code == 0
        await lines_until(daemon, "event_buried")
    daemon.terminate()
    assert (await done(daemon)).code == 0
    api.faults.remove(refusal.id)

    assert [(each["kind"], each["event_id"]) for each in await listed(start)] == [
        ("poison", None),
        ("rejected", "o"),
        ("rejected", "q"),
    ]
    shown = (await done(await start("dlq", "show", "o"))).out
    assert "unknown customer" in shown
    assert '{"sum":7}' in shown
    assert "tenant: acme" in shown
    assert '{"sum":7}' not in (await done(await start("dlq", "list"))).out

    assert await done(await start("dlq", "replay", "o")) == Done(0, "replayed 1 dead letter of the route default\n", "")
    assert not delivered(api), "nobody runs"
    daemon = await start("run")
    await until(lambda: "o" in delivered(api))
    await done(await start("publish", "--shape", "inngest", "--name", "order.paid", "--id", "o"))
    assert (await done(await start("dlq", "replay"))).out == "replayed 2 dead letters of the route default\n"
    await lines_until(daemon, "event_buried")  # the poison is poison again
    await until(lambda: "q" in delivered(api))
    daemon.terminate()
    assert (await done(daemon)).code == 0
    assert {event.id: event.deliveries for event in api.book.events.values()} == {"o": 1, "q": 1}

    assert [(each["number"], each["kind"]) for each in await listed(start)] == [(1, "poison")]
    assert (await done(await start("dlq", "purge", "--yes"))).out == "deleted 1 dead letter of the route default\n"
    assert await listed(start) == []
    gone = await done(await start("dlq", "show", "o"))
    assert gone == Done(1, "", "event-bridge: no o among the 0 oldest dead letters; see `event-bridge dlq list`\n")


async def listed(start: Start) -> list[dict[str, Any]]:
    found = await done(await start("dlq", "list", "--json"))
    assert (found.code, found.err) == (0, "")
    items: list[dict[str, Any]] = json.loads(found.out)
    return items
