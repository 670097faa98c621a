"""What the papers do with a real broker works as it is written: the README's first route, and the runbook's replay."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from bridge.devserver.app import DevServer
from bridge.devserver.faults import Fault, Match
from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from tests.unit.markdown import paper
from tests.unit.terminal import Daemon, Terminal, until

README, OPERATIONS = paper("README.md"), paper("docs/operations.md")


@asynccontextmanager
async def _running(terminal: Terminal, *arguments: str) -> AsyncIterator[Daemon]:
    daemon = await terminal.start("run", *arguments)
    try:
        await daemon.logs("started")
        yield daemon
        assert await daemon.stop() == 0
    finally:
        daemon.kill()


def _replay(url: str, server: DevServer) -> dict[str, Any]:
    """The runbook's settings with the addresses of this test."""
    settings: dict[str, Any] = yaml.safe_load(OPERATIONS.marked("replay.yaml").text)
    (route,) = settings["routes"].values()
    route["source"]["url"] = url
    route["target"]["url"] = f"{server.url}/v2"
    settings["admin"]["port"] = 0
    return settings


async def test_the_first_route_of_the_readme(amqp_url: str, tmp_path: Path) -> None:
    (block,) = (fence for fence in README.fences if fence.mark == "broker")
    checks = [line for line in block.lines if " check " in line]
    publishes = [line for line in block.lines if " publish " in line]
    assert [*checks, "event-bridge run", *publishes] == block.lines
    async with DevServer() as server:
        addresses = {"BRIDGE_SOURCE__URL": amqp_url, "BRIDGE_TARGET__URL": server.url}
        terminal = Terminal(tmp_path, BRIDGE_ADMIN__PORT="0", **addresses)
        async with _running(terminal):
            await terminal.typed("\n".join([*checks, *publishes]))
            await until(lambda: len(server.book.events) == 101, "all 101 events at the event API")
        assert {event.name for event in server.book.events.values()} == {"user.created"}
        assert sum(event.deliveries for event in server.book.events.values()) == 101


async def test_the_first_route_from_kafka_of_the_readme(newest_kafka: KafkaNode, tmp_path: Path, unique: str) -> None:
    lines = README.marked("kafka").lines
    run = next(line for line in lines if " run " in line)
    checks = [line for line in lines if " check " in line]
    publishes = [line for line in lines if " publish " in line]
    assert [*checks, run, *publishes] == lines
    async with DevServer() as server, Lab(newest_kafka.bootstrap) as lab:
        settings = README.marked("kafka.yaml").text.replace("[orders]", f"[{await lab.create_topic(unique)}]")
        addresses = {"BRIDGE_SOURCE__BOOTSTRAP_SERVERS": newest_kafka.bootstrap, "BRIDGE_TARGET__URL": server.url}
        terminal = Terminal(tmp_path, BRIDGE_ADMIN__PORT="0", BRIDGE_SOURCE__GROUP_ID=unique, **addresses)
        terminal.write("kafka.yaml", settings)
        async with _running(terminal, *shlex.split(run)[2:]):
            await terminal.typed("\n".join([*checks, *publishes]))
            await until(lambda: len(server.book.events) == 101, "all 101 events at the event API")
        assert sum(event.deliveries for event in server.book.events.values()) == 101
        (keyed,) = [record for record in await lab.records(unique) if record.key is not None]
        assert keyed.key == b"customer-7"


async def test_dead_letters_are_replayed_as_the_runbook_says(amqp_url: str, tmp_path: Path) -> None:
    async with DevServer() as server:
        terminal, replay = Terminal(tmp_path), _replay(amqp_url, server)
        (route,) = replay["routes"].values()
        source = {**route["source"], "queue": "orders", "topology": "declare"}
        terminal.write("first.yaml", yaml.safe_dump({**replay, "routes": {"default": {**route, "source": source}}}))
        terminal.write("replay.yaml", yaml.safe_dump(replay))
        refusal = server.add_fault(Fault(match=Match(name="order.paid"), poison="unknown customer"))
        async with _running(terminal, "-c", "first.yaml") as first:
            await terminal.typed("event-bridge publish -c first.yaml --name order.paid --id o1 --data '{\"sum\": 7}'")
            assert (await first.logs("event_buried"))["event_id"] == "o1"
        assert not server.book.events
        server.faults.remove(refusal.id)
        async with _running(terminal, "-c", "replay.yaml"):
            await until(lambda: server.book.events, "the replayed event")
        (event,) = server.book.events.values()
        assert (event.id, event.name, event.payload) == ("o1", "order.paid", b'{"sum":7}')
