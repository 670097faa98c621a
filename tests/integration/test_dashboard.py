"""
Every query of the dashboard is answered by a real Prometheus that looks at a real bridge.

The bridge stands between real brokers and the local event API, under load and faults: a panel without data is one that
nobody would miss.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from devtools import rabbitmq
from devtools.dashboard.__main__ import PLACE
from devtools.dashboard.reading import Asked, asked, marks
from devtools.dashboard.trial import Brokers, Trial, trial
from devtools.kafka import KafkaNode
from devtools.processes import CommandError
from devtools.prometheus import Series
from devtools.rabbitmq import Node

DASHBOARD: dict[str, Any] = json.loads(PLACE.read_text("utf-8"))
SECONDS, RATE = 30.0, 60.0
TRIALS = 3
"""A query has to have moved in one of them; a fault may have nothing to strike when it comes."""

STILL = {
    "Sessions down-A",  # they are built anew within the second between two scrapes, as often as not
    "Why not-C",  # likewise
    "Sessions-B",  # nothing was in flight when they were cut, now and then
    "Sessions-C",  # likewise
    "Books-A",  # the law
    "Stuck or missed-A",
    "Stuck or missed-B",
    "Stuck or missed-C",
    "Stuck or missed-D",
    "Possible second sends-A",
    "Possible second sends-B",
    "Possible second sends-C",
    "In flight-C",
    "Health of the store-A",
    "Health of the store-B",
    "Health of the store-C",
    "Health of the store-D",
    "Bugs survived, and restarts-A",
    "Bugs survived, and restarts-B",
    "Bugs survived, and restarts-C",
    "Garbage collections-A",  # may well have none to do
}
"""Queries whose answer is zero as long as nothing is wrong that this trial does not do. All others have to move."""


@pytest.fixture(scope="session")
def broker_version() -> str:
    """The newest one is enough: what is shown here is about what is asked."""
    return rabbitmq.VERSIONS[-1]


Run = Callable[[int], AbstractAsyncContextManager[Trial]]
"""A trial that is over, by its number."""


@pytest.fixture
def run(fresh_broker: Node, newest_kafka: KafkaNode, unique: str) -> Run:
    def made(number: int) -> AbstractAsyncContextManager[Trial]:
        brokers = Brokers(
            amqp_url=fresh_broker.url,
            bootstrap=newest_kafka.bootstrap,
            break_sessions=fresh_broker.close_all_connections,
            name=f"{unique}-{number}",
        )
        return trial(brokers, seconds=SECONDS, rate=RATE)

    return made


def _values(answer: Sequence[Series]) -> list[float]:
    return [value for series in answer for _, value in series.points if not math.isnan(value)]


def _finding(trial_over: Trial, query: Asked) -> str:
    """What is wrong with the answer to a query, "" when nothing is."""
    try:
        values = _values(trial_over.ask(query.expr))
    except CommandError as error:
        return f"{query}: {error}"
    if not values:
        return f"{query}: no data"
    return f"{query}: nothing but 0" if not any(values) and str(query) not in STILL else ""


@pytest.mark.timeout(900)
async def test_every_query_of_the_dashboard_is_answered(run: Run) -> None:
    queries = [*asked(DASHBOARD), *marks(DASHBOARD)]
    assert len(queries) > 50
    assert {str(query) for query in queries} > STILL
    findings: list[str] = []
    for number in range(TRIALS):
        async with run(number) as over:
            answers = [(query, await asyncio.to_thread(_finding, over, query)) for query in queries]
            await _what_is_planted_is_found(over)
        queries = [query for query, finding in answers if finding]
        findings = [finding for _, finding in answers if finding]
        if not findings:
            break
    assert findings == []


async def _what_is_planted_is_found(over: Trial) -> None:
    planted = (
        ("bridge_event_total", "no data"),
        ("rate(up)", "expected type range vector"),
        ("up == 2", "no data"),
        ("up * 0", "but 0"),
    )
    for expr, found in planted:
        assert found in await asyncio.to_thread(_finding, over, Asked("planted", "A", expr, ""))
