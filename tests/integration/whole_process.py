"""A whole process inside the test: memory adapters around it, and the devserver as the HTTP target it sends to."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bridge.app import App
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.delays.memory import MemoryDelayLine
from bridge.devserver import DevServer, DevServerSettings
from bridge.devserver.records import EventRecord
from bridge.settings.tree import Settings
from bridge.sources.memory import MemorySource
from tests.integration.every_shape import Published

NEWER, OLDER = ("whsec_" + b64encode(bytes([letter]) * 32).decode() for letter in b"no")


@dataclass(frozen=True)
class Api:
    """One target. `at` is its path on the devserver; `waits` says whether it holds delays itself."""

    title: str
    api: str
    settings: dict[str, Any]
    at: str = ""
    waits: bool = False

    def __str__(self) -> str:
        return self.title


def _trigger(version: str, **more: Any) -> dict[str, Any]:
    return {"type": "trigger", "version": version, "key": "tr_dev", **more}


APIS = [
    Api("trigger-v1", "trigger-v1", _trigger("v1"), at="/v1", waits=True),
    Api("trigger-v2", "trigger-v2", _trigger("v2"), at="/v2", waits=True),
    Api("trigger-v2-bulk", "trigger-v2", _trigger("v2", max_batch=50), at="/v2", waits=True),
    Api("tasks", "tasks", _trigger("tasks"), waits=True),
    Api("tasks-batch", "tasks", _trigger("tasks", max_batch=50), waits=True),
    Api("inngest", "inngest", {"type": "inngest", "key": "k"}, waits=True),
    Api("zopio", "zopio", {"type": "zopio"}),
    Api("webhook", "webhook", {"type": "webhook", "signing": {"secret_file": "SECRETS"}}, at="/webhook/{{name}}"),
    Api("binary", "cloudevents", {"type": "cloudevents"}, at="/cloudevents"),
    Api("structured", "cloudevents", {"type": "cloudevents", "mode": "structured"}, at="/cloudevents"),
    Api("batch", "cloudevents", {"type": "cloudevents", "mode": "batch"}, at="/cloudevents"),
]
INNGEST = next(api for api in APIS if api.title == "inngest")
WEBHOOK = next(api for api in APIS if api.title == "webhook")
HOLDING = [api for api in APIS if api.waits]


@dataclass
class Process:
    """A running process with one route, and the target it sends to."""

    app: App
    server: DevServer

    def __post_init__(self) -> None:
        parts = self.app.routes["default"].parts
        assert isinstance(parts.source, MemorySource)
        assert isinstance(parts.delay, MemoryDelayLine)
        assert isinstance(parts.dead_letters, MemoryDeadLetters)
        self.source, self.delay, self.dead_letters = parts.source, parts.delay, parts.dead_letters
        self.tally = self.app.routes["default"].tally

    def publish(self, deliveries: Sequence[Published]) -> None:
        for delivery in deliveries:
            self.source.publish(delivery.body, delivery.headers)

    def idle(self) -> bool:
        return not (self.source.waiting or self.delay.held or self.delay.due.waiting)

    def record(self, name: str) -> EventRecord:
        (found,) = [record for record in self.server.book.events.values() if record.name == name]
        return found


@asynccontextmanager
async def running(api: Api, folder: Path, *, known: str = OLDER, **route: Any) -> AsyncIterator[Process]:
    """Run a process that sends to `api` of a devserver, which knows the webhook secret `known`."""
    server_settings = DevServerSettings(port=0, webhook_secrets=(SecretStr(known),))
    secrets = folder / "signing"
    secrets.write_text(f"{NEWER}\n{OLDER}\n")
    async with DevServer(server_settings) as server:
        target = json.loads(json.dumps(api.settings).replace("SECRETS", str(secrets)))
        app = App(Settings.model_validate(_settings(target | {"url": server.url + api.at}, route)))
        process = Process(app, server)
        stop = asyncio.Event()
        task = asyncio.create_task(app.run(stop))
        try:
            yield process
            assert not task.done()
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)
    assert process.tally.law_holds()


def _settings(target: dict[str, Any], route: dict[str, Any]) -> dict[str, Any]:
    return {
        "store": {"type": "memory"},
        "admin": {"enabled": False},
        "source": {"type": "memory"},
        "delay": {"type": "memory"},
        "dead_letters": {"type": "memory"},
        "timing": {"hold_window": "0.3s"},  # longer waits go to the delay line
        "retry": {"base": "0.01s", "cap": "0.02s", "max_attempts": 50},
        "breaker": {"consecutive": 10_000, "min_calls": 10_000},
        "target": target,
        **route,
    }


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110  what the process does has no event to wait for
            await asyncio.sleep(0.005)
