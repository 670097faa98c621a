"""
Write what the chart carries of other parts of the tree: `python -m devtools.chart`.

The settings' schema becomes that of the value `config`; alerts and dashboards are copied, since a chart cannot hold
anything outside of its own folder; the README's table is made from values.yaml, where every value has a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHART = Path("deploy/helm/event-bridge")
COPIES = (("deploy/prometheus", "*.rules.yml", "files/rules"), ("deploy/grafana", "*.json", "files/dashboards"))
"""A folder, which of its files, and where they are in the chart."""

MARK = "<!-- What follows is written by `python -m devtools.chart`. -->"


@dataclass(frozen=True)
class Value:
    """A line of values.yaml with a comment `# --` above it."""

    path: str
    default: str
    description: str


def files(root: Path = ROOT) -> dict[Path, str]:
    """Give all that is written, by its path."""
    chart = root / CHART
    made = {
        chart / "values.schema.json": values_schema(root),
        chart / "README.md": _readme(chart),
    }
    for folder, pattern, into in COPIES:
        for path in sorted((root / folder).glob(pattern)):
            made[chart / into / path.name] = path.read_text()
    return made


def values_schema(root: Path = ROOT) -> str:
    """Give the schema of the values: the base, with the schema of the settings below `config`."""
    base = json.loads((root / "deploy/helm/values.schema.base.json").read_text())
    settings = json.loads((root / "config/schema.json").read_text())
    definitions = settings.pop("$defs")
    del settings["$schema"]
    base["$defs"] = _plainer({"Settings": settings, **definitions})
    return json.dumps(base, indent=1) + "\n"


def _plainer(node: Any) -> Any:
    """Tell variants by their type first, so that an error speaks of the variant that was meant; drop the prose."""
    if isinstance(node, list):
        return [_plainer(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "discriminator" in node:
        return _by_type(node["discriminator"])
    prose = ("description", "title", "default", "writeOnly", "format")
    return {name: _plainer(item) for name, item in node.items() if name not in prose or isinstance(item, dict)}


def _by_type(discriminator: dict[str, Any]) -> dict[str, Any]:
    kinds = discriminator["mapping"]
    cases = [
        {"if": {"required": ["type"], "properties": {"type": {"const": kind}}}, "then": {"$ref": target}}
        for kind, target in kinds.items()
    ]
    return {"type": "object", "properties": {"type": {"enum": list(kinds)}}, "allOf": cases}


def values(chart: Path = ROOT / CHART) -> list[Value]:
    """Read values.yaml with its comments, in its order."""
    text = (chart / "values.yaml").read_text()
    return list(_documented(text.splitlines(), yaml.safe_load(text)))


def _documented(lines: list[str], tree: dict[str, Any]) -> Iterator[Value]:
    trail: list[tuple[int, str]] = []
    comment = ""
    for line in lines:
        if said := re.match(r"\s*# (-- )?(.+)", line):
            comment = said[2] if said[1] else f"{comment} {said[2]}" if comment else ""
        elif key := re.match(r"(\s*)([\w]+):", line):
            trail = [(depth, name) for depth, name in trail if depth < len(key[1])] + [(len(key[1]), key[2])]
            if comment:
                names = [name for _, name in trail]
                yield Value(".".join(names), json.dumps(_at(tree, names)), comment)
            comment = ""


def _at(tree: Any, names: list[str]) -> Any:
    for name in names:
        tree = tree[name]
    return tree


def _readme(chart: Path) -> str:
    prose = (chart / "README.md").read_text().partition(MARK)[0]
    rows = "".join(f"| `{value.path}` | `{value.default}` | {value.description} |\n" for value in values(chart))
    return f"{prose}{MARK}\n\n| value | default | |\n|---|---|---|\n{rows}"


def write(root: Path = ROOT) -> None:
    """Write all of them, and take away copies of what is gone."""
    made = files(root)
    for _, pattern, into in COPIES:
        for path in (root / CHART / into).glob(pattern):
            if path not in made:
                path.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write()
