"""The sources of the project, parsed once, and the form in which a rule speaks about them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
CODE = ("bridge", "devtools", "bench", "tests")


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file; `path` is relative to the root of the tree, with forward slashes."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> Module:
        return cls(path, text, ast.parse(text, filename=path))

    @property
    def name(self) -> str:
        """Dotted, as it is imported."""
        dotted = ".".join(PurePosixPath(self.path).with_suffix("").parts)
        return dotted.removesuffix(".__init__")

    @property
    def part(self) -> str:
        """The second component of the name (`core` of `bridge.core.ledger`), which is what a layer is made of."""
        return self.name.split(".")[1] if "." in self.name else ""

    @property
    def in_bridge(self) -> bool:
        return self.path.startswith("bridge/")

    @property
    def without_client(self) -> bool:
        """Whether it can be imported where no optional client is. A `__main__` is not for importing at all."""
        bound = {"rabbitmq", "kafka", "redis", "tracing"}
        return self.in_bridge and self.part not in bound and not self.path.endswith("__main__.py")


@dataclass(frozen=True, slots=True)
class Offence:
    """One place that breaks a rule, and what to do about it."""

    path: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class Sample:
    """A file that is not there, to show what a rule makes of it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Rule:
    """
    A check of single modules, with the proof that it works.

    It must find something in each sample of `bites` and nothing in any of `spares`. It is run over the package, or
    with `everywhere` over all Python code of the tree.
    """

    name: str
    check: Callable[[Module], Iterable[Offence]]
    bites: tuple[Sample, ...]
    spares: tuple[Sample, ...] = ()
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, dotted. `eager` when it is imported together with its module."""

    target: str
    line: int
    eager: bool


@cache
def modules() -> tuple[Module, ...]:
    """All Python files of the tree."""
    paths = sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    return tuple(Module.of(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths)


@cache
def tracked_texts() -> tuple[Sample, ...]:
    """Every text file that git knows or would take, as it is on disk."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    return tuple(_texts(path for path in paths if path.is_file()))


def _texts(paths: Iterable[Path]) -> Iterator[Sample]:
    for path in paths:
        try:
            yield Sample(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
        except UnicodeDecodeError:
            continue


def imports_of(module: Module) -> Iterator[Import]:
    """All imports, also those inside functions and those for type checkers alone; these two are not eager."""
    yield from _imports(module.tree, eager=True)


def _imports(node: ast.AST, *, eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, eager)
        elif isinstance(child, ast.ImportFrom):
            origin = "." * child.level + (child.module or "")
            for alias in child.names:
                yield Import(f"{origin}.{alias.name}", child.lineno, eager)
        else:
            lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _for_types(child)
            yield from _imports(child, eager=eager and not lazy)


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def calls_of(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """All calls, each with the dotted text of what is called ("self._channel.basic_ack")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node
