"""Both kinds of subscription: what a person must change, what passes by itself, and how either ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.errors import ConfigError, Disconnected
from bridge.model import Delivery
from bridge.rabbitmq import connection
from bridge.rabbitmq.native import CHANNEL, NativeSubscription
from bridge.rabbitmq.options import Client, ConnectionSettings
from bridge.rabbitmq.subscription import Place, Subscription
from bridge.rabbitmq.throughclient import ClientSubscription
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.lab import LIMIT, lab, until
from tests.integration.rabbitmq.proxy import proxy

TLS = Path(__file__).parents[2] / "fakes" / "tls"
QUEUE = "events"
WHERE = "routes.x.source"


def unopened(
    url: str, client: Client, came: list[Delivery] | None = None, *, ca_file: str | None = None, heartbeat: float = 15
) -> Subscription:
    settings = ConnectionSettings.model_construct(url=SecretStr(url), heartbeat=heartbeat, ca_file=ca_file)
    place = Place(connection=settings, queue=QUEUE, where=WHERE)
    arrived = [] if came is None else came
    if client == "native":
        return NativeSubscription(place, arrived.extend)
    return ClientSubscription(place, arrived.extend)


@asynccontextmanager
async def opened(
    url: str, client: Client, came: list[Delivery] | None = None, *, ca_file: str | None = None, heartbeat: float = 15
) -> AsyncIterator[Subscription]:
    subscription = unopened(url, client, came, ca_file=ca_file, heartbeat=heartbeat)
    try:
        await subscription.open()
        yield subscription
    finally:
        await subscription.close()


async def lost(subscription: Subscription) -> str:
    return await asyncio.wait_for(asyncio.shield(subscription.lost), LIMIT)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda url: url.replace("guest:guest", "guest:canary"),
        lambda url: url.replace("guest:guest", "nobody:canary"),
        lambda url: url.rpartition("/")[0] + "/canary-vhost",
    ],
    ids=["password", "user", "vhost"],
)
async def test_a_login_that_is_refused_names_the_field(
    spoil: Callable[[str], str], amqp_url: str, client: Client
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with opened(spoil(amqp_url), client):
            pass
    assert caught.value.field == f"{WHERE}.url"
    assert ":canary" not in str(caught.value)


async def test_a_queue_that_is_not_there_is_told(amqp_url: str, client: Client) -> None:
    async with opened(amqp_url, client) as subscription:
        with pytest.raises(ConfigError, match="Create it"):
            await subscription.consume(1)
        assert await lost(subscription)


async def test_a_permission_that_is_missing_is_told(broker: Node, vhost: str, amqp_url: str, client: Client) -> None:
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
    user = f"reader-{vhost}"
    code = (
        f'rabbit_auth_backend_internal:add_user(<<"{user}">>, <<"secret">>, <<"tests">>), '
        f'rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"{vhost}">>, <<>>, <<>>, <<>>, <<"tests">>)'
    )
    await asyncio.to_thread(broker.eval, code)
    try:
        async with opened(amqp_url.replace("guest:guest", f"{user}:secret"), client) as subscription:
            with pytest.raises(ConfigError, match="permission"):
                await subscription.consume(1)
    finally:
        await asyncio.to_thread(broker.eval, f'rabbit_auth_backend_internal:delete_user(<<"{user}">>, <<"tests">>)')


async def test_a_port_that_nobody_listens_on_is_waited_for(unused_port: int, client: Client) -> None:
    with pytest.raises(Disconnected):
        async with opened(f"amqp://guest:canary@127.0.0.1:{unused_port}/", client):
            pass


async def test_any_address_of_a_host_will_do(amqp_url: str, client: Client) -> None:
    """The broker listens on 127.0.0.1 only; `localhost` may stand for ::1 first."""
    async with opened(amqp_url.replace("127.0.0.1", "localhost"), client) as subscription:
        assert subscription.alive


async def test_tls_works_with_a_trusted_authority(amqp_url: str, client: Client) -> None:
    async with proxy(amqp_url, TLS / "server.pem") as wire, lab(amqp_url) as outside:
        await outside.declare(QUEUE)
        came: list[Delivery] = []
        url = wire.url.replace("amqp://", "amqps://")
        async with opened(url, client, came, ca_file=str(TLS / "ca.pem")) as subscription:
            await subscription.consume(100)
            for number in range(20):
                await outside.publish(QUEUE, b"%d" % number * 50_000)
            await until(lambda: len(came) == 20)
            await subscription.ack(20, [])
        assert [delivery.body for delivery in came] == [b"%d" % number * 50_000 for number in range(20)]
        async with opened(amqp_url, client) as after:
            assert await after.depth() == 0


@pytest.mark.parametrize(
    ("certificate", "ca_file"),
    [("server.pem", None), ("other.pem", "ca.pem"), ("expired.pem", "ca.pem"), ("server.pem", "other.pem")],
    ids=["unknown authority", "another host's", "expired", "another authority"],
)
async def test_a_certificate_that_proves_nothing_is_refused(
    certificate: str, ca_file: str | None, amqp_url: str, client: Client
) -> None:
    async with proxy(amqp_url, TLS / certificate) as wire:
        with pytest.raises(ConfigError, match="certificate verify failed") as caught:
            async with opened(wire.url.replace("amqp://", "amqps://"), client, ca_file=ca_file and str(TLS / ca_file)):
                pass
    assert caught.value.field == f"{WHERE}.ca_file"


async def test_tls_towards_a_plain_port_is_told(broker: Node, client: Client) -> None:
    with pytest.raises((Disconnected, ConfigError)):
        async with opened(broker.url.replace("amqp://", "amqps://"), client):
            pass


async def test_a_host_that_says_nothing_is_given_up(
    broker: Node, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CALL_LIMIT", 0.5)
    async with proxy(broker.url) as wire:
        wire.freeze()
        with pytest.raises(Disconnected, match="no answer"):
            async with opened(wire.url, client):
                pass


async def test_a_frozen_broker_holds_no_call_and_no_close_up(
    amqp_url: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
    async with proxy(amqp_url) as wire, opened(wire.url, client) as subscription:
        monkeypatch.setattr(connection, "CALL_LIMIT", 0.5)
        monkeypatch.setattr(connection, "CLOSE_LIMIT", 0.5)
        wire.freeze()
        before = time.monotonic()
        with pytest.raises(Disconnected, match="no answer"):
            await subscription.depth()
        await subscription.close()
        assert time.monotonic() - before < 30
        assert not subscription.alive


async def test_a_broker_that_falls_silent_is_noticed_by_its_heartbeats(amqp_url: str) -> None:
    """Nothing is called meanwhile. The client needs three times the interval and more; ours needs two."""
    async with proxy(amqp_url) as wire, opened(wire.url, "native", heartbeat=1) as subscription:
        await asyncio.sleep(4)  # four heartbeats each way keep it alive
        assert subscription.alive
        wire.freeze()
        assert "has said nothing" in await lost(subscription)


async def test_a_broker_that_does_not_read_is_given_up(amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Acks are not waited for, so it must show in another way that they go nowhere."""
    monkeypatch.setattr(connection, "CALL_LIMIT", 0.5)
    monkeypatch.setattr(connection, "CLOSE_LIMIT", 0.5)
    async with lab(amqp_url) as outside:
        await outside.declare(QUEUE)
    async with proxy(amqp_url) as wire, opened(wire.url, "native") as subscription:
        wire.freeze()
        while subscription.alive:
            await subscription.ack(None, range(1, 10_000))
            await asyncio.sleep(0.01)
        assert "did not read" in await lost(subscription)


async def test_a_virtual_host_that_goes_away_ends_it(broker: Node, vhost: str, amqp_url: str, client: Client) -> None:
    async with opened(amqp_url, client) as subscription:
        await asyncio.to_thread(broker.delete_vhost, vhost)
        assert await lost(subscription)
        for call in (subscription.consume(1), subscription.ack(1, []), subscription.give_back([1])):
            with pytest.raises(Disconnected):
                await call
    await asyncio.to_thread(broker.add_vhost, vhost)


async def test_an_ack_of_what_was_never_delivered_ends_it(amqp_url: str, client: Client) -> None:
    async with opened(amqp_url, client) as subscription:
        await subscription.ack(7, [])
        assert "unknown delivery tag" in await lost(subscription)


async def test_it_closes_twice_and_unopened(amqp_url: str, client: Client) -> None:
    await unopened(amqp_url, client).close()
    async with opened(amqp_url, client) as subscription:
        await subscription.close()


async def test_one_connection_stands_while_it_consumes(broker: Node, vhost: str, amqp_url: str, client: Client) -> None:
    async with opened(amqp_url, client):
        count = f'length([I || I <- rabbit_networking:connection_info_all([vhost]), I == [{{vhost, <<"{vhost}">>}}]])'
        assert (await asyncio.to_thread(broker.eval, count)).strip() == "1"


async def test_nothing_is_settled_in_the_turn_of_the_loop_that_loses_it(amqp_url: str) -> None:
    async with opened(amqp_url, "native") as subscription:
        assert isinstance(subscription, NativeSubscription)
        assert subscription._link is not None
        subscription._link.lose("the broker went away")
        assert not subscription.alive
        with pytest.raises(Disconnected):
            await subscription.ack(1, [2])
        with pytest.raises(Disconnected):
            await subscription.give_back([1])


async def test_settling_on_a_channel_that_is_gone_is_a_lost_session(amqp_url: str) -> None:
    async with opened(amqp_url, "native") as subscription:
        assert isinstance(subscription, NativeSubscription)
        assert subscription._link is not None
        subscription._link.amqp.close_channel(CHANNEL)
        with pytest.raises(Disconnected, match="channel 1 is not open"):
            await subscription.ack(1, [2])
        with pytest.raises(Disconnected, match="channel 1 is not open"):
            await subscription.give_back([1])
