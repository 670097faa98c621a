"""Imports the bridge for real, in a process where no broker's client can be had."""

from __future__ import annotations

import subprocess
import sys

import pytest

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


BUILD = """
import sys
from bridge.app import App
from bridge.settings.load import load
import bridge.cli.run
App(load(file=None, environment={}, assignments=sys.argv[2:]).settings)
print(*sorted(name for name in sys.argv[1].split(",") if name in sys.modules))
"""
"""Build a process from its settings, as `run` does, and tell which of these modules are loaded then."""

OTHERS = frozenset({"aiohttp", "bridge.devserver", "bridge.tracing", "bridge.workers", "matplotlib", "opentelemetry"})


@pytest.mark.parametrize(
    ("client", "settings"),
    [
        ("aiokafka", ["source.type=kafka", "source.bootstrap_servers=127.0.0.1:9", "source.topics=orders"]),
        ("aio_pika", ["source.type=rabbitmq", "source.url=amqp://127.0.0.1:9", "source.queue=orders"]),
    ],
)
def test_a_process_loads_no_more_than_it_uses(client: str, settings: list[str]) -> None:
    """What it loads costs it some seconds at its start and some dozens of megabytes for ever."""
    rest = ["target.type=webhook", "target.url=http://127.0.0.1:9", "store.type=memory", "workers=1"]
    looked_for = ",".join(sorted({client, "redis", "aiokafka", "aio_pika", *OTHERS}))
    run = subprocess.run(
        [sys.executable, "-c", BUILD, looked_for, *settings, *rest],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout.split() == [client], run.stderr


def test_a_process_that_is_to_be_traced_loads_what_that_takes() -> None:
    """So that not to load it in any other process means something."""
    sets = ["source.type=memory", "target.type=memory", "store.type=memory", "tracing.enabled=true"]
    run = subprocess.run(
        [sys.executable, "-c", BUILD, "bridge.tracing,opentelemetry", *sets],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout.split() == ["bridge.tracing", "opentelemetry"], run.stderr
