"""
The layers of the settings, and how they lie on top of each other.

A layer is a list of what was written, where. Mappings are merged, anything else is replaced by the upper layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.settings.places import Place
from bridge.settings.yamlfile import Document, Trail


class Written(NamedTuple):
    """One value and where it was written."""

    trail: tuple[str, ...]
    value: object
    where: str  # "bridge.yaml:12", "BRIDGE_SOURCE__URL", "--set source.url"


@dataclass(slots=True)
class Stack:
    """All layers as one tree, which remembers where each value comes from."""

    tree: dict[str, object] = field(default_factory=dict)
    origins: dict[Trail, str] = field(default_factory=dict)

    def lay(self, layer: Iterable[Written], root: Place) -> None:
        """Put a layer on top of what is there."""
        layer = [written._replace(trail=self._aligned(written.trail)) for written in layer]
        here = {written.trail for written in layer}
        for trail, value, where in layer:
            tree, place = self.tree, root
            for depth, name in enumerate(trail[:-1], 1):
                place = place.below(name) or Place()
                tree = _branch(tree, name, place)
                self.origins.setdefault(trail[:depth], where)
            self._merge(tree, trail, value, where, place.below(trail[-1]) or Place())
            twin = _twin(trail)
            if twin not in here and twin[-1] in place.fields and tree.pop(twin[-1], None) is not None:
                self._forget(twin)

    def _aligned(self, trail: tuple[str, ...]) -> tuple[str, ...]:
        """Find the route `eu-orders` of a lower layer where a variable could only say `eu_orders`."""
        routes = self.tree.get("routes")
        if len(trail) < 2 or trail[0] != "routes" or not isinstance(routes, dict) or trail[1] in routes:  # noqa: PLR2004
            return trail
        same = (name for name in routes if name.replace("-", "_") == trail[1])
        return ("routes", next(same, trail[1]), *trail[2:])

    def _merge(self, tree: dict[str, object], trail: Trail, value: object, where: str, place: Place) -> None:
        name = str(trail[-1])
        if value is None and place.fields:
            value = {}  # `limits:` with nothing, or only comments, below it
        if not isinstance(value, Mapping):
            self._forget(trail)
            tree[name], self.origins[trail] = value, where
            return
        self.origins.setdefault(trail, where)
        branch = _branch(tree, name, place)
        for key, below in value.items():
            self._merge(branch, (*trail, key), below, where, place.below(key) or Place())

    def _forget(self, trail: Trail) -> None:
        """Drop the origins of what is being replaced."""
        for old in [old for old in self.origins if old[: len(trail)] == trail]:
            del self.origins[old]

    def value(self, trail: Trail) -> object:
        """Find what was written at this place; None where nothing was."""
        found: object = self.tree
        for step in trail:
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found

    def where(self, trail: Trail) -> str:
        """Find where this, or else the closest thing around it, was written; "" when nowhere."""
        for length in range(len(trail), 0, -1):
            if origin := self.origins.get(trail[:length]):
                return origin
        return ""


def _branch(tree: dict[str, object], name: str, place: Place) -> dict[str, object]:
    """Get the mapping under `name`. A plain `format: auto` below becomes {"type": "auto"}, so that more can join it."""
    old = tree.get(name)
    if isinstance(old, dict):
        return old
    new: dict[str, object] = {"type": old} if isinstance(old, str) and "type" in place.fields else {}
    tree[name] = new
    return new


def _twin(trail: tuple[str, ...]) -> tuple[str, ...]:
    """Pair `key` and `key_file`: whichever an upper layer sets replaces both of the lower ones."""
    name = trail[-1]
    return (*trail[:-1], name.removesuffix("_file") if name.endswith("_file") else f"{name}_file")


def from_document(document: Document, name: str) -> Iterator[Written]:
    """Give all that a file says, each with its line; lists are one value."""

    def written(tree: Mapping[str, object], trail: tuple[str, ...]) -> Iterator[Written]:
        for key, value in tree.items():
            path = (*trail, key)
            branch = isinstance(value, Mapping)
            yield Written(path, {} if branch else value, f"{name}:{document.lines[path]}")
            if isinstance(value, Mapping):
                yield from written(value, path)

    return written(document.tree, ())
