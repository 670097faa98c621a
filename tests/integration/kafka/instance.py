"""
An instance that takes what comes due and says so, a JSON line each, until it is killed or told to stop (SIGTERM).

    python -m tests.integration.kafka.instance <bootstrap> <namespace>

The first line tells of the start: how long it took to open, in seconds. `at` is when a copy was fired, `due` when it
was due, both in epoch ms. A copy that comes early is waited with, unsettled, as the pipeline does.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

from bridge.delays.kafka import KafkaDelaySettings
from bridge.errors import EndOfSource
from bridge.model import Delivery, Verdict
from bridge.ports import Source


def say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def fire(source: Source, copy: Delivery) -> None:
    assert copy.ticket is not None
    while (wait := copy.ticket.due_at / 1000 - time.time()) > 0:  # noqa: ASYNC110  a clock is waited for
        await asyncio.sleep(wait)
    if source.owns(copy):
        say(id=copy.ticket.id, due=copy.ticket.due_at, at=time.time_ns() // 1_000_000)
        await source.settle([copy], [Verdict.SETTLE])


async def main(bootstrap: str, namespace: str) -> None:
    line = KafkaDelaySettings.model_validate(
        {"type": "kafka", "bootstrap_servers": bootstrap, "namespace": namespace}
    ).build("default")
    began = time.monotonic()
    await line.open()
    say(opened=time.monotonic() - began)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, line.due.stop)
    firing: set[asyncio.Task[None]] = set()
    while True:
        try:
            copies = await line.due.receive(1_000, 0.0)
        except EndOfSource:
            break
        for copy in copies:
            task = asyncio.create_task(fire(line.due, copy))
            firing.add(task)
            task.add_done_callback(firing.discard)
    for task in firing:
        task.cancel()
    await line.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
