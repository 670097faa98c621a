"""Tracing in a whole process: what it costs nobody, and what it does at the start and at the end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from bridge.app import App
from bridge.settings.process import TracingSettings
from bridge.sources.memory import MemorySource
from bridge.targets import HttpTarget
from bridge.targets.exchanges import Exchange
from tests.architecture.source import ROOT
from tests.fakes.collector import Collector
from tests.fakes.hostile import HostileServer, plain
from tests.unit.test_app import running, settings
from tests.unit.tracing.samples import PARENT, SPAN_ID, TRACE_ID

WALLED = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Wall())
from bridge.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
ROUTE = ("source.type=memory", "target.type=webhook", "target.url=http://127.0.0.1:9", "store.type=memory")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def traced(url: str, **tracing: Any) -> App:
    route = {"source": {"type": "memory"}, "target": {"type": "webhook", "url": url}}
    return App(settings(**route, tracing={"enabled": True, **tracing}))


def target_of(app: App) -> HttpTarget:
    target = app.routes["default"].parts.target
    assert isinstance(target, HttpTarget)
    return target


def publish(app: App, event_id: str, headers: dict[str, object] | None = None) -> None:
    source = app.routes["default"].parts.source
    assert isinstance(source, MemorySource)
    source.publish(json.dumps({"id": event_id, "name": "user.created", "data": {}}).encode(), headers or {})


async def until(server: HostileServer, count: int) -> None:
    async with asyncio.timeout(30):
        while len(server.requests) < count:  # noqa: ASYNC110  the server sets an event for the first one alone
            await asyncio.sleep(0.01)


async def test_what_is_left_at_the_end_is_exported_then() -> None:
    async with Collector() as collector, HostileServer(plain()) as server:
        app = traced(server.url, endpoint=collector.url, headers={"x-api-key": "hush-hush"}, name="mine")
        async with running(app):
            publish(app, "1", {"traceparent": PARENT.encode(), "tracestate": b"a=1"})
            publish(app, "2", {"traceparent": b"00-bad\r\nx-evil: 1"})
            await until(server, 2)
    spans = {span.attributes["messaging.message.id"]: span for span in collector.spans}
    assert set(spans) == {"1", "2"}
    assert (spans["1"].trace_id, spans["1"].parent_id, spans["1"].state) == (TRACE_ID, SPAN_ID, "a=1")
    assert spans["2"].parent_id == ""
    assert {request.headers["traceparent"] for request in server.requests} == {s.traceparent for s in spans.values()}
    assert not any("x-evil" in request.headers for request in server.requests)
    assert spans["1"].resource["service.name"] == "mine"
    assert spans["1"].attributes["bridge.route"] == "default"
    assert {request.headers["x-api-key"] for request in collector.requests} == {"hush-hush"}


async def test_a_collector_that_is_away_costs_spans_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async with HostileServer(plain()) as server:
        app = traced(server.url, endpoint="http://127.0.0.1:1", headers={"x-api-key": "hush-hush"})
        with caplog.at_level(logging.DEBUG):
            async with running(app):
                publish(app, "1")
                await until(server, 1)
    assert app.routes["default"].tally.outcomes["accepted"] == 1
    assert sum(vars(record)["count"] for record in caplog.records if record.msg == "spans_lost") == 1
    assert "hush-hush" not in repr([vars(record) for record in caplog.records])


async def test_histograms_show_the_traces_that_are_recorded() -> None:
    async with Collector() as collector, HostileServer(plain()) as server:
        app = traced(server.url, endpoint=collector.url, sample_ratio=0)
        async with running(app):
            publish(app, "1", {"traceparent": PARENT.removesuffix("01") + "00"})
            await until(server, 1)
            untraced = await open_metrics(app)
            publish(app, "2", {"traceparent": PARENT})
            await until(server, 2)
            async with asyncio.timeout(30):
                while len(shown := shown_by(await open_metrics(app))) < 2:  # noqa: ASYNC110  asked over HTTP
                    await asyncio.sleep(0.05)
    assert not shown_by(untraced)
    assert shown == {"bridge_request_seconds_bucket": TRACE_ID, "bridge_accept_seconds_bucket": TRACE_ID}


async def open_metrics(app: App) -> str:
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    async with aiohttp.ClientSession(headers=accept) as session:
        answer = await session.get(f"http://127.0.0.1:{app.probe.port}/metrics")
        return await answer.text()


def shown_by(text: str) -> dict[str, str]:
    """The traces among the exemplars, by the metric."""
    found = re.findall(r'^(\w+)\{[^}]*\} \S+ # \{trace_id="(\w+)"\}', text, re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("broken", [False, True], ids=["disabled", "broken"])
async def test_what_is_wrong_with_the_exporter_does_not_keep_the_bridge_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: bool
) -> None:
    if broken:
        monkeypatch.setattr("bridge.tracing.tracing.Otlp", None)
    else:
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with HostileServer(plain()) as server:
        app = traced(server.url)
        async with running(app):
            publish(app, "1")
            await until(server, 1)
    assert target_of(app).exchange is Exchange
    assert [record.msg for record in caplog.records].count("tracing_off") == 1


def test_without_tracing_a_request_is_no_more_than_a_request() -> None:
    app = App(settings(source={"type": "memory"}, target={"type": "webhook", "url": "http://127.0.0.1:9"}))
    assert target_of(app).exchange is Exchange


def test_a_missing_extra_is_a_configuration_error_that_names_its_cure() -> None:
    command = [sys.executable, "-W", "error", "-c", WALLED, "check"]
    sets = [part for each in (*ROUTE, "tracing.enabled=true") for part in ("--set", each)]
    run = subprocess.run([*command, *sets], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert run.returncode == 78, run.stderr
    assert "tracing.enabled" in run.stderr
    assert "event-bridge[otel]" in run.stderr
    off = subprocess.run([*command, *sets[:-2]], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert off.returncode == 0, off.stderr


@pytest.mark.parametrize("value", ["a\r\nb: c", " a", "", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_header_of_the_collector_is_one_header_and_never_shown(value: str) -> None:
    with pytest.raises(ValidationError):
        TracingSettings.model_validate({"headers": {"x-key": value}})
    with pytest.raises(ValidationError):
        TracingSettings.model_validate({"headers": {"x key": "a"}})
    assert "hush" not in repr(TracingSettings.model_validate({"headers": {"x-key": "hush"}}))
