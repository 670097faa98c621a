"""A worker's side: what it hears, and what it says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from bridge.errors import ConfigError
from bridge.workers.leash import Leash, Reports
from bridge.workers.report import decode


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    yield reader, writer
    os.close(reader)


@pytest.fixture
def registry() -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("events", "Events.", registry=made).inc(3)
    return made


@pytest.mark.parametrize("word", ["", "1", "1:2", "a:b:c", "1:2:3:4", "1:999999:999998"])
def test_who_calls_himself_a_worker_without_a_parent_is_told_so(word: str) -> None:
    with pytest.raises(ConfigError, match="--worker: is what the bridge tells its own workers"):
        Leash.parse(word)


async def test_a_report_is_on_its_way_before_anything_else(pipe: tuple[int, int], registry: CollectorRegistry) -> None:
    reports = Reports(pipe[1], lambda: ["starting"], registry)
    await reports.open()
    report = decode(os.read(pipe[0], 65_536))
    await reports.close()
    assert report.unready == ("starting",)
    assert [family.name for family in report.families] == ["events"]


async def test_the_last_words_are_those_of_the_end(pipe: tuple[int, int], registry: CollectorRegistry) -> None:
    said = ["starting"]
    reports = Reports(pipe[1], lambda: said, registry)
    await reports.open()
    said[:] = ["draining"]
    await reports.close()
    await reports.close()
    lines = os.read(pipe[0], 65_536).splitlines()
    assert [decode(line).unready for line in lines] == [("starting",), ("draining",)]
    assert os.read(pipe[0], 1) == b"", "nothing comes after it"


async def test_a_parent_that_is_gone_is_no_fault(registry: CollectorRegistry) -> None:
    reader, writer = os.pipe()
    reports = Reports(writer, list, registry)
    await reports.open()
    os.close(reader)
    await asyncio.sleep(0)
    await reports.close()


async def test_a_parent_that_does_not_read_holds_up_nobody(pipe: tuple[int, int]) -> None:
    large = CollectorRegistry()
    for number in range(2_000):
        Counter(f"c{number}", "x" * 100, registry=large)
    reports = Reports(pipe[1], list, large)
    await reports.open()
    await asyncio.wait_for(reports.close(), 30)


async def test_what_fails_while_a_report_is_made_is_said_and_survived(
    pipe: tuple[int, int], registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([ZeroDivisionError()])

    def ready() -> list[str]:
        for error in answers:
            raise error
        return []

    reports = Reports(pipe[1], ready, registry)
    await reports.open()
    await reports.close()
    assert [record.message for record in caplog.records] == ["report_failed"]
    assert decode(os.read(pipe[0], 65_536)).unready == ()


async def test_a_part_that_was_never_opened_may_be_closed(registry: CollectorRegistry) -> None:
    await Reports(-1, list, registry).close()
