"""Which broker the demo takes: the newest that is at hand, else the one that is quickest to get."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from devtools import debian, kafka_jars
from devtools.demo import with_kafka
from devtools.demo.with_rabbitmq import is_quick, quickest_version


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without an engine, without RabbitMQ, on Debian 12, of which we are root."""
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setattr(debian, "CACHE", tmp_path)
    monkeypatch.setattr(debian, "installed_version", lambda _: "")
    monkeypatch.setattr(debian, "release", lambda: "bookworm")
    monkeypatch.setattr("os.getuid", lambda: 0)
    return tmp_path


def unpack(cache: Path, suite: str) -> None:
    (cache / f"{suite}-rabbitmq-server-{platform.machine()}").mkdir()


def test_the_one_that_the_release_carries_is_installed() -> None:
    assert quickest_version() == "3.10"
    assert not is_quick("3.10")


def test_on_another_system_it_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "release", lambda: "noble")
    assert quickest_version() == "4.0"


def test_the_one_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "release", lambda: "trixie")
    monkeypatch.setattr(debian, "installed_version", lambda _: "3.10.8-1")
    assert quickest_version() == "3.10"
    assert is_quick("3.10")
    assert not is_quick("4.0")


def test_a_newer_one_that_lies_unpacked_is_taken(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setattr(debian, "installed_version", lambda _: "3.10.8-1")
    unpack(bare, "trixie")
    assert quickest_version() == "4.0"


def test_nobody_but_root_can_enter_what_lies_unpacked(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    monkeypatch.setattr(debian, "installed_version", lambda _: "3.10.8-1")
    monkeypatch.setattr("os.getuid", lambda: 1000)
    unpack(bare, "trixie")
    assert quickest_version() == "3.10"


@pytest.mark.parametrize(("there", "taken"), [((), "4.1"), (("3.9",), "3.9"), (("3.9", "4.1"), "4.1")])
def test_of_kafka_the_newest_that_is_at_hand_is_taken(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], taken: str
) -> None:
    monkeypatch.setattr(kafka_jars, "at_hand", lambda version: version in there)
    assert with_kafka.quickest_version() == taken
    assert with_kafka.is_quick(taken) is bool(there)
