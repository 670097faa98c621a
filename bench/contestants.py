"""Those who take part in the bench of the road: how each is started for a job."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import binaries
from bench.peers.job import KEY, LINGER, Job, arguments_of
from bench.places import Place

BRIDGE = "bridge"
LINGERING = "bridge, 10 ms"
OURS = (BRIDGE, LINGERING)
HAND_WRITTEN = "hand-written"
FRAMEWORK = "FastStream"
CONNECT = binaries.CONNECT
CONNECT_DEDUP = f"{CONNECT}, dedup"

Start = Callable[[Job, Path], list[str]]
"""The command line for a job; what it needs to write goes into the folder."""


def bridge_command(settings: Mapping[str, Any], folder: Path) -> list[str]:
    """The installed program with these settings, its key store in the folder."""
    config = folder / "bridge.json"
    store = {"type": "sqlite", "path": str(folder / "keys.db")}
    config.write_text(json.dumps({"store": store, "log": {"format": "json"}, **settings}))  # JSON is YAML
    return [str(Path(sys.executable).with_name("event-bridge")), "run", "--config", str(config)]


def bridge(place: Place, more: Mapping[str, Any]) -> Start:
    """As shipped: nothing is set but where events come from and where they go, and these settings more."""

    def start(job: Job, folder: Path) -> list[str]:
        origin = job.target.removesuffix(path_of(arrays=job.arrays))
        target = {"type": "inngest"} if job.arrays else {"type": "trigger", "version": "v1"}
        settings = {
            "admin": {"enabled": False},
            **more,
            "source": {**place.source(), **more.get("source", {})},
            "target": {**target, "url": origin, "key": KEY, **more.get("target", {})},
        }
        return bridge_command(settings, folder)

    return start


def path_of(*, arrays: bool) -> str:
    return f"/e/{KEY}" if arrays else "/api/v1/events"


def peer(module: str) -> Start:
    return lambda job, _: [sys.executable, "-m", f"bench.peers.{module}", *arguments_of(job)]


def connect(place: Place, program: Path, *, dedup: bool) -> Start:
    return lambda job, folder: binaries.connect_command(program, place.broker, job, folder, dedup=dedup)


def contestants(place: Place, *, arrays: bool) -> dict[str, Start]:
    """
    All who take part, by name. Where events share a request, the bridge takes part with and without a linger, in which
    batches may take as long to fill as those of the peers.
    """
    found = {BRIDGE: bridge(place, {})}
    if arrays:
        found[LINGERING] = bridge(place, {"limits": {"linger": LINGER}})
    found[HAND_WRITTEN] = peer(f"handwritten_{place.broker}")
    found[FRAMEWORK] = peer(f"framework_{place.broker}")
    if program := binaries.find(CONNECT):
        found[CONNECT] = connect(place, program, dedup=False)
        found[CONNECT_DEDUP] = connect(place, program, dedup=True)
    return found
