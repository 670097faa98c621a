"""Rules about what a reader meets: size, words, a first line that says what a file is, nothing left for later."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Module, Offence, Rule, Sample

FILE_LINES = 300
FUNCTION_LINES = 60
SENTENCE = 3  # words
TOO_LONG = "x = 1\n" * (FILE_LINES + 1)
TOO_MUCH = "def f():\n" + "    x = 1\n" * FUNCTION_LINES

AVOIDED = frozenset({"manager", "handler", "processor", "service", "helper", "util", "utility", "nack", "message"})
"""Words that say nothing, or two things at once (DESIGN names the words to use)."""

GIVEN = frozenset(
    {"message_id", "message_ids", "original_message_id", "_SERVICE_LINK", "on_message_begin", "on_message_complete"}
)
"""Names that are not ours: a property of AMQP, what Kubernetes calls the variables it adds, callbacks of httptools."""

LATER = re.compile(
    "|".join(
        (
            r"\b" + "TO" + r"DO\b",
            r"\b" + "FIX" + r"ME\b",
            r"\b" + "XX" + r"X\b",
            r"\b" + "HA" + r"CK\b",
            "NotImplemented" + "Error",
            r"\bpytest\.(skip|x" + "fail)",
            r"\bmark\.(skip|x" + "fail)",
            "import" + "orskip",
            "unittest" + r"\.skip",
            "pragma: no " + "cover",
            r"# type: " + r"ignore(?!\[)",
            r"# no" + r"qa(?!: [A-Z]+[0-9]+)",
        )
    )
)


def short_files(module: Module) -> Iterator[Offence]:
    lines = module.text.count("\n")
    if lines > FILE_LINES:
        yield Offence(module.path, FILE_LINES + 1, f"{lines} lines, more than {FILE_LINES}: is this still one idea?")


def short_functions(module: Module) -> Iterator[Offence]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield Offence(module.path, node.lineno, f"{node.name} has {lines} lines, more than {FUNCTION_LINES}")


def introduced(module: Module) -> Iterator[Offence]:
    text = ast.get_docstring(module.tree) or ""
    if module.text.strip() and len(text.split("\n")[0].split()) < SENTENCE:
        yield Offence(module.path, 1, "the first line must say, in a docstring, what this file is")


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    words = set(spaced.lower().split("_"))
    return words | {word.removesuffix("s") for word in words}


def _names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that this file makes up: of classes, functions, arguments, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def own_words(module: Module) -> Iterator[Offence]:
    named = [(part, 1) for part in module.name.split(".")]
    for name, line in [*named, *_names(module.tree)]:
        for word in sorted(_words(name) & AVOIDED) if name not in GIVEN else ():
            yield Offence(module.path, line, f"{name} says {word!r}: name what it is")


def nothing_later(module: Module) -> Iterator[Offence]:
    for number, line in enumerate(module.text.splitlines(), 1):
        if found := LATER.search(line):
            yield Offence(module.path, number, f"{found[0]!r}: finish it, or give the reason in words")


def _line(*parts: str) -> Sample:
    return Sample("tests/unit/a.py", "".join(parts))


RULES = (
    Rule(
        "files are short",
        short_files,
        (Sample("bridge/core/a.py", TOO_LONG),),
        (Sample("bridge/core/a.py", "x = 1\n" * FILE_LINES),),
    ),
    Rule(
        "functions are short",
        short_functions,
        (Sample("bridge/core/a.py", TOO_MUCH), Sample("bridge/core/a.py", "async " + TOO_MUCH)),
        (Sample("bridge/core/a.py", TOO_MUCH.removesuffix("    x = 1\n")),),
    ),
    Rule(
        "files say what they are",
        introduced,
        (
            Sample("bridge/core/a.py", "x = 1\n"),
            Sample("bridge/core/a.py", "# Not a docstring.\nx = 1\n"),
            Sample("bridge/core/a.py", '"""things"""\nx = 1\n'),
            Sample("bridge/apis/__init__.py", "x = 1\n"),
        ),
        (
            Sample("bridge/core/a.py", '"""How long to wait."""\nx = 1\n'),
            Sample("bridge/core/a.py", '"""\nThe breaker of one target.\n\nMore.\n"""\n'),
            Sample("bridge/core/__init__.py", ""),
        ),
    ),
    Rule(
        "names use our words",
        own_words,
        (
            Sample("bridge/core/a.py", "class QueueManager: ..."),
            Sample("bridge/core/a.py", "def on_message(): ..."),
            Sample("bridge/core/a.py", "def f(messages): ..."),
            Sample("bridge/core/a.py", "class A:\n    def f(self):\n        self.http_handler = 1"),
            Sample("bridge/core/a.py", "import x as util"),
            Sample("bridge/core/json_utils.py", ""),
            Sample("bridge/core/a.py", "for HTTPService in x: ..."),
        ),
        (
            Sample("bridge/core/a.py", "def f(delivery): return delivery.message_id, x.Message(), contextmanager"),
            Sample("bridge/core/a.py", "message_id = 1\nprocessed = 2\nhandle = 3"),
        ),
    ),
    Rule(
        "nothing is left for later",
        nothing_later,
        (
            _line("# TO", "DO: more"),
            _line("x = 1  # FIX", "ME"),
            _line("raise NotImplemented", "Error"),
            _line("@pytest.mark.sk", "ipif(True)\ndef f(): ..."),
            _line("@pytest.mark.x", "fail\ndef f(): ..."),
            _line("pytest.sk", "ip('no broker')"),
            _line("x = 1  # type: ", "ignore"),
            _line("x = 1  # no", "qa"),
        ),
        (
            _line("x = 1  # type: ", "ignore[arg-type]  the stub lacks it"),
            _line("x = 1  # no", "qa: S311  jitter"),
            _line("skip = 1\n"),
        ),
        everywhere=True,
    ),
)
