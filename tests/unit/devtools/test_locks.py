"""The lock files: complete, hashed, agreeing with each other and with pyproject.toml, free of addresses."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
FILES = ("base", "dev", "bench", "deploy", "uv")


@cache
def locked(name: str) -> dict[str, str]:
    """Return the version of each package."""
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9][a-z0-9-]*)==(\S+)", text, flags=re.MULTILINE))


def declared(name: str) -> list[Requirement]:
    """Return what pyproject.toml asks for in this file's name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"]
    if name == "uv":
        return [Requirement(text) for text in groups["install"]]
    base = project["project"]["dependencies"] + [text for extra in extras.values() for text in extra]
    return [Requirement(text) for text in base + groups.get(name, [])]


@pytest.mark.parametrize("name", FILES)
def test_every_direct_dependency_is_locked_to_a_version_that_is_allowed(name: str) -> None:
    for requirement in declared(name):
        version = locked(name)[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is locked to {version}"


@pytest.mark.parametrize("name", FILES)
def test_every_entry_is_one_version_with_hashes(name: str) -> None:
    text = re.sub(r"^ *#.*\n", "", (ROOT / f"requirements/{name}.txt").read_text(), flags=re.MULTILINE)
    entry = r"[a-z0-9][a-z0-9-]*==(?:\d+!)?[\w.]+(?: ; [^\\\n]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    assert re.fullmatch(f"(?:{entry})+", text)


@pytest.mark.parametrize("name", FILES)
def test_no_line_carries_an_address_or_a_path_of_some_machine(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    assert not re.search(r"://| @ |index-url|find-links|(?:^|[ =])/", text, flags=re.MULTILINE)


def test_what_two_files_share_has_one_version() -> None:
    for name in FILES[1:]:
        for package, version in locked("base").items():
            assert locked(name).get(package, version) == version
    assert locked("base").items() <= locked("dev").items()
