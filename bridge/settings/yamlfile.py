"""
Read a YAML file with the line of every key, and without the traps of YAML 1.1.

Scalars follow the core schema of YAML 1.2 (section 10.3): `off`, `no` and `12:30` are text, not false, false and 750.
A key that stands twice is an error, not a silent choice.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from bridge.settings.problems import Problem

Trail = tuple[str | int, ...]
"""The way to a value: keys and list positions."""

_MAX_BYTES = 4 << 20
_MAX_VALUES = 100_000  # aliases can multiply: a small file may stand for a huge tree
_TAG = "tag:yaml.org,2002:"


class Document(NamedTuple):
    """What a file says, and on which line (from 1) each of its keys stands."""

    tree: dict[str, object]
    lines: dict[Trail, int]


class _Loader(yaml.SafeLoader):
    """The scanner and parser of PyYAML with the scalars of YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  PyYAML's own way to declare them; filled below


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _tag, re.compile(rf"^(?:{_pattern})$"), _first)


def read(path: Path) -> Document:
    """Read the file. Raises Problem, which never repeats a value of the file."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Problem(str(path), f"cannot be read ({reason})", "Name a file that exists and can be read") from None
    if len(raw) > _MAX_BYTES:
        raise Problem(str(path), "is larger than 4 MiB", "Name a settings file")
    try:
        return parse(raw.decode("utf-8-sig"), path.name)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise Problem(
            path.name, f"is not UTF-8 in line {line}", "Save it as UTF-8", where=f"{path.name}:{line}"
        ) from None


def parse(text: str, name: str) -> Document:
    """Like `read`; `name` stands in the problems."""
    return _Builder(name).document(text)


class _Builder:
    """Turns the node graph into plain values, remembering lines and refusing what is ambiguous."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: dict[Trail, int] = {}
        self._open: set[int] = set()  # nodes being built, to see an alias inside of itself
        self._built = 0

    def document(self, text: str) -> Document:
        """Build the one document of `text`."""
        root = self._compose(text)
        tree = {} if root is None or root.tag == _TAG + "null" else self._value(root, ())
        if not isinstance(tree, dict):
            raise self._problem(root, (), "is not a mapping", "Write it as `name: value` lines")
        # Keys that begin with "x-" are a place for anchors, as in Compose files.
        return Document({key: value for key, value in tree.items() if not key.startswith("x-")}, self._lines)

    def _compose(self, text: str) -> yaml.Node | None:
        try:
            return _Loader(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = f"is not YAML: {error.problem or error.context}"
        except yaml.YAMLError:
            mark, problem = None, "has a character that YAML does not allow"
        except RecursionError:
            mark, problem = None, "is nested too deeply"
        where = f"{self._name}:{mark.line + 1}" if mark else self._name
        raise Problem(self._name, problem, "Correct it", where=where)

    def _value(self, node: yaml.Node, trail: Trail) -> object:
        self._built += 1
        if id(node) in self._open or self._built > _MAX_VALUES:
            raise self._problem(node, trail, "is an alias of what contains it, or of too much", "Write it out")
        self._open.add(id(node))
        try:
            match node:
                case yaml.ScalarNode():
                    return self._scalar(node, trail)
                case yaml.SequenceNode(tag=tag) if tag == _TAG + "seq":
                    return [self._item(item, (*trail, index)) for index, item in enumerate(node.value)]
                case yaml.MappingNode(tag=tag) if tag == _TAG + "map":
                    return self._mapping(node, trail)
            raise self._tag_problem(node, trail)
        finally:
            self._open.discard(id(node))

    def _item(self, node: yaml.Node, trail: Trail) -> object:
        self._lines[trail] = node.start_mark.line + 1
        return self._value(node, trail)

    def _mapping(self, node: yaml.MappingNode, trail: Trail) -> dict[str, object]:
        tree = self._inherited(node, trail)
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                continue
            key, line = self._key(key_node, trail), key_node.start_mark.line + 1
            if key in seen:
                problem = f"stands twice, first in line {seen[key]}"
                raise self._problem(key_node, (*trail, key), problem, "Remove one of the two")
            seen[key] = self._lines[*trail, key] = line
            tree[key] = self._value(value_node, (*trail, key))
        return tree

    def _inherited(self, node: yaml.MappingNode, trail: Trail) -> dict[str, object]:
        """Build what `<<` brings in. Own keys win, then earlier mappings: so the later ones are built first."""
        tree: dict[str, object] = {}
        for _, value in (pair for pair in node.value if pair[0].tag == _TAG + "merge"):
            parents = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for parent in reversed(parents):
                inherited = self._value(parent, trail)
                if not isinstance(inherited, dict):
                    raise self._problem(parent, trail, "merges something that is not a mapping", "Name a mapping")
                tree |= inherited
        return tree

    def _key(self, node: yaml.Node, trail: Trail) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "str":
            return str(node.value)
        raise self._problem(node, trail, "has a name that is not text", "Put the name in quotes")

    def _scalar(self, node: yaml.ScalarNode, trail: Trail) -> object:
        text = node.value
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    return text
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text, 0 if text.startswith(("0o", "0x")) else 10)
                case "float":
                    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            raise self._problem(node, trail, "is not a number that can be read", "Correct it") from None
        raise self._tag_problem(node, trail)

    def _tag_problem(self, node: yaml.Node, trail: Trail) -> Problem:
        return self._problem(node, trail, "has a YAML tag, which settings do not use", "Remove the tag")

    def _problem(self, node: yaml.Node | None, trail: Trail, problem: str, cure: str) -> Problem:
        line = node.start_mark.line + 1 if node else 1
        field = ".".join(map(str, trail)) or self._name
        return Problem(field, problem, cure, where=f"{self._name}:{line}")
