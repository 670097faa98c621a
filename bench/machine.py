"""What every bench says about where and how it ran."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("uvloop", "httptools", "orjson", "aio-pika", "aiormq", "aiokafka", "aiohttp", "faststream")
ROOT = Path(__file__).resolve().parents[1]


def facts(*more: str) -> str:
    """Machine, software, load and command, some lines."""
    return "\n".join((f"{now()}, {_commit()}, load {load()}", _hardware(), ", ".join((_software(), *more)), _command()))


def as_json(versions: Mapping[str, str]) -> dict[str, Any]:
    """The same as a dictionary."""
    packages = {name: found for name in PACKAGES if (found := _version(name))}
    return {
        "when": now(),
        "commit": _commit().removeprefix("commit "),
        "load": load(),
        "machine": _hardware(),
        "versions": {"python": platform.python_version(), **versions, **packages},
        "command": _command(),
    }


def load() -> str:
    """Load averages of the last one and five minutes."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f} {five:.1f}"


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip() or 'unknown'}"


def _hardware() -> str:
    found = re.search(r"^model name\s*: (.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB$", _read("/proc/meminfo"), re.MULTILINE)
    gigabytes = int(memory[1]) / 1e6 if memory else 0
    processor = found[1] if found else platform.machine()
    return f"{os.cpu_count()} cores of {processor}, {gigabytes:.0f} GB, Linux {platform.release()}"


def _read(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def _software() -> str:
    versions = [f"{name} {found}" for name in PACKAGES if (found := _version(name))]
    return ", ".join([f"Python {platform.python_version()}", *versions])


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _command() -> str:
    return f"$ ./dev bench {' '.join(shlex.quote(argument) for argument in [Path(sys.argv[0]).stem, *sys.argv[1:]])}"
