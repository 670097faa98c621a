"""
Checks custom resources (PodMonitor, ServiceMonitor, PrometheusRule, ScaledObject, TriggerAuthentication).

Their schemas and types come as npm packages, at the versions and with the hashes of package-lock.json, into the cache
folder: half a minute, once, 60 MB. They run on the Node.js that Playwright brings along.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import playwright

from devtools import debian
from devtools.processes import CommandError, MissingError, run
from devtools.scratch import locked

HERE = Path(__file__).parent
LISTS = ("package.json", "package-lock.json")
CHECK_LIMIT = 300.0
"""Seconds for the compiler, on a machine with much else to do."""

FETCH_LIMIT = 600.0
"""Seconds for npm, on a slow line."""


def problems_of(resources: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what is wrong with them, keys that nobody knows included. Raises MissingError, CommandError."""
    node = Path(playwright.__file__).parent / "driver/node"
    said = run([str(node), str(HERE / "check.mjs"), str(packages())], text=json.dumps(resources), timeout=CHECK_LIMIT)
    found: list[str] = json.loads(said)
    return found


def packages() -> Path:
    """Return the folder with the packages, and fetch them if needed. Raises MissingError, CommandError."""
    lists = [(HERE / name).read_bytes() for name in LISTS]
    root = debian.CACHE / f"crds-{hashlib.sha256(b''.join(lists)).hexdigest()[:12]}"
    with locked(debian.CACHE / "crds.lock"):
        if not root.exists():
            _fetch(root)
    return root


def _fetch(root: Path) -> None:
    npm = _npm()
    unfinished = root.with_name(f"{root.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in LISTS:
        shutil.copy(HERE / name, unfinished)
    run([npm, "--prefix", str(unfinished), "ci", "--no-audit", "--no-fund", "--ignore-scripts"], timeout=FETCH_LIMIT)
    unfinished.rename(root)


def _npm() -> str:
    found = shutil.which("npm")
    if found is None and os.getuid() == 0 and shutil.which("apt-get"):
        try:
            debian.install("npm")
        except CommandError as error:
            raise MissingError(f"npm could not be installed: {error}") from error
        found = shutil.which("npm")
    if found is None:
        raise MissingError("npm is not at hand, which fetches the schemas of custom resources; install it")
    return found
