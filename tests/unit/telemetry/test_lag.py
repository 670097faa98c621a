"""The sampler of the event loop, on both kinds of loop."""

import asyncio
import time
from collections.abc import Callable

import pytest
import uvloop

from bridge.telemetry.lag import INTERVAL, LoopLag


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_hangs_is_seen_to_hang(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    lag = LoopLag()

    async def hang() -> None:
        sampling = asyncio.create_task(lag.run())
        await asyncio.sleep(0)
        time.sleep(INTERVAL + 0.3)  # noqa: ASYNC251  that is the point
        async with asyncio.timeout(30):
            while not sum(lag.seconds.counts):  # noqa: ASYNC110  a sampler tells nobody
                await asyncio.sleep(0.01)
        sampling.cancel()

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(hang())

    assert sum(lag.seconds.counts) == 1
    assert 0.25 <= lag.seconds.sum < 60
    assert lag.recent == lag.seconds.sum


async def test_samples_go_on() -> None:
    lag = LoopLag()
    sampling = asyncio.create_task(lag.run())
    async with asyncio.timeout(30):
        while sum(lag.seconds.counts) < 3:  # noqa: ASYNC110  a sampler tells nobody
            await asyncio.sleep(0.05)
    assert not sampling.done()
    sampling.cancel()
