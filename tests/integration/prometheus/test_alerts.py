"""A fault of the target becomes an alert in a real Prometheus that scrapes a real bridge, and goes with it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.devserver.app import DevServer
from bridge.devserver.faults import Fault
from devtools.processes import wait_until
from devtools.prometheus import Prometheus, target
from devtools.scratch import free_port
from tests.unit.rules import FILE
from tests.unit.terminal import Terminal, until

PATIENCE = 120.0
EVENTS = 20


def hasty(folder: Path) -> Path:
    """The rules with seconds for minutes of patience; what they ask for is the same."""
    rules = folder / FILE.name
    rules.write_text(re.sub(r"^( +for:) .*$", r"\1 2s", FILE.read_text("utf-8"), flags=re.MULTILINE))
    return rules


async def eventually(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, within=PATIENCE, what=what)


@pytest.mark.usefixtures("prometheus_programs")
async def test_a_target_that_is_down_is_an_alert_until_it_is_back(amqp_url: str, tmp_path: Path) -> None:
    async with DevServer() as server:
        admin = free_port()
        terminal = Terminal(
            tmp_path,
            BRIDGE_SOURCE__URL=amqp_url,
            BRIDGE_TARGET__URL=server.url,
            BRIDGE_ADMIN__PORT=str(admin),
            BRIDGE_BREAKER__CONSECUTIVE="2",
            BRIDGE_BREAKER__PROBE_CAP="1s",
        )
        bridge = await terminal.start("run")
        watcher = Prometheus([target("event-bridge", f"127.0.0.1:{admin}")], rules=[hasty(tmp_path)])
        try:
            await bridge.logs("started")
            await asyncio.to_thread(watcher.start)
            await eventually(lambda: bool(watcher.query('bridge_breaker_state{state="closed"} == 1')), "a first scrape")
            await _quiet(watcher)
            fault = server.add_fault(Fault(status=503))
            await terminal.typed(f"event-bridge publish --name order.paid --count {EVENTS} --data '{{}}'")
            await eventually(lambda: _state(watcher) == "firing", "the alert")
            assert not server.book.events
            server.faults.remove(fault.id)
            await until(lambda: len(server.book.events) == EVENTS, "all events at the event API")
            await eventually(lambda: _state(watcher) == "", "the end of the alert")
            states = await asyncio.to_thread(
                watcher.query, 'max by (alertstate) (max_over_time(ALERTS{alertname="BridgeBreakerOpen"}[10m]))'
            )
            assert {sample.labels["alertstate"] for sample in states} == {"pending", "firing"}
            assert await bridge.stop() == 0
        finally:
            bridge.kill()
            watcher.close()


async def _quiet(watcher: Prometheus) -> None:
    """Every rule has been looked at with data, and none speaks."""
    rules = await asyncio.to_thread(watcher.ask, "rules")
    assert {rule["health"] for group in rules["groups"] for rule in group["rules"]} <= {"ok", "unknown"}
    await eventually(lambda: not watcher.alerts(), "silence")


def _state(watcher: Prometheus) -> str:
    return next((alert.state for alert in watcher.alerts() if alert.name == "BridgeBreakerOpen"), "")
