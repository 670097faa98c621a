"""What a running bridge shows of itself, to promtool, to Prometheus and to parsers of both formats."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from devtools.processes import wait_until
from devtools.prometheus import Prometheus, promtool, target
from tests.integration.every_shape import Published
from tests.integration.whole_process import INNGEST, Process, running, until

EVENTS = 20
TRACE = "0af7651916cd43dd8448eb211c80319c"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
PATIENCE = 60.0

Parser = Callable[[str], Iterable[Metric]]


@asynccontextmanager
async def worked(folder: Path) -> AsyncIterator[Process]:
    """A process that has sent some events, one of them with a trace."""
    async with running(INNGEST, folder, admin={"port": 0}) as process:
        bodies = [json.dumps({"id": f"e{number}", "name": "user.created", "data": {}}) for number in range(EVENTS)]
        process.publish([Published(body=body.encode(), events=()) for body in bodies])
        await until(lambda: len(process.source.settled) == EVENTS)
        process.tally.requests["accepted"].add(0.0042, 1, TRACE, time.time_ns() // 1_000_000)
        yield process


async def scraped(process: Process, accept: str = "*/*") -> tuple[str, str]:
    """The content type and the text."""
    url = f"http://127.0.0.1:{process.app.probe.port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Accept": accept}) as answer:
        return answer.headers["Content-Type"], await answer.text()


def numbers(text: str, parser: Parser) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Those of the route: they stand still once it is idle."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser(text)
        for sample in family.samples
        if "route" in sample.labels
    }


@pytest.mark.usefixtures("prometheus_programs")
async def test_promtool_finds_no_fault_with_what_a_running_bridge_shows(tmp_path: Path) -> None:
    async with worked(tmp_path) as process:
        _, text = await scraped(process)
    assert await asyncio.to_thread(promtool, "check", "metrics", text=text) == ""


async def test_both_formats_say_the_same_and_exemplars_are_for_those_who_ask(tmp_path: Path) -> None:
    async with worked(tmp_path) as process:
        (plain_type, plain), (open_type, opened) = await scraped(process), await scraped(process, OPEN_METRICS)
    assert plain_type.startswith("text/plain")
    assert open_type.startswith("application/openmetrics-text")
    assert numbers(plain, plain_text) == numbers(opened, open_metrics)
    assert TRACE not in plain
    families = list(open_metrics(opened))  # type: ignore[no-untyped-call]
    shown = [sample for family in families for sample in family.samples if sample.exemplar]
    assert [(one.name, one.labels["le"], one.exemplar.labels) for one in shown if one.exemplar] == [
        ("bridge_request_seconds_bucket", "0.005", {"trace_id": TRACE})
    ]


async def test_requests_of_a_running_bridge_are_counted(tmp_path: Path) -> None:
    async with worked(tmp_path) as process:
        before = process.server.book.tally("inngest").requests
        now = numbers((await scraped(process))[1], plain_text)
    name = "bridge_request_seconds_count"
    told = {dict(labels)["outcome"]: value for (found, labels), value in now.items() if found == name}
    assert told == {"accepted": before + 1, "retryable": 0, "rejected": 0, "misconfigured": 0}


@pytest.mark.usefixtures("prometheus_programs")
async def test_prometheus_scrapes_everything_with_its_exemplars(tmp_path: Path) -> None:
    async with worked(tmp_path) as process:
        address = f"127.0.0.1:{process.app.probe.port}"
        found, exemplars = await asyncio.to_thread(_through_prometheus, address)
    assert found == EVENTS
    assert [one["labels"] for one in exemplars] == [{"trace_id": TRACE}]


def _through_prometheus(address: str) -> tuple[float, list[dict[str, dict[str, str]]]]:
    with Prometheus([target("event-bridge", address)]) as server:
        accepted = 'bridge_events_total{result="accepted"}'

        def shown() -> list[dict[str, dict[str, str]]]:
            return server.exemplars("bridge_request_seconds_bucket", start=time.time() - 600, end=time.time() + 5)

        wait_until(lambda: bool(server.query(accepted) and shown()), within=PATIENCE, what="a scrape")
        return server.query(accepted)[0].value, shown()
