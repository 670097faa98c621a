"""Rules about imports: they point down, and neighbours do not know each other."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from tests.architecture.source import Import, Module, Offence, Rule, Sample, calls_of, imports_of

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__version__", "model", "errors", "ports", "units"}),
    frozenset({"core", "formats", "apis", "amqp"}),
    frozenset(
        {
            "sources",
            "stores",
            "delays",
            "deadletters",
            "targets",
            "memory",
            "rabbitmq",
            "kafka",
            "redis",
            "reconnecting",
            "tasks",
        }
    ),
    frozenset(
        {
            "pipeline",
            "claiming",
            "gate",
            "intake",
            "ordering",
            "owed",
            "parking",
            "sending",
            "settling",
            "unpacking",
            "route",
        }
    ),
    frozenset({"settings", "telemetry", "tracing", "devserver", "routes", "app", "workers", "cli"}),
)
"""L0 to L4; every module and package of `bridge` has its place here."""

SHARED = {
    "core": frozenset[str](),
    "tasks": frozenset[str](),
    "memory": frozenset({"rabbitmq", "kafka", "redis", "reconnecting"}),
    "rabbitmq": frozenset({"memory", "kafka", "redis", "reconnecting"}),
    "kafka": frozenset({"memory", "rabbitmq", "redis", "reconnecting"}),
    "redis": frozenset({"memory", "rabbitmq", "kafka", "reconnecting"}),
    "reconnecting": frozenset({"memory", "rabbitmq", "kafka", "redis"}),
}
"""What neighbours of the same layer may import all the same, except those named behind it."""

STRANGERS = frozenset({1, 2})
"""The layers whose packages are alternatives or roles: each must be readable, and removable, by itself."""

BARE = frozenset({"model", "errors", "ports", "core", "amqp"})
"""What is made of the standard library alone."""

CLIENTS = frozenset({"aio_pika", "aiormq", "pamqp", "aiokafka", "confluent_kafka", "redis", "opentelemetry"})
"""Clients of one broker or store each, and of collectors; in an extra each."""

BROKERS = frozenset({"rabbitmq", "kafka", "redis", "tracing"})
"""What the adapters of one broker or store share, and tracing; its client may be imported there."""

CLIENT_FREE = frozenset(
    {"bridge.rabbitmq.options", "bridge.kafka.options", "bridge.redis.options", "bridge.redis.together"}
)
"""What of the shared code may be imported early, because it gets along without the client."""


def layer_of(part: str) -> int | None:
    return next((level for level, parts in enumerate(LAYERS) if part in parts), None)


def _own(imported: Import) -> str | None:
    """The part of the bridge that is imported, None for anything foreign."""
    root, _, rest = imported.target.partition(".")
    return rest.split(".")[0] if root == "bridge" else None


def has_layer(module: Module) -> Iterator[Offence]:
    if module.part and layer_of(module.part) is None:
        yield Offence(module.path, 1, f"{module.part} has no layer: give it one in {__name__}")


def absolute(module: Module) -> Iterator[Offence]:
    for imported in imports_of(module):
        if imported.target.startswith("."):
            yield Offence(module.path, imported.line, "write the import out, from `bridge` on")
    for called, node in calls_of(module.tree):
        if called.rpartition(".")[2] in {"import_module", "__import__"} and not _within(module, node):
            yield Offence(module.path, node.lineno, "an import by a computed name hides from these rules")


def _within(module: Module, call: ast.Call) -> bool:
    """Whether a computed import can only reach the module's own part."""
    return ast.unparse(call.args[0]).lstrip("f").startswith(f"'bridge.{module.part}.")


def points_down(module: Module) -> Iterator[Offence]:
    level = layer_of(module.part)
    if level is None:
        return
    for imported in imports_of(module):
        part = _own(imported)
        above = layer_of(part) if part else None
        if part and above is not None and above > level:
            yield Offence(module.path, imported.line, f"{module.part} (L{level}) imports {part} (L{above}): up")


def neighbours_apart(module: Module) -> Iterator[Offence]:
    level = layer_of(module.part)
    if level not in STRANGERS:
        return
    for imported in imports_of(module):
        part = _own(imported)
        if not part or part == module.part or layer_of(part) != level:
            continue
        if part not in SHARED or module.part in SHARED[part] or module.part == "core":
            yield Offence(module.path, imported.line, f"{module.part} imports its neighbour {part}")


def bare(module: Module) -> Iterator[Offence]:
    if module.part not in BARE:
        return
    for imported in imports_of(module):
        root = imported.target.split(".")[0]
        if root != "bridge" and root not in sys.stdlib_module_names:
            yield Offence(module.path, imported.line, f"{module.part} is made of the standard library, not of {root}")


def stand_in_apart(module: Module) -> Iterator[Offence]:
    """A stand-in for the event APIs that shared code with our dialects would share their errors."""
    if module.part != "devserver":
        return
    for imported in imports_of(module):
        part = _own(imported)
        if part and part != "devserver" and layer_of(part) != 0:
            yield Offence(module.path, imported.line, f"the local event API shares {part} with what it is to check")


def clients_late(module: Module) -> Iterator[Offence]:
    if module.part in BROKERS:
        return
    for imported in imports_of(module):
        free = imported.target in CLIENT_FREE or imported.target.rpartition(".")[0] in CLIENT_FREE
        optional = imported.target.split(".")[0] in CLIENTS or (_own(imported) in BROKERS and not free)
        if imported.eager and optional:
            yield Offence(module.path, imported.line, f"{imported.target} is optional: import it where it is opened")


RULES = (
    Rule("every part has a layer", has_layer, (Sample("bridge/extra/thing.py", ""), Sample("bridge/extra.py", ""))),
    Rule(
        "imports are absolute",
        absolute,
        (
            Sample("bridge/core/a.py", "from . import b"),
            Sample("bridge/core/a.py", "from .b import c"),
            Sample("bridge/core/a.py", "import importlib\nimportlib.import_module('bridge.' + 'app')"),
            Sample("bridge/core/a.py", "__import__(name)"),
        ),
        (Sample("bridge/cli/a.py", "import importlib\nimportlib.import_module(f'bridge.cli.{verb}')"),),
    ),
    Rule(
        "imports point down",
        points_down,
        (
            Sample("bridge/model.py", "from bridge.core.ledger import Ledger"),
            Sample("bridge/core/a.py", "import bridge.stores.memory"),
            Sample("bridge/core/a.py", "def f():\n    from bridge import app"),
            Sample("bridge/stores/a.py", "from bridge.pipeline import Pipeline"),
            Sample("bridge/gate.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bridge.settings"),
        ),
        (
            Sample("bridge/gate.py", "from bridge.core.breaker import Breaker\nfrom bridge.model import Outcome"),
            Sample("bridge/telemetry/metrics.py", "from bridge import __version__"),
            Sample("bridge/app.py", "from bridge.pipeline import Pipeline"),
        ),
    ),
    Rule(
        "neighbours do not know each other",
        neighbours_apart,
        (
            Sample("bridge/delays/rabbitmq.py", "from bridge.sources.rabbitmq import RabbitMQSource"),
            Sample("bridge/apis/zopio.py", "from bridge.formats.zopio import Zopio"),
            Sample("bridge/core/a.py", "def f():\n    import bridge.apis"),
            Sample("bridge/reconnecting.py", "from bridge.rabbitmq import connection"),
            Sample("bridge/rabbitmq/a.py", "from bridge.delays import memory"),
        ),
        (
            Sample("bridge/delays/rabbitmq.py", "def f():\n    from bridge.rabbitmq.publisher import Publisher"),
            Sample("bridge/sources/a.py", "from bridge.reconnecting import Reconnecting\nfrom bridge.sources import b"),
            Sample("bridge/formats/a.py", "from bridge.core.due import due"),
            Sample("bridge/app.py", "from bridge.settings import Settings"),
        ),
    ),
    Rule(
        "the ground is the standard library",
        bare,
        (Sample("bridge/core/a.py", "import orjson"), Sample("bridge/model.py", "def f():\n    import pydantic")),
        (
            Sample("bridge/core/a.py", "import heapq\nfrom bridge.model import Slot"),
            Sample("bridge/units.py", "import pydantic"),
        ),
    ),
    Rule(
        "the local event API shares nothing with the dialects",
        stand_in_apart,
        (Sample("bridge/devserver/a.py", "from bridge.apis.encoding import dumps"),),
        (Sample("bridge/devserver/a.py", "from bridge.devserver import b\nfrom bridge.errors import ConfigError"),),
    ),
    Rule(
        "clients are imported late",
        clients_late,
        (
            Sample("bridge/sources/rabbitmq.py", "import aio_pika"),
            Sample("bridge/delays/__init__.py", "class A:\n    from aiormq.abc import Channel"),
            Sample("bridge/sources/rabbitmq.py", "from bridge.rabbitmq.connection import connect"),
        ),
        (
            Sample("bridge/rabbitmq/connection.py", "import aio_pika"),
            Sample("bridge/sources/rabbitmq.py", "async def open(self):\n    import aio_pika"),
            Sample("bridge/sources/rabbitmq.py", "from bridge.rabbitmq.options import ConnectionSettings"),
            Sample("bridge/sources/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import aio_pika"),
        ),
    ),
)
