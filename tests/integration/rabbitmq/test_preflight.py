"""What is found out about a publishers' queue, without touching it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from bridge.rabbitmq.connection import Session, connect
from bridge.rabbitmq.preflight import Finding, arguments_of, judged, of_broker, of_queue, version_of
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import lab

SAFE: dict[str, str | int | bool] = {
    "durable": True,
    "x-queue-type": "quorum",
    "x-delivery-limit": 100,
    "x-dead-letter-exchange": "dlx",
}


async def dial(url: str) -> Session:
    return await connect(SecretStr(url), name="test", where="source", heartbeat=15)


@pytest.fixture
async def session(amqp_url: str) -> AsyncIterator[Session]:
    session = await dial(amqp_url)
    yield session
    await session.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-queue-type": "classic"},
        {"x-queue-type": "quorum"},
        {"x-queue-type": "stream"},
        {"x-queue-type": "quorum", "x-delivery-limit": 3, "x-dead-letter-exchange": "dl'x", "x-overflow": "drop-head"},
        {"x-queue-type": "quorum", "x-message-ttl": 5_000, "x-single-active-consumer": True},
        {"x-queue-type": "classic", "x-max-length": 100_000, "x-message-ttl": 60_000, "x-expires": 3_600_000},
    ],
)
async def test_the_arguments_of_a_queue_are_found_out(
    arguments: dict[str, str | int | bool], session: Session, amqp_url: str
) -> None:
    async with lab(amqp_url) as outside:
        await outside.declare("events", arguments)
        await outside.publish("events", b"stays")
    found = await arguments_of(session, "events", where="source")
    assert found == {"durable": True, **arguments}


async def test_a_look_changes_nothing(broker: Node, vhost: str, session: Session) -> None:
    async with lab(broker.url_of(vhost)) as outside:
        await outside.declare("events")
        await outside.publish("events", b"stays")
    await of_queue(session, "events", declared=False, where="source")
    await of_queue(session, "missing", declared=True, where="source")
    await arguments_of(session, "missing", where="source")
    assert await asyncio.to_thread(broker.depths, vhost) == {"events": (1, 0)}


async def test_a_queue_that_is_not_durable_is_told(session: Session, amqp_url: str) -> None:
    async with lab(amqp_url) as outside:
        await outside.channel.queue_declare("events")
        found = await of_queue(session, "events", declared=False, where="source")
    assert [finding.level for finding in found] == ["ok", "warning"]
    assert "not durable" in found[1].text


async def test_a_missing_queue_is_an_error_unless_it_will_be_made(session: Session) -> None:
    [missing] = await of_queue(session, "events", declared=False, where="source")
    assert (missing.level, missing.cure) == ("error", "Create it, or set topology to declare")
    [made] = await of_queue(session, "events", declared=True, where="source")
    assert made.level == "ok"


async def test_without_permission_the_arguments_stay_unseen(broker: Node, vhost: str, unique: str) -> None:
    async with lab(broker.url_of(vhost)) as outside:
        await outside.declare("events")
    await asyncio.to_thread(broker.ctl, "add_user", unique, "secret")
    await asyncio.to_thread(broker.ctl, "set_permissions", "-p", vhost, unique, "^$", "^$", ".*")
    session = await dial(broker.url_of(vhost).replace("guest:guest", f"{unique}:secret"))
    found = await of_queue(session, "events", declared=False, where="source")
    assert "without the permission" in found[-1].text
    await session.close()


async def test_both_versions_are_good_enough(session: Session) -> None:
    assert of_broker(session).level == "ok"


@pytest.mark.parametrize(
    ("text", "version"), [("3.10.8", (3, 10)), ("4.0.5+1", (4, 0)), ("4.2.0-rc.1", (4, 2)), ("", (0, 0))]
)
def test_versions_are_read(text: str, version: tuple[int, int]) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("change", "version", "told"),
    [
        ({}, (4, 0), None),
        ({"x-single-active-consumer": True}, (4, 0), "looks deaf"),
        ({"x-delivery-limit": 5}, (3, 10), "dead-letters a delivery after 5 returns"),
        ({"x-delivery-limit": -1}, (3, 10), "at the first return"),
        ({"x-delivery-limit": -1}, (4, 0), None),
        ({"x-dead-letter-exchange": None}, (4, 0), "drops a delivery after 100 returns"),
        ({"x-dead-letter-exchange": None, "x-delivery-limit": None}, (4, 0), "drops a delivery after 20 returns"),
        ({"x-dead-letter-exchange": None, "x-delivery-limit": None}, (3, 10), None),
        ({"x-queue-type": "classic", "x-dead-letter-exchange": None}, (4, 0), None),
        ({"x-queue-type": "stream"}, (4, 0), "keeps what is settled"),
        ({"durable": False}, (4, 0), "not durable"),
        ({"x-message-ttl": 60_000}, (4, 0), "longer than 60000 ms"),
        ({"x-expires": 60_000}, (4, 0), "deletes itself"),
        ({"x-max-length": 10}, (4, 0), "drops the oldest"),
        ({"x-max-length-bytes": 10, "x-overflow": "reject-publish"}, (4, 0), None),
    ],
)
def test_what_arguments_mean_for_events_that_wait(
    change: dict[str, str | int | bool | None], version: tuple[int, int], told: str | None
) -> None:
    arguments = {name: value for name, value in {**SAFE, **change}.items() if value is not None}
    found: list[Finding] = list(judged(arguments, version))
    assert [told] * (told is not None) == [told for finding in found if told and told in finding.text]
    assert len(found) == (told is not None)
    assert all(finding.cure for finding in found)
