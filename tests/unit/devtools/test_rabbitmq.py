"""The private nodes themselves, as the other tests rely on them."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import aio_pika
import pytest
from pamqp.common import FieldValue

from devtools.processes import CommandError
from devtools.rabbitmq import Node

QUORUM: dict[str, FieldValue] = {"x-queue-type": "quorum"}


async def test_a_vhost_takes_queues_and_tells_their_depths(broker: Node, vhost: str, amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        for name, arguments in (("a quorum one", QUORUM), ("classic", None)):
            queue = await channel.declare_queue(name, durable=True, arguments=arguments)
            for _ in range(3):
                await channel.default_exchange.publish(aio_pika.Message(b"x"), name)
            await queue.get()
        assert broker.depths(vhost) == {"a quorum one": (2, 1), "classic": (2, 1)}


def test_a_node_is_the_version_it_claims_to_be(broker: Node, broker_version: str) -> None:
    assert broker.version == broker_version
    assert broker.eval("rabbit_misc:version()").startswith(f'"{broker_version}.')


def test_what_fails_inside_the_node_is_an_error_here(broker: Node) -> None:
    with pytest.raises(CommandError, match="error undef"):
        broker.eval("no_such_module:run()")
    with pytest.raises(CommandError, match=r"no Erlang expression|syntax error"):
        broker.eval("not ( Erlang")
    with pytest.raises(CommandError, match="no_such_command"):
        broker.ctl("no_such_command")


def test_many_questions_may_be_asked_at_once(broker: Node) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(broker.eval, map(str, range(40)))) == [str(number) for number in range(40)]


async def test_every_connection_can_be_closed_or_dropped(broker: Node, amqp_url: str) -> None:
    for cut in (broker.close_all_connections, broker.drop_all_connections):
        connection = await aio_pika.connect(amqp_url)
        closed = asyncio.Event()
        connection.close_callbacks.add(lambda *_, closed=closed: closed.set())
        assert broker.connections() >= 1
        await asyncio.to_thread(cut)
        await asyncio.wait_for(closed.wait(), 10)


async def test_what_a_quorum_queue_confirmed_survives_kill_and_restart(fresh_broker: Node) -> None:
    async with await aio_pika.connect(fresh_broker.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", durable=True, arguments=QUORUM)
        await asyncio.sleep(2)  # a younger quorum queue may forget what it confirmed (facts: delay-and-dedup)
        await channel.default_exchange.publish(aio_pika.Message(b"x", delivery_mode=2), "kept")
    await asyncio.to_thread(fresh_broker.kill)
    assert not fresh_broker.running
    await asyncio.to_thread(fresh_broker.start)
    await asyncio.to_thread(fresh_broker.restart)
    assert fresh_broker.depths() == {"kept": (1, 0)}


def test_a_fresh_broker_is_empty_although_another_test_had_it_before(fresh_broker: Node) -> None:
    assert fresh_broker.vhosts() == ["/"]
    assert fresh_broker.depths() == {}


async def test_the_memory_alarm_blocks_publishers_until_it_is_cleared(fresh_broker: Node) -> None:
    async with await aio_pika.connect(fresh_broker.url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("q")
        await asyncio.to_thread(fresh_broker.alarm, True)
        publish = asyncio.ensure_future(channel.default_exchange.publish(aio_pika.Message(b"x"), "q"))
        done, _ = await asyncio.wait([publish], timeout=0.5)
        assert not done
        await asyncio.to_thread(fresh_broker.alarm, False)
        await asyncio.wait_for(publish, 10)


def test_nodes_share_nothing(broker: Node, fresh_broker: Node) -> None:
    name = broker.add_vhost()
    assert broker.port != fresh_broker.port
    assert name not in fresh_broker.vhosts()
    broker.delete_vhost(name)
