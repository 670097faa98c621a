"""A trial on brokers of our own, and what the dashboard sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devtools import kafka, rabbitmq
from devtools.dashboard.picture import Seen
from devtools.dashboard.reading import Dashboard, marks, panels
from devtools.dashboard.trial import Brokers, Trial, trial
from devtools.demo import with_kafka, with_rabbitmq

STEP = 1.0  # seconds between points


async def rehearse(dashboard: Dashboard, *, seconds: float, rate: float) -> Seen:
    """Run a trial on brokers that are started for it, and return what the dashboard sees of it."""
    async with _brokers() as brokers, trial(brokers, seconds=seconds, rate=rate) as over:
        return await asyncio.to_thread(seen, over, dashboard)


def seen(over: Trial, dashboard: Dashboard) -> Seen:
    """Ask all that the dashboard asks, over the whole of a trial."""
    answers = {
        panel["title"]: {target["refId"]: over.ask(target["expr"], step=STEP) for target in panel["targets"]}
        for panel in panels(dashboard)
    }
    alerts = next(mark for mark in marks(dashboard) if mark.ref == "Alerts")
    times = [[moment for moment, _ in series.points] for series in over.ask(alerts.expr)]
    spans = sorted((min(moments), max(moments)) for moments in times)
    return Seen(answers=answers, marks=spans, begin=over.began, end=over.ended)


@asynccontextmanager
async def _brokers() -> AsyncIterator[Brokers]:
    rabbit = await asyncio.to_thread(rabbitmq.private_node, with_rabbitmq.quickest_version())
    kafka_node = await asyncio.to_thread(kafka.private_node, with_kafka.quickest_version())
    try:
        await asyncio.gather(asyncio.to_thread(rabbit.start), asyncio.to_thread(kafka_node.start))
        yield Brokers(
            amqp_url=rabbit.url,
            bootstrap=kafka_node.bootstrap,
            break_sessions=rabbit.close_all_connections,
            name="shop",
        )
    finally:
        await asyncio.to_thread(rabbit.close)
        await asyncio.to_thread(kafka_node.close)
