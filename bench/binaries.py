"""
Programs of others that take part when they are found: in PATH, or built by `./dev bench --build-peers`.

Each has a folder in `bench/peers` with its settings, which are those that its documentation advises. Redpanda Connect
is built from its Go modules with only what the bench needs: two brokers, HTTP, and a cache in memory.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from bench.machine import ROOT
from bench.peers.job import KEY, Job

CONNECT = "redpanda-connect"
NAMES = {CONNECT: (CONNECT, "connect", "benthos")}
"""Of each peer the names that its program goes by."""

BUILT = ROOT / ".cache" / "peers"
CONFIGS = ROOT / "bench" / "peers" / "connect"


def find(peer: str) -> Path | None:
    """The program of a peer, or None where there is none."""
    path = os.pathsep.join((str(BUILT), os.environ.get("PATH", os.defpath)))
    found = (shutil.which(name, path=path) for name in NAMES[peer])
    return next((Path(program) for program in found if program), None)


def absent() -> dict[str, str]:
    """Of each peer that is not here, how to get it."""
    cure = "not in PATH, so left out; `./dev bench --build-peers` builds it (it takes Go and some minutes)"
    return {peer: cure for peer in NAMES if find(peer) is None}


def version(peer: str) -> str:
    """What a peer's program says about its version, in one line; empty where there is no such program."""
    program = find(peer)
    if program is None:
        return ""
    if program.parent == BUILT:  # it would tell the version of a library
        found = re.search(r"redpanda-data/connect/v4 v(\S+)", (CONFIGS / "go.mod").read_text())
        return f"{found[1] if found else 'unknown'}, built from its modules"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    return said.partition("\n")[0].removeprefix("Version: ").strip()


def build() -> None:
    """Build what can be built, with little haste. Raises CalledProcessError, and FileNotFoundError without Go."""
    BUILT.mkdir(parents=True, exist_ok=True)
    command = ["nice", "-n", "15", "go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(BUILT / CONNECT), "."]
    subprocess.run(command, cwd=CONFIGS, check=True)
    print(f"{CONNECT} {version(CONNECT)} is in {BUILT}")


def connect_command(program: Path, broker: str, job: Job, folder: Path, *, dedup: bool) -> list[str]:
    """The command line of Redpanda Connect for a job."""
    settings = _load(f"{broker}-{'arrays' if job.arrays else 'post'}")
    if dedup:
        settings |= _load("dedup")
    config = folder / "connect.json"
    config.write_text(json.dumps(settings))  # JSON is YAML
    told = {"URL": job.url, "QUEUE": job.queue, "TARGET": job.target, "GROUP": job.group, "KEY": KEY}
    return ["env", *(f"BENCH_{name}={value}" for name, value in told.items()), str(program), "run", str(config)]


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    return loaded
