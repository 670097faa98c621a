"""Imports the bridge for real, in a process where no broker's client can be had."""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.layers import CLIENT_FREE, CLIENTS
from tests.architecture.source import ROOT, modules

IMPORTER = """
import importlib, sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Wall())
for name in sys.argv[2:]:
    importlib.import_module(name)
print("imported", len(sys.argv) - 2)
"""


def _import_without_clients(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORTER, ",".join(sorted(CLIENTS)), *names],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_everything_but_the_shared_amqp_code_is_imported_without_any_client() -> None:
    early = [module.name for module in modules() if module.without_client]
    names = [*early, *sorted(CLIENT_FREE)]
    run = _import_without_clients(*names)
    assert run.stdout.strip() == f"imported {len(names)}", run.stderr


def test_the_wall_stands() -> None:
    run = _import_without_clients("aio_pika")
    assert "ImportError: aio_pika is not installed" in run.stderr


def test_the_command_line_does_not_load_what_it_does_not_need() -> None:
    probe = "import sys, bridge.cli.main; print(*sorted(name for name in sys.argv[1:] if name in sys.modules))"
    heavy = ["aiohttp", "asyncio", "orjson", "pydantic", "prometheus_client"]
    run = subprocess.run(
        [sys.executable, "-c", probe, *heavy], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60
    )
    assert run.stdout.split() == []
