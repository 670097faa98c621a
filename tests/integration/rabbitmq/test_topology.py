"""Declaring, verifying and leaving alone, with and without permissions."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.ladder import Exchange, Ladder, Queue
from bridge.delays.rabbitmq import RabbitMQDelaySettings
from bridge.errors import ConfigError
from bridge.rabbitmq import topology
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import lab

LADDER = Ladder("bridge")
LEVEL = LADDER.level(3)


@pytest.fixture(autouse=True)
def _grown_up_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "NEWBORN", 0.0)


async def open_line(url: str, mode: str) -> None:
    """Open a delay line, and close it again."""
    settings = RabbitMQDelaySettings.model_validate({"type": "rabbitmq", "url": url, "topology": mode})
    line = settings.build("default")
    try:
        await line.open()
    finally:
        await line.close()


async def open_source(url: str, mode: str) -> None:
    settings = RabbitMQSourceSettings.model_validate(
        {"type": "rabbitmq", "url": url, "queue": "events", "topology": mode}
    )
    source = settings.build("default")
    try:
        await source.open()
    finally:
        await source.close()


def user_of(broker: Node, vhost: str, name: str, *, configure: str, write: str, read: str) -> str:
    """A user with these permissions; the address as that user."""
    broker.ctl("add_user", name, "secret")
    broker.ctl("set_permissions", "-p", vhost, name, configure, write, read)
    return broker.url_of(vhost).replace("guest:guest", f"{name}:secret")


async def test_what_is_declared_can_be_declared_and_verified_again(
    amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for mode in ("declare", "declare", "verify", "off"):
        await open_line(amqp_url, mode)
    assert [record.message for record in caplog.records].count("topology_created") == 1


async def test_new_queues_get_time_to_settle_in(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "NEWBORN", 1.5)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await open_line(amqp_url, "declare")
    assert loop.time() - before >= 1.5
    async with lab(amqp_url) as outside:
        await outside.channel.queue_delete(LEVEL)
    before = loop.time()
    await open_line(amqp_url, "declare")
    assert loop.time() - before >= 1.5, "one new queue among old ones is new all the same"


async def test_verify_names_what_is_missing(amqp_url: str) -> None:
    with pytest.raises(ConfigError, match=LADDER.dead):
        await open_line(amqp_url, "verify")
    await open_line(amqp_url, "declare")
    async with lab(amqp_url) as outside:
        await outside.channel.queue_delete(LEVEL)
    with pytest.raises(ConfigError, match=LEVEL) as caught:
        await open_line(amqp_url, "verify")
    assert caught.value.field == "routes.default.delay"
    assert "topology" in caught.value.cure


@pytest.mark.parametrize("mode", ["declare", "verify"])
async def test_a_queue_with_other_arguments_is_told_and_left_alone(mode: str, amqp_url: str) -> None:
    await open_line(amqp_url, "declare")
    wanted = next(item for item in LADDER.items() if isinstance(item, Queue) and item.name == LEVEL)
    async with lab(amqp_url) as outside:
        await outside.channel.queue_delete(LEVEL)
        await outside.declare(LEVEL, {**wanted.arguments, "x-message-ttl": 5})
    with pytest.raises(ConfigError, match=f"(?s)x-message-ttl.*{LEVEL}"):
        await open_line(amqp_url, mode)


async def test_an_exchange_of_another_type_is_told(amqp_url: str) -> None:
    async with lab(amqp_url) as outside:
        await outside.channel.exchange_declare(LADDER.out, exchange_type="direct", durable=True)
    with pytest.raises(ConfigError, match=LADDER.out):
        await open_line(amqp_url, "declare")


async def test_who_may_not_configure_can_verify_and_use(
    broker: Node, vhost: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await open_line(broker.url_of(vhost), "declare")
    url = await asyncio.to_thread(
        user_of, broker, vhost, unique, configure="^$", write=r"^bridge\..*", read=r"^bridge\.due\..*"
    )
    await open_line(url, "verify")
    assert "topology_not_compared" in {record.message for record in caplog.records}
    await open_line(url, "off")
    with pytest.raises(ConfigError, match="ACCESS_REFUSED"):
        await open_line(url, "declare")


async def test_the_least_permissions_that_the_guide_names_are_enough(broker: Node, vhost: str, unique: str) -> None:
    url = await asyncio.to_thread(
        user_of, broker, vhost, unique, configure=r"^bridge\.", write=r"^bridge\.", read=r"^(bridge\..*|events)$"
    )
    async with lab(broker.url_of(vhost)) as outside:
        await outside.declare("events")
    await open_line(url, "declare")
    await open_source(url, "verify")


async def test_who_may_not_read_is_told(broker: Node, vhost: str, unique: str) -> None:
    async with lab(broker.url_of(vhost)) as outside:
        await outside.declare("events")
    url = await asyncio.to_thread(user_of, broker, vhost, unique, configure="^$", write="^$", read="^$")
    with pytest.raises(ConfigError, match="ACCESS_REFUSED") as caught:
        await open_source(url, "verify")
    assert "secret" not in str(caught.value)


async def test_a_publishers_queue_is_declared_only_where_it_is_missing(broker: Node, vhost: str) -> None:
    url = broker.url_of(vhost)
    with pytest.raises(ConfigError, match="events does not exist") as caught:
        await open_source(url, "verify")
    assert caught.value.field == "routes.default.source.queue"
    await open_source(url, "declare")
    assert "events" in await asyncio.to_thread(broker.depths, vhost)


@pytest.mark.parametrize("mode", ["declare", "verify", "off"])
async def test_a_publishers_queue_is_taken_as_it_is(mode: str, amqp_url: str) -> None:
    async with lab(amqp_url) as outside:
        await outside.channel.queue_declare("events", durable=True, arguments={"x-max-length": 1000})
    await open_source(amqp_url, mode)


async def test_a_missing_queue_that_is_trusted_to_be_there_is_told(amqp_url: str) -> None:
    with pytest.raises(ConfigError, match="no queue 'events'"):
        await open_source(amqp_url, "off")


def test_the_ladder_is_as_large_as_it_says() -> None:
    items = list(LADDER.items())
    assert sum(isinstance(item, Queue) for item in items) == 23
    assert sum(isinstance(item, Exchange) for item in items) == 23
