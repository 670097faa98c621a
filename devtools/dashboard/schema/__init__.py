"""
Grafana's published schema of dashboards: its types for TypeScript, and a compiler that knows no mercy.

Both come from npm, in the versions and with the hashes of package-lock.json, into the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from devtools import debian
from devtools.dashboard.reading import Dashboard, in_schema
from devtools.processes import CommandError, MissingError, run
from devtools.scratch import folder, locked

HERE = Path(__file__).parent
LOCK = ("package.json", "package-lock.json")
INSTALL_LIMIT = 600.0  # seconds, on a slow line
CHECK_LIMIT = 300.0  # seconds; most take one
STRICT = ["--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext"]


def complaints(dashboard: Dashboard) -> str:
    """Return what the compiler says: "" when all keys and values are as the schema has them. Raises MissingError."""
    home = folder("grafana-schema")
    (home / "node_modules").symlink_to(_packages() / "node_modules")
    text = json.dumps(in_schema(dashboard), indent=1)
    source = home / "dashboard.ts"
    source.write_text(f"{(HERE / 'frame.ts').read_text('utf-8')}{text};\n", encoding="utf-8")
    compiler = str(home / "node_modules" / "typescript" / "bin" / "tsc")
    try:
        run(["node", compiler, *STRICT, "--target", "es2022", str(source)], timeout=CHECK_LIMIT)
    except CommandError as error:
        if "error TS" not in str(error):
            raise
        return str(error)
    return ""


def _packages() -> Path:
    """Return the folder with what the lock names."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            _install()
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LOCK)).hexdigest()[:12]
    place = debian.CACHE / f"grafana-schema-{digest}"
    with locked(place.with_suffix(".lock")):
        if not place.exists():
            _fetch(place)
    return place


def _fetch(place: Path) -> None:
    unfinished = place.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in LOCK:
        shutil.copy(HERE / name, unfinished)
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(unfinished)]
    run(["npm", "ci", *quiet], timeout=INSTALL_LIMIT)
    unfinished.rename(place)


def _install() -> None:
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise MissingError("Node.js is not at hand; install nodejs and npm")
    try:
        debian.install("nodejs", "npm")
    except CommandError as error:
        raise MissingError(f"Node.js could not be installed: {error}") from error
