"""Connecting: what a person must change, what passes by itself, and how operators find us."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from pathlib import Path

import pytest
from pydantic import SecretStr

from bridge.errors import ConfigError, Disconnected
from bridge.rabbitmq import connection
from bridge.rabbitmq.connection import Session, connect, limited
from devtools.rabbitmq import Node
from tests.integration.rabbitmq.proxy import proxy

TLS = Path(__file__).parents[2] / "fakes" / "tls"


async def dial(url: str, ca_file: str | None = None) -> Session:
    return await connect(
        SecretStr(url), name="event-bridge test", where="routes.x.source", heartbeat=15, ca_file=ca_file
    )


async def test_a_session_knows_its_broker(broker: Node, amqp_url: str) -> None:
    session = await dial(amqp_url)
    assert session.version.startswith(broker.version)
    assert (session.alive, session.blocked) == (True, False)
    names = await asyncio.to_thread(
        broker.eval, "[rabbit_misc:pget(client_properties, I) || I <- rabbit_networking:connection_info_all()]"
    )
    assert "event-bridge test" in names
    await session.close()
    assert not session.alive


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda url: url.replace("guest:guest", "guest:canary"), "routes.x.source.url"),
        (lambda url: url.replace("guest:guest", "nobody:canary"), "routes.x.source.url"),
        (lambda url: url.rpartition("/")[0] + "/canary-vhost", "routes.x.source.url"),
    ],
)
async def test_what_a_person_must_change_names_the_field(spoil: object, field: str, amqp_url: str) -> None:
    assert callable(spoil)
    with pytest.raises(ConfigError) as caught:
        await dial(spoil(amqp_url))
    assert caught.value.field == field
    assert ":canary" not in str(caught.value)


async def test_a_broker_that_is_away_is_waited_for(unused_port: int) -> None:
    with pytest.raises(Disconnected):
        await dial(f"amqp://guest:canary@127.0.0.1:{unused_port}/")


async def test_what_is_left_of_a_try_that_failed_is_collected_in_silence(unused_port: int) -> None:
    """By whichever thread: the client's finalizer would start a task there."""
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(Disconnected):
            await dial(f"amqp://guest:canary@127.0.0.1:{unused_port}/")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            await asyncio.to_thread(gc.collect)
    finally:
        gc.enable()
    assert [str(warning.message) for warning in said] == []


async def test_a_host_that_says_nothing_is_given_up(
    broker: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connection, "CALL_LIMIT", 0.5)
    async with proxy(broker.url) as wire:
        wire.freeze()
        with pytest.raises(Disconnected, match="no answer"):
            await dial(wire.url)
    assert "guest" not in caplog.text


async def test_tls_towards_a_plain_port_is_told(broker: Node) -> None:
    with pytest.raises((Disconnected, ConfigError)):
        await dial(broker.url.replace("amqp://", "amqps://"))


async def test_tls_works_with_a_trusted_authority(amqp_url: str) -> None:
    async with proxy(amqp_url, TLS / "server.pem") as wire:
        session = await dial(wire.url.replace("amqp://", "amqps://"), ca_file=str(TLS / "ca.pem"))
        assert session.alive
        await session.close()


@pytest.mark.parametrize(
    ("certificate", "ca_file"),
    [("server.pem", None), ("other.pem", "ca.pem"), ("expired.pem", "ca.pem"), ("server.pem", "other.pem")],
    ids=["unknown authority", "another host's", "expired", "another authority"],
)
async def test_a_certificate_that_proves_nothing_is_refused(
    certificate: str, ca_file: str | None, amqp_url: str
) -> None:
    async with proxy(amqp_url, TLS / certificate) as wire:
        with pytest.raises(ConfigError, match="certificate verify failed") as caught:
            await dial(wire.url.replace("amqp://", "amqps://"), ca_file=ca_file and str(TLS / ca_file))
    assert caught.value.field == "routes.x.source.ca_file"


@pytest.mark.parametrize("ca_file", ["/no/such/file", __file__])
async def test_a_file_that_holds_no_certificates_is_told(ca_file: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await dial("amqps://127.0.0.1/", ca_file=ca_file)
    assert caught.value.field == "routes.x.source.ca_file"


async def test_a_lost_connection_is_noticed_at_once(broker: Node, vhost: str, amqp_url: str) -> None:
    session = await dial(amqp_url)
    await session.channel()
    await asyncio.to_thread(broker.delete_vhost, vhost)
    reason = await asyncio.wait_for(asyncio.shield(session.lost), 30)
    assert reason
    assert not session.alive
    with pytest.raises(Disconnected):
        await session.channel()
    await session.close()
    await session.close()
    await asyncio.to_thread(broker.add_vhost, vhost)


async def test_a_bare_cancellation_by_the_client_is_a_lost_connection() -> None:
    with pytest.raises(Disconnected, match="publishing"):
        async with limited("publishing"):
            raise asyncio.CancelledError


async def test_our_own_cancellation_stays_one() -> None:
    async def call() -> None:
        async with limited("publishing"):
            await asyncio.sleep(60)

    task = asyncio.create_task(call())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_fault_of_ours_is_not_blamed_on_the_broker() -> None:
    with pytest.raises(ZeroDivisionError):
        async with limited("publishing"):
            raise ZeroDivisionError


async def test_frames_with_payloads_and_secrets_are_never_logged(amqp_url: str) -> None:
    logging.getLogger("aiormq").setLevel(logging.DEBUG)
    session = await dial(amqp_url)
    assert not logging.getLogger("aiormq.connection").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("aio_pika").isEnabledFor(logging.DEBUG)
    await session.close()
