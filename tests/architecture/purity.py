"""The rule that core, formats and apis decide and do not act: no clock, no chance, no outside world."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.architecture.layers import layer_of
from tests.architecture.source import Module, Offence, Rule, Sample, calls_of, imports_of

# fmt: off
WORLD = frozenset({
    "aiohttp", "asyncio", "concurrent", "ftplib", "glob", "http", "httpx", "io", "logging", "mmap", "multiprocessing",
    "os", "queue", "random", "requests", "sched", "secrets", "select", "selectors", "shutil", "signal", "smtplib",
    "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib.request",
})
"""Modules that reach the world, the clock or chance."""

ACTS = frozenset({"open", "input", "print", "exec", "eval", "breakpoint"})
CLOCKS = frozenset(
    f"{kind}.{method}"
    for kind in ("datetime", "date", "datetime.datetime", "datetime.date")
    for method in ("now", "utcnow", "today")
)
CHANCE = frozenset({"uuid1", "uuid4", "uuid.uuid1", "uuid.uuid4"})
FILE_ACTS = frozenset({
    "read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "glob", "rglob", "stat", "exists", "is_file",
    "is_dir", "mkdir", "unlink", "touch",
})
"""Methods of pathlib that touch a disk; a Path as a value is fine."""
# fmt: on


def _pure(module: Module) -> bool:
    return layer_of(module.part) == 1


def no_world(module: Module) -> Iterator[Offence]:
    if not _pure(module):
        return
    for imported in imports_of(module):
        parts = imported.target.split(".")
        for name in (parts[0], ".".join(parts[:2])):
            if name in WORLD:
                yield Offence(
                    module.path,
                    imported.line,
                    f"{name} has no place in a pure module: take what it gives as an argument",
                )


def no_acts(module: Module) -> Iterator[Offence]:
    if not _pure(module):
        return
    for called, node in calls_of(module.tree):
        method = called.rpartition(".")[2]
        if called in ACTS | CLOCKS | CHANCE or ("." in called and method in FILE_ACTS):
            yield Offence(module.path, node.lineno, f"{called}() reaches out of a pure module")


def no_waiting(module: Module) -> Iterator[Offence]:
    if not _pure(module):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith | ast.Global):
            yield Offence(module.path, node.lineno, f"{type(node).__name__} in a pure module")


RULES = (
    Rule(
        "pure modules do not import the world",
        no_world,
        (
            Sample("bridge/core/a.py", "import asyncio"),
            Sample("bridge/core/a.py", "from time import monotonic"),
            Sample("bridge/formats/a.py", "import random as chance"),
            Sample("bridge/apis/a.py", "def f():\n    import os.path"),
            Sample("bridge/apis/a.py", "from urllib import request"),
            Sample("bridge/apis/a.py", "import urllib.request"),
            Sample("bridge/apis/a.py", "import aiohttp"),
        ),
        (
            Sample("bridge/apis/a.py", "from urllib.parse import urlsplit\nfrom datetime import UTC, datetime"),
            Sample("bridge/stores/a.py", "import asyncio, time, random"),
        ),
    ),
    Rule(
        "pure modules do not act",
        no_acts,
        (
            Sample("bridge/core/a.py", "from datetime import datetime\nx = datetime.now()"),
            Sample("bridge/core/a.py", "import datetime\nx = datetime.datetime.utcnow()"),
            Sample("bridge/formats/a.py", "def f(p):\n    return open(p)"),
            Sample("bridge/apis/a.py", "def f(p):\n    return p.read_text()"),
            Sample("bridge/formats/a.py", "import uuid\nid = str(uuid.uuid4())"),
            Sample("bridge/core/a.py", "print('here')"),
        ),
        (
            Sample("bridge/core/a.py", "def f(now, books):\n    return books.open.get(now)"),
            Sample("bridge/stores/a.py", "x = open('keys')"),
        ),
    ),
    Rule(
        "pure modules do not wait or keep global state",
        no_waiting,
        (
            Sample("bridge/core/a.py", "async def f():\n    pass"),
            Sample("bridge/apis/a.py", "x = 0\ndef f():\n    global x\n    x = 1"),
        ),
        (Sample("bridge/targets/a.py", "async def f():\n    await g()"),),
    ),
)
