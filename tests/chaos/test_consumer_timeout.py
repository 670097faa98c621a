"""What must hold when RabbitMQ takes deliveries back that were unsettled for longer than its `consumer_timeout`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bridge.devserver.faults import Fault
from devtools.rabbitmq import Node
from tests.chaos.rabbitmq_road import BOTH, Road

SETTINGS = {"consumer_timeout": 1_000, "channel_tick_interval": 200}
"""Milliseconds until the broker loses patience (30 minutes as shipped), and between its looks (a minute)."""

SLOW = 4_000.0  # milliseconds that the target takes for the first requests


@pytest.fixture
def _impatient(fresh_broker: Node) -> Iterator[None]:
    """Its channels take these settings over when they are opened."""
    before = {name: fresh_broker.eval(f"element(2, application:get_env(rabbit, {name}))") for name in SETTINGS}
    for name, value in SETTINGS.items():
        fresh_broker.eval(f"application:set_env(rabbit, {name}, {value})")
    yield
    for name, was in before.items():
        fresh_broker.eval(f"application:set_env(rabbit, {name}, {was})")


@BOTH
@pytest.mark.usefixtures("_impatient")
async def test_a_consumer_timeout_costs_sessions_but_no_event(rough_road: Road) -> None:
    rough_road.api.add_fault(Fault(latency_ms=SLOW, times=20))
    await rough_road.bridge.start()
    ids = [f"e{number}" for number in range(100)]

    await rough_road.publisher.events(ids)
    await rough_road.until_arrived(ids)
    samples = await rough_road.until_quiet()

    said = [json.loads(line) for line in rough_road.bridge.log().splitlines()]
    reasons = [line["reason"] for line in said if line["event"] == "session_lost"]
    assert any("PRECONDITION_FAILED" in reason and "timed out" in reason for reason in reasons), reasons
    assert rough_road.bridge.starts == 1
    assert samples["bridge_deliveries_forgotten_total"] > 0
    assert samples["bridge_events_total{result=retried}"] == 0, "it uses up no attempt"
    assert set(rough_road.arrived().values()) == {1}, "what was on its way when the channel went was not sent again"
    assert not await rough_road.dead_letters()
