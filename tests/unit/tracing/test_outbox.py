from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

import pytest

from bridge.tracing.outbox import Outbox


class Exporter:
    def __init__(self) -> None:
        self.taken: list[list[int]] = []
        self.problem: str | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.entered = threading.Event()

        self.aborted = 0

    def abort(self) -> None:
        self.aborted += 1

    def __call__(self, records: Sequence[int]) -> str | None:
        self.entered.set()
        self.go_on.wait(20)
        self.taken.append(list(records))
        if self.problem == "raise":
            raise RuntimeError(self.problem)
        return self.problem


def lost(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [(vars(record)["count"], vars(record)["reason"]) for record in caplog.records if record.msg == "spans_lost"]


async def test_everything_arrives_in_order_and_in_batches() -> None:
    exporter = Exporter()
    outbox = Outbox(exporter, exporter.abort, room=100, batch=10, delay=60)
    for number in range(35):
        outbox.put(number)
    outbox.open()
    await outbox.close(20)
    assert [number for batch in exporter.taken for number in batch] == list(range(35))
    assert max(map(len, exporter.taken)) == 10


async def test_a_full_batch_is_not_kept_waiting() -> None:
    exporter = Exporter()
    outbox = Outbox(exporter, exporter.abort, room=100, batch=3, delay=600)
    outbox.open()
    for number in range(3):
        outbox.put(number)
    async with asyncio.timeout(20):
        while not exporter.taken:  # noqa: ASYNC110  a thread sets no asyncio.Event
            await asyncio.sleep(0.01)
    await outbox.close(20)
    assert exporter.taken == [[0, 1, 2]]


async def test_a_collector_that_hangs_holds_up_nobody_and_costs_no_more_than_the_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = Exporter()
    exporter.go_on.clear()
    outbox = Outbox(exporter, exporter.abort, room=10, batch=5, delay=60)
    outbox.open()
    for number in range(5):
        outbox.put(number)
    assert await asyncio.to_thread(exporter.entered.wait, 20)
    began = time.monotonic()
    for number in range(1000):
        outbox.put(number)
    assert time.monotonic() - began < 10
    with caplog.at_level(logging.WARNING):
        await outbox.close(0.1)
        assert lost(caplog) == [(15, "they could not be exported before the end")]
        assert exporter.aborted == 1
        exporter.go_on.set()
        await outbox.close(20)
    assert exporter.taken == [[0, 1, 2, 3, 4]]
    assert lost(caplog)[1:] == [(990, "more came than could be exported")]


async def test_an_export_that_gives_up_when_told_to_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Exporter()
    exporter.go_on.clear()
    exporter.problem = "given up"
    outbox = Outbox(exporter, exporter.go_on.set, room=10, batch=5, delay=60)
    outbox.put(1)
    with caplog.at_level(logging.WARNING):
        outbox.open()
        await outbox.close(0.1)
    assert lost(caplog) == [(1, "given up")]


@pytest.mark.parametrize(("problem", "reason"), [("no route", "no route"), ("raise", "RuntimeError")])
async def test_what_cannot_be_exported_is_counted_and_told_once_a_minute(
    caplog: pytest.LogCaptureFixture, problem: str, reason: str
) -> None:
    exporter = Exporter()
    exporter.problem = problem
    outbox = Outbox(exporter, exporter.abort, room=100, batch=2, delay=60)
    for number in range(8):
        outbox.put(number)
    with caplog.at_level(logging.WARNING):
        outbox.open()
        await outbox.close(20)
    assert lost(caplog) == [(2, reason), (6, reason)]


async def test_after_the_end_nothing_is_taken() -> None:
    exporter = Exporter()
    outbox = Outbox(exporter, exporter.abort, room=10, batch=5, delay=60)
    outbox.open()
    await outbox.close(20)
    outbox.put(1)
    await outbox.close(20)
    assert exporter.taken == []
