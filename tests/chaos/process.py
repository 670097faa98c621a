"""`event-bridge run` as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

STARTING = 60.0  # seconds a start or a drain may take on a machine that is busy
LOOK = aiohttp.ClientTimeout(total=10)

Samples = Mapping[str, float]


@dataclass
class Bridge:
    """A bridge over the life of one test: it may be killed and started again. Its settings count at the next start."""

    folder: Path
    settings: dict[str, Any]
    starts: int = 0

    def __post_init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._config = self.folder / "bridge.json"
        self._log = self.folder / "bridge.log"

    async def start(self) -> None:
        """Start the process, and wait until it consumes."""
        self._config.write_text(json.dumps(self.settings))  # JSON is YAML
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(str(Path(sys.executable).with_name("event-bridge")), "run", "--config", str(self._config)),
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")},
            )
        async with asyncio.timeout(STARTING):
            while not await self.ready():
                assert self.running, self.log()[-4000:]
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL: nothing is tidied up."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """SIGTERM, and wait for the drain. Returns the exit code."""
        return await self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: it does nothing any more, and nobody is told."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it stood."""
        self._signal(signal.SIGCONT)

    def _signal(self, sign: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(sign)

    async def _end(self, sign: signal.Signals) -> int:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(sign)
        return await asyncio.wait_for(self._process.wait(), STARTING)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def rss(self) -> int:
        """Bytes of memory that it has now."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024

    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def ready(self) -> bool:
        return (await self._get("/readyz"))[0] == 200

    async def why_not_ready(self) -> list[str]:
        """The reasons that it gives; none if it is ready, or down."""
        _, text = await self._get("/readyz")
        return list(json.loads(text)["reasons"]) if text else []

    async def live(self) -> bool:
        return (await self._get("/livez"))[0] == 200

    async def state(self) -> str:
        """What it says of itself, for whoever looks into a failure."""
        if not self.running:
            return "is down"
        status, text = await self._get("/readyz")
        return f"says {status}: {text}" if status else "runs, and does not answer"

    async def metrics(self) -> Samples:
        """All samples as `name{label=value,...}`, labels sorted, without the route `default`; none if it is down."""
        _, text = await self._get("/metrics")
        samples: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = {key: value for key, value in sample.labels.items() if (key, value) != ("route", "default")}
                inner = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
                samples[f"{sample.name}{{{inner}}}" if inner else sample.name] = sample.value
        return samples

    async def _get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.settings['admin']['port']}{path}"
        try:
            async with aiohttp.ClientSession(timeout=LOOK) as session, session.get(url) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""
