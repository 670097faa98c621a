"""The rights that the guide names: with them all of the road works, and with one pattern less something is refused."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings
from bridge.delays.rabbitmq import RabbitMQDelaySettings
from bridge.errors import BridgeError
from bridge.model import Burial, Delivery, Verdict
from bridge.ports import Resource
from bridge.rabbitmq import topology
from bridge.sources.rabbitmq import RabbitMQSourceSettings
from devtools.rabbitmq import Node
from tests.contract.delay_line import hold
from tests.integration.rabbitmq.lab import lab
from tests.unit.markdown import paper

LIMIT = 60.0


@dataclass(frozen=True)
class Rights:
    """What a user may configure, write and read."""

    configure: str
    write: str
    read: str


def rights() -> Iterator[Rights]:
    for fence in paper("docs/rabbitmq.md").fences:
        for line in fence.lines:
            if line.startswith("rabbitmqctl set_permissions"):
                *_, configure, write, read = shlex.split(line)
                yield Rights(configure, write, read)


OWN, ALL, NOTHING = rights()
"""Who declares what is the bridge's own, the source too, or nothing at all."""

MODES = [
    pytest.param(OWN, "declare", "verify", id="its own"),
    pytest.param(ALL, "declare", "declare", id="all"),
    pytest.param(NOTHING, "verify", "verify", id="verify"),
    pytest.param(NOTHING, "off", "off", id="off"),
]


@pytest.fixture(autouse=True)
def _grown_up_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topology, "NEWBORN", 0.0)


class Road:
    """A source, a delay line and dead letters of a user with few rights."""

    def __init__(self, url: str, declaring: str, of_source: str) -> None:
        at: dict[str, Any] = {"type": "rabbitmq", "url": url}
        self.source = RabbitMQSourceSettings.model_validate({**at, "queue": "orders", "topology": of_source})
        self.delay = RabbitMQDelaySettings.model_validate({**at, "topology": declaring})
        self.dead = RabbitMQDeadLettersSettings.model_validate({**at, "topology": declaring})

    async def works(self, outside: str) -> None:
        """Take one in, hold it, take it as due, bury it. Raises whatever refuses."""
        line, dead, source = self.delay.build("default"), self.dead.build("default"), self.source.build("default")
        async with _open(line), _open(dead), _open(source):
            async with lab(outside) as publisher:
                await publisher.publish("orders", b"x")
            await source.settle(taken := await source.receive(1, 0.0), [Verdict.SETTLE] * len(taken))
            (error,) = await line.hold([hold(1, 1.0)])
            if error is not None:
                raise error
            await line.due.settle(taken := await line.due.receive(1, 0.0), [Verdict.SETTLE] * len(taken))
            await dead.bury([Burial(Delivery(body=b"x"), b"x", "rejected", "rejected")])


@asynccontextmanager
async def _open(resource: Resource) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(LIMIT):
            await resource.open()
            yield
    finally:
        await resource.close()


async def allow(broker: Node, vhost: str, name: str, few: Rights) -> str:
    """The address as a user with these rights, made if need be."""
    users = await asyncio.to_thread(broker.ctl, "list_users")
    if name not in users:
        await asyncio.to_thread(broker.ctl, "add_user", name, "secret")
    await asyncio.to_thread(broker.ctl, "set_permissions", "-p", vhost, name, few.configure, few.write, few.read)
    return broker.url_of(vhost).replace("guest:guest", f"{name}:secret")


async def prepared(broker: Node, vhost: str, *, all_of_it: bool) -> str:
    """The operator's address; what the bridge does not declare is there."""
    outside = broker.url_of(vhost)
    if all_of_it:
        await Road(outside, "declare", "declare").works(outside)
    else:
        async with lab(outside) as operator:
            await operator.declare("orders", {"x-queue-type": "quorum"})
    return outside


@pytest.mark.parametrize(("few", "declaring", "of_source"), MODES)
async def test_with_the_rights_of_the_guide_all_of_it_works(
    broker: Node, vhost: str, unique: str, few: Rights, declaring: str, of_source: str
) -> None:
    outside = await prepared(broker, vhost, all_of_it=declaring != "declare") if of_source != "declare" else ""
    url = await allow(broker, vhost, unique, few)
    await Road(url, declaring, of_source).works(outside or broker.url_of(vhost))


@pytest.mark.parametrize(
    ("few", "declaring", "of_source", "left_out"),
    [
        pytest.param(*mode.values, left_out, id=f"{mode.id}-{left_out}")
        for mode in MODES[:3]
        for left_out in ("configure", "write", "read")
        if getattr(mode.values[0], left_out) != "^$"
    ],
)
async def test_each_of_them_is_missed(
    broker: Node, vhost: str, unique: str, few: Rights, declaring: str, of_source: str, left_out: str
) -> None:
    outside = await prepared(broker, vhost, all_of_it=declaring != "declare") if of_source != "declare" else ""
    url = await allow(broker, vhost, unique, replace(few, **{left_out: "^$"}))
    with pytest.raises(BridgeError) as caught:
        await Road(url, declaring, of_source).works(outside or broker.url_of(vhost))
    assert "secret" not in str(caught.value)
