"""Where Kafka's programs come from, what is installed for them, and what is said where that cannot be."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from devtools import debian, kafka_jars
from devtools.processes import CommandError, MissingError


def program(path: Path, script: str) -> str:
    """Write a shell script that is run as a program, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def _no_java_is_known() -> Iterator[None]:
    kafka_jars.java.cache_clear()
    yield
    kafka_jars.java.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maven that copies one jar and writes a line into the returned file each time it is run."""
    runs = tmp_path / "runs"
    copy = 'for word; do case $word in -DoutputDirectory=*) touch "${word#*=}/kafka.jar";; esac; done'
    program(tmp_path / "bin/mvn", f'{copy}; echo "$@" >>{runs}')
    program(tmp_path / "bin/java", "echo openjdk 17.0.15 2025-04-15")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return runs


def test_jars_are_fetched_once_however_many_ask(cache: Path, maven: Path) -> None:
    assert not kafka_jars.at_hand("4.1")
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(kafka_jars.jars, ["4.1"] * 4))
    assert folders == {cache / "kafka-4.1.0"}
    assert len(maven.read_text().splitlines()) == 1
    assert (cache / "kafka-4.1.0/kafka.jar").exists()
    assert "<version>4.1.0</version>" in (cache / "kafka-4.1.0/pom.xml").read_text()
    assert kafka_jars.at_hand("4.1")
    assert not kafka_jars.at_hand("3.9")


def test_what_maven_could_not_finish_counts_for_nothing(cache: Path, maven: Path) -> None:
    maven.mkdir()  # its stand-in then fails to write there
    with pytest.raises(CommandError, match="exit code"):
        kafka_jars.jars("3.9")
    assert not kafka_jars.at_hand("3.9")
    maven.rmdir()
    assert kafka_jars.jars("3.9") == cache / "kafka-3.9.1"


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo openjdk 17.0.15 2025-04-15", 17),
        ("echo java 21.0.2 2024-01-16 LTS", 21),
        ("echo openjdk 25 2025-09-16", 25),
        ("echo 'Unrecognized option: --version' >&2; exit 1", 0),
        ("echo something else", 0),
    ],
)
def test_the_version_of_a_java_is_read(tmp_path: Path, script: str, version: int) -> None:
    assert kafka_jars.java_version(program(tmp_path / "java", script)) == version
    assert kafka_jars.java_version(str(tmp_path / "none")) == 0


def test_a_java_that_is_named_is_taken_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, maven: Path
) -> None:
    named = program(tmp_path / "home/bin/java", "echo openjdk 21 2023-09-19")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert kafka_jars.java() == named
    program(tmp_path / "home/bin/java", "echo openjdk 11 2018-09-25")
    kafka_jars.java.cache_clear()
    assert kafka_jars.java() == "java"
    assert not maven.exists()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that were installed on a machine with neither a Java nor a Maven, by a root user."""
    installed: list[str] = []
    found: dict[str, str] = {"apt-get": "/usr/bin/apt-get"}
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", found.get)
    monkeypatch.setattr(kafka_jars, "java_version", lambda _: 17 if installed[1:] else 0)
    monkeypatch.setattr(debian, "install", lambda *names: installed.extend(names))
    return installed


def test_a_newer_java_is_installed_where_debians_default_is_too_old(bare: list[str]) -> None:
    kafka_jars.java()
    assert bare == ["default-jre-headless", "openjdk-17-jre-headless"]


def test_maven_is_installed_where_jars_are_missing(
    cache: Path, bare: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def maven(command: list[str], *, timeout: float) -> str:
        assert command[0] == "mvn"
        assert "maven" in bare
        assert timeout >= 600
        return ""

    monkeypatch.setattr(kafka_jars, "run", maven)
    assert kafka_jars.jars("4.1") == cache / "kafka-4.1.0"


def test_without_root_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch, bare: list[str]) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(MissingError, match=r"Java .*17.*default-jre-headless.*Docker.*not kafka"):
        kafka_jars.java()
    assert bare == []


def test_a_package_that_cannot_be_installed_is_told_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, bare: list[str]
) -> None:
    def refuse(name: str) -> None:
        raise CommandError(f"no package {name}")

    monkeypatch.setattr(debian, "install", refuse)
    with pytest.raises(MissingError, match=r"(?s)apt-get install.*no package"):
        kafka_jars.java()
    assert bare == []
