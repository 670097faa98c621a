"""The papers point at things that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge import __version__
from tests.unit.markdown import ROOT, Paper, paper, papers, ticked

GUIDE = ("formats", "targets", "dedup", "rabbitmq", "devserver", "configuration", "promise", "operations")
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
PAGE = 60  # lines of a decision


def _is_there(origin: Paper, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (origin.path.parent / target).resolve() if target else origin.path
    if not path.exists():
        return False
    return not anchor or anchor in Paper(path, path.read_text("utf-8")).anchors


@pytest.mark.parametrize("one", papers(), ids=lambda one: one.name)
def test_links_lead_somewhere(one: Paper) -> None:
    local = [link for link in one.links if not re.match(r"https?://|mailto:", link)]
    assert [link for link in local if not _is_there(one, link)] == []


def test_a_dead_link_is_found_out(tmp_path: Path) -> None:
    text = "# Head line\n[a](#head-line) [b](#gone) [c](gone.md) [d](here.md)\n"
    (tmp_path / "here.md").write_text(text)
    here = Paper(tmp_path / "here.md", text)
    assert [link for link in here.links if not _is_there(here, link)] == ["#gone", "gone.md"]


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_files_that_are_named_are_there(name: str) -> None:
    named = [token for token in ticked(paper(name).prose) if re.fullmatch(r"[\w./-]+(\.py|\.toml|\.md|/)", token)]
    assert len(named) > 5
    places = (ROOT, ROOT / "bridge", ROOT / "tests" / "contract")
    assert [token for token in named if not any((place / token).exists() for place in places)] == []


def test_the_architecture_has_a_place_for_every_part() -> None:
    parts = {path.stem for path in (ROOT / "bridge").iterdir() if path.suffix == ".py" or path.is_dir()}
    rows = paper("ARCHITECTURE.md").table("layer")
    told = {token.rstrip("/").removesuffix(".py") for row in rows for token in ticked(row[1])}
    assert parts - {"__init__", "__pycache__", "py"} == told


def test_the_guide_has_every_page() -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert set(GUIDE) <= pages
    assert {f"{page}.md" for page in pages - {"index"}} <= set(paper("docs/index.md").links)


def test_decisions_are_numbered_listed_and_a_page_long() -> None:
    decisions = sorted(path for path in (ROOT / "docs" / "adr").glob("0*.md"))
    assert [path.name[:4] for path in decisions] == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    assert [path.name for path in decisions] == paper("docs/adr/README.md").links
    for path in decisions:
        text = path.read_text("utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Price"], path.name
        assert text.startswith(f"# {path.name[:4]}. "), path.name
        assert text.count("\n") <= PAGE, path.name


def test_the_changelog_knows_this_version() -> None:
    text = paper("CHANGELOG.md").text
    assert re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)[:2] == ["Unreleased", __version__]
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= set(SECTIONS)


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
