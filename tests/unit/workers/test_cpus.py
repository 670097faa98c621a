"""How many workers `auto` is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bridge.workers.cpus import usable, workers_of

MANY = set(range(16))


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 16 CPUs, whose process is in the group /pods/bridge."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: MANY)
    (tmp_path / "tree" / "pods" / "bridge").mkdir(parents=True)
    (tmp_path / "own").write_text("1:cpu:/other\n0::/pods/bridge\n")
    return tmp_path


def count(place: Path) -> int:
    return usable(tree=place / "tree", own=place / "own")


def test_without_limits_it_is_what_the_scheduler_allows(limited: Path) -> None:
    assert count(limited) == 16
    (limited / "tree/pods/bridge/cpu.max").write_text("max 100000\n")
    assert count(limited) == 16


@pytest.mark.parametrize(("limit", "cpus"), [("400000 100000", 4), ("250000 100000", 2), ("50000 100000", 1)])
def test_the_group_may_have_less(limited: Path, limit: str, cpus: int) -> None:
    (limited / "tree/pods/bridge/cpu.max").write_text(f"{limit}\n")
    assert count(limited) == cpus


def test_a_limit_of_a_group_above_binds_too(limited: Path) -> None:
    (limited / "tree/pods/bridge/cpu.max").write_text("800000 100000\n")
    (limited / "tree/pods/cpu.max").write_text("300000 100000\n")
    assert count(limited) == 3


def test_what_cannot_be_read_is_no_limit(limited: Path) -> None:
    (limited / "tree/pods/bridge/cpu.max").write_text("nonsense")
    assert count(limited) == 16
    assert usable(tree=limited / "nowhere", own=limited / "nothing") == 16


def test_the_scheduler_may_allow_less_than_the_group(limited: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3})
    (limited / "tree/pods/bridge/cpu.max").write_text("400000 100000\n")
    assert count(limited) == 1


def test_a_number_is_taken_at_its_word() -> None:
    assert workers_of(7) == 7
    assert 1 <= workers_of("auto") <= 128
