"""The command line against a real broker and the local event API: publish, run, check, and no secret anywhere."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cli.main import SHAPES
from bridge.devserver import DevServer, DevServerSettings, Fault
from devtools.rabbitmq import Node
from tests.integration.commands import SECRET, Done, Start, delivered, done, lines_until, starting, until


@pytest.fixture
async def api() -> AsyncIterator[DevServer]:
    async with DevServer(DevServerSettings(port=0)) as server:
        yield server


@pytest.fixture
async def start(tmp_path: Path, amqp_url: str, api: DevServer) -> AsyncIterator[Start]:
    """Start `event-bridge` with the broker and the API of this test."""
    source = {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": amqp_url,
        "BRIDGE_SOURCE__QUEUE": "events",
        "BRIDGE_SOURCE__TOPOLOGY": "declare",
    }
    async with starting(tmp_path, source, api) as start:
        yield start


async def test_every_shape_is_published_and_delivered(start: Start, api: DevServer) -> None:
    daemon = await start("run")
    await lines_until(daemon, "started")
    for shape in SHAPES:
        published = await done(await start("publish", "--shape", shape, "--name", "user.created", "--id", shape))
        assert published == Done(0, f"published event {shape} to events\n", "")
    # Inngest knows one id only, so that of a CloudEvent has its source in it.
    ids = {"/event-bridge/publish#cloudevents" if shape == "cloudevents" else shape for shape in SHAPES}
    await until(lambda: set(delivered(api)) == ids)
    daemon.send_signal(signal.SIGTERM)
    assert (await done(daemon)).code == 0


async def test_many_and_delayed_ones_with_the_data_of_a_file(start: Start, api: DevServer, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"n": 7}')
    arguments = ("--name", "order.paid", "--data", "@data.json", "--id", "o", "--count", "2500", "--delay", "500ms")
    published = await done(await start("publish", *arguments))
    assert published == Done(0, "published 2500 events to events\n", "")
    daemon = await start("run")
    await until(lambda: len(delivered(api)) == 2500)
    assert set(delivered(api)) == {f"o-{number}" for number in range(1, 2501)}
    daemon.terminate()
    assert (await done(daemon)).code == 0


async def test_check_reaches_everything(start: Start) -> None:
    checked = await done(await start("check", "--connect"))
    assert checked.code == 0
    assert re.search(r"# ok +routes\.default\.source: RabbitMQ \d+\.\d+\.\d+ reached", checked.out)
    assert "the queue events will be made" in checked.out
    assert re.search(r"# ok +routes\.default\.target: reached, nothing sent", checked.out)
    assert re.search(r'url: "amqp://guest:\*\*\*@127', checked.out)


async def test_a_queue_that_is_not_there_is_named_by_each_command(start: Start) -> None:
    verify = ("--set", "source.topology=verify")
    checked = await done(await start("check", "--connect", *verify))
    assert checked.code == 1
    assert "there is no queue events" in checked.out
    for command in (("run",), ("publish", "--name", "user.created")):
        refused = await done(await start(*command, *verify))
        assert refused.code == 78
        assert "BRIDGE_SOURCE" in refused.err
        assert "Create it, or set topology to declare." in refused.err


@pytest.mark.parametrize("command", [("run",), ("check", "--connect"), ("publish", "--name", "user.created")])
async def test_a_wrong_password_is_said_and_not_shown(start: Start, broker: Node, command: tuple[str, ...]) -> None:
    url = f"amqp://guest:{SECRET}@127.0.0.1:{broker.port}/"
    refused = await done(await start(*command, BRIDGE_SOURCE__URL=url))
    assert refused.code == (1 if command[0] == "check" else 78)
    assert "Check the user and the password" in refused.out + refused.err


async def test_a_broker_that_is_away_is_waited_for_by_the_daemon_only(start: Start) -> None:
    away = {"BRIDGE_SOURCE__URL": f"amqp://u:{SECRET}@127.0.0.1:9/"}
    assert (await done(await start("check", "--connect", **away))).code == 1
    published = await done(await start("publish", "--name", "user.created", **away))
    assert (published.code, published.out) == (1, "")
    daemon = await start("run", **away)
    waiting = await lines_until(daemon, "waiting_to_open")
    assert str(waiting["part"]).startswith("routes.default.")
    daemon.terminate()
    assert (await done(daemon)).code == 0


async def test_the_second_signal_ends_a_drain_that_hangs(start: Start, api: DevServer) -> None:
    await done(await start("publish", "--name", "user.created", "--id", "stuck"))
    api.faults.add(Fault(hang=True), 0)
    daemon = await start("run", BRIDGE_DRAIN_TIMEOUT="5m", BRIDGE_TARGET__HTTP__TIMEOUT="5m")
    await until(lambda: api.in_flight)
    daemon.terminate()
    await lines_until(daemon, "stop_asked")
    daemon.terminate()
    ended = await done(daemon)
    assert ended.code == 1
    assert "stopped_without_draining" in ended.out


async def test_no_secret_shows_while_events_flow_and_the_key_is_refused(start: Start, api: DevServer) -> None:
    assert (await done(await start("publish", "--name", "user.created", "--id", "e"))).code == 0
    api.faults.add(Fault(status=401, times=1), 0)
    daemon = await start("run", BRIDGE_LOG__LEVEL="debug")
    await until(lambda: delivered(api))
    daemon.terminate()
    ended = await done(daemon)  # which looks for the secret in all that was written
    assert ended.code == 0
    assert [request.status for request in api.book.requests] == [401, 200]


async def test_one_line_of_json_for_each_thing_that_happens(start: Start, api: DevServer) -> None:
    await done(await start("publish", "--name", "user.created", "--id", "e"))
    daemon = await start("run")
    await until(lambda: delivered(api))
    daemon.terminate()
    lines = [json.loads(line) for line in (await done(daemon)).out.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"]) for line in lines)
    assert all(re.fullmatch(r"[a-z_]+", line["event"]) for line in lines)
