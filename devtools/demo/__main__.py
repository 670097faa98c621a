"""The command behind `./dev demo`: sets the stage, tells the story, sums up, and leaves nothing running."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from bridge.devserver.app import DevServer
from bridge.devserver.faults import Fault, Match
from bridge.devserver.settings import DevServerSettings
from devtools.demo.books import Books
from devtools.demo.in_memory import memory_road
from devtools.demo.road import NoBrokerError, Road, RoadError
from devtools.demo.screen import Screen
from devtools.demo.story import FAILURES, FLAKY, REFUSED, Chapter, story
from devtools.demo.watch import Watch
from devtools.scratch import free_port

OK, DIFFERS, UNAVAILABLE, INTERRUPTED = 0, 1, 69, 130
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
BROKERS = {"rabbitmq": "a real RabbitMQ", "kafka": "a real Kafka", "memory": "queues in memory"}
PACE = 0.12  # seconds between two things that are published, so that eyes can follow
PATIENCE = 30.0  # seconds after the last one until what has not happened counts as not happening
CURE = "start a Docker engine, or run as root on Debian or Ubuntu, or do without: ./dev demo --broker memory"

FAULTS = (
    Fault(match=Match(id=REFUSED), poison="payload.total must not be negative"),
    Fault(match=Match(id=FLAKY), status=500, each=FAILURES),
)


class Demo:
    """One showing."""

    def __init__(self, screen: Screen, *, broker: str, keep: bool) -> None:
        self._screen, self._broker, self._keep = screen, broker, keep
        self._books = Books()
        self._asked = asyncio.Event()
        self._keeping = False

    async def run(self) -> int:
        """Show it and return the exit code. Ctrl-C ends it: while it is kept that is its proper end."""
        task = asyncio.current_task()
        assert task is not None

        def asked() -> None:
            if not self._keeping or self._asked.is_set():
                task.cancel()
            self._asked.set()

        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, asked)
        broker = BROKERS[self._broker]
        self._screen.title(f"Events of every shape -> {broker} -> event-bridge -> a local event API")
        api = DevServer(DevServerSettings(port=free_port(), faults=FAULTS))
        async with api, self._road(api.url) as road:
            code = await self._show(api, road)
        if self._keep:
            self._screen.say("\nNothing is left running.")
        return code

    def _road(self, api_url: str) -> AbstractAsyncContextManager[Road]:
        if self._broker == "memory":
            return memory_road(self._screen, api_url)
        if self._broker == "kafka":
            from devtools.demo.with_kafka import kafka_road

            return kafka_road(self._screen, api_url)
        from devtools.demo.with_rabbitmq import rabbitmq_road

        return rabbitmq_road(self._screen, api_url)

    async def _show(self, api: DevServer, road: Road) -> int:
        watch = Watch(api, road, self._books, self._screen)
        watching = asyncio.create_task(watch.run())
        try:
            self._screen.say()
            self._screen.columns()
            self._screen.start_clock()
            await _while(watching, self._tell(story(), road, watch))
            self._screen.table(self._books.rows(watch.counts))
            differences = self._books.differences(watch.counts)
            if self._keep:
                self._judge(differences)
                await _while(watching, self._stay(api, road))
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        code = await road.stop()
        if code:
            differences.append(f"the bridge ended with exit code {code}")
        if code or not self._keep:
            self._judge(differences)
        return DIFFERS if differences else OK

    async def _tell(self, chapters: Sequence[Chapter], road: Road, watch: Watch) -> None:
        """Publish everything, then wait until all of it has come to its end, or should have."""
        for chapter in chapters:
            self._screen.title(chapter.title)
            for item in chapter.items:
                now = time.time_ns() // 1_000_000
                self._screen.line("published", item.route, item.title, item.note)
                self._books.published(item, now)
                await road.publish(item.route, item.compose(now))
                await asyncio.sleep(PACE)
        self._screen.title("What had to wait")
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while watch.counts.in_flight or not self._books.complete():  # noqa: ASYNC110  two facts of different parts
                    await asyncio.sleep(PACE)
        await asyncio.sleep(5 * PACE)  # for what should not come any more

    async def _stay(self, api: DevServer, road: Road) -> None:
        metrics = f"{road.admin_url}/metrics"
        places = [("event API", f"{api.url}/"), ("metrics", metrics), *road.addresses()]
        self._screen.table([(name, None, text) for name, text in places])
        self._screen.say("Ctrl-C ends it.")
        self._books.close()
        self._keeping = True
        await self._asked.wait()

    def _judge(self, differences: Sequence[str]) -> None:
        if not differences:
            self._screen.good(f"Everything was as it must be, in {self._screen.elapsed:.0f} s.")
            return
        self._screen.bad("This is not as it must be:")
        for line in differences:
            self._screen.say(f"  {line}")


async def _while(watching: asyncio.Task[None], work: Coroutine[Any, Any, None]) -> None:
    """Do the work as long as the watch lasts. Raises what the watch died of."""
    working = asyncio.create_task(work)
    try:
        await asyncio.wait({watching, working}, return_when=asyncio.FIRST_COMPLETED)
        await (watching if watching.done() else working)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the demo as the command line says, and return the exit code."""
    options = _parser().parse_args(arguments)
    screen = Screen(sys.stdout)
    try:
        return asyncio.run(Demo(screen, broker=options.broker, keep=options.keep).run())
    except asyncio.CancelledError:
        screen.say("\nended before it was through")
        return INTERRUPTED
    except RoadError as error:
        screen.bad(str(error))
        return DIFFERS
    except BrokenPipeError:  # whoever read our output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DIFFERS
    except NoBrokerError as error:
        print(f"demo: {error}: {CURE}", file=sys.stderr)
        return UNAVAILABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev demo", description="Watch events travel to a local event API.")
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C, and print the addresses")
    parser.add_argument(
        "--broker",
        choices=tuple(BROKERS),
        default="rabbitmq",
        help="memory: everything within one process, where no broker can be had",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
