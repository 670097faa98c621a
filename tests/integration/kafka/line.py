"""A delay line on a real Kafka, what is held in it, and instances that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge.core.levels import Levels
from bridge.delays.kafka import KafkaDelayLine, KafkaDelaySettings
from bridge.errors import Unavailable
from bridge.model import Delivery, Hold, Ticket, Verdict
from devtools.processes import end, launch, wait_until

LIMIT = 120.0  # seconds until a test gives up waiting
EARLY = 5_000  # ms that a copy may come before it is due


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def held(number: int, wait: float = 0.0, size: int = 0) -> Hold:
    """A copy to hold for so many seconds."""
    body = b"%d" % number + b" " * size
    now = now_ms()
    ticket = Ticket(route="default", id=str(number), due_at=now + int(wait * 1000), attempt=1, first_seen=now)
    return Hold(Delivery(body=body), body, ticket)


def settings_of(bootstrap: str, namespace: str, **more: Any) -> KafkaDelaySettings:
    settings = {"type": "kafka", "bootstrap_servers": bootstrap, "namespace": namespace, **more}
    return KafkaDelaySettings.model_validate(settings)


@asynccontextmanager
async def line_at(bootstrap: str, namespace: str, **more: Any) -> AsyncIterator[KafkaDelayLine]:
    """An open line."""
    line = settings_of(bootstrap, namespace, **more).build("default")
    await line.open()
    try:
        yield line
    finally:
        await line.close()


def levels_of(namespace: str) -> list[str]:
    return list(Levels(namespace).topics())


async def take(line: KafkaDelayLine, count: int) -> list[tuple[int, Delivery]]:
    """So many different copies, each with the ms when it first came; settled."""
    got: dict[bytes, tuple[int, Delivery]] = {}
    async with asyncio.timeout(LIMIT):
        while len(got) < count:
            batch = await line.due.receive(1_000, 0.0)
            for copy in batch:
                got.setdefault(copy.body, (now_ms(), copy))
            await line.due.settle(batch, [Verdict.SETTLE] * len(batch))
    return list(got.values())


def early(got: Iterable[tuple[int, Delivery]]) -> list[int]:
    """By how many ms copies came earlier than they may."""
    return [
        copy.ticket.due_at - came for came, copy in got if copy.ticket is not None and copy.ticket.due_at - came > EARLY
    ]


async def insist(line: KafkaDelayLine, items: Sequence[Hold]) -> None:
    """Hold, however long the broker is away."""
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                assert await line.hold(items) == [None] * len(items)
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return


class Instance:
    """A process of `tests.integration.kafka.instance`."""

    def __init__(self, folder: Path, bootstrap: str, namespace: str) -> None:
        self._log = folder / f"instance-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "tests.integration.kafka.instance", bootstrap, namespace]
        self._process = launch(command, env=dict(os.environ), output=self._log)

    def said(self) -> list[dict[str, Any]]:
        """Every complete line so far."""
        text = self._log.read_text() if self._log.exists() else ""
        assert "Traceback" not in text, text
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("}\n")]

    def fired(self) -> list[dict[str, Any]]:
        return [fact for fact in self.said() if "id" in fact]

    def until_open(self) -> float:
        """Seconds that opening took."""
        wait_until(lambda: bool(self.said()), within=LIMIT, what="the instance is open")
        return float(self.said()[0]["opened"])

    def rss(self) -> int:
        """Bytes of memory it has now."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        end(self._process, patience=30)
