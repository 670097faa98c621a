"""
Kafka's programs for a machine without a Docker engine: a Java, and the jars that Maven brings.

Maven reads its own settings for where to fetch from. It takes half a minute to a minute, once a version, for 45 MB.
"""

from __future__ import annotations

import os
import re
import shutil
from functools import cache
from pathlib import Path

from devtools import debian
from devtools.processes import CommandError, MissingError, run
from devtools.scratch import locked

RELEASES = {"3.9": "3.9.1", "4.1": "4.1.0"}
"""What is run as each version."""

OLDEST_JAVA = 17
"""What the brokers of Kafka 4 need (kafka.apache.org/41/getting-started/compatibility)."""

JAVA_PACKAGES = ("default-jre-headless", "openjdk-17-jre-headless")
"""Debian's, the first of which is too old in some releases."""

FETCH_LIMIT = 900.0
"""Seconds for Maven, on a slow line."""

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

# Kafka leaves the choice of a logging library to the distribution that it is packed into.
PROJECT = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>bridge</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


def jars(version: str) -> Path:
    """
    Return the folder with the jars of one of RELEASES, and put it there if needed, with what it takes to run them.

    Raises MissingError where that takes a root user or a Debian that we do not have, CommandError where Maven fails.
    """
    java()
    folder = _folder_of(version)
    with locked(debian.CACHE / "maven.lock"):  # two Mavens would disturb each other in their common repository
        if not folder.exists():
            _fetch(RELEASES[version], folder)
    return folder


def at_hand(version: str) -> bool:
    """Whether `jars` has nothing to fetch for this version."""
    return _find_java() is not None and _folder_of(version).exists()


@cache
def java() -> str:
    """Return the program of a Java that is new enough, installed if need be. Raises MissingError."""
    found = _find_java()
    for package in JAVA_PACKAGES:
        if found is None:
            _install(package, f"A Java runtime of version {OLDEST_JAVA} or newer")
            found = _find_java()
    if found is None:
        raise MissingError(f"Kafka needs Java {OLDEST_JAVA} or newer; set JAVA_HOME to one, or put it on the PATH")
    return found


def _find_java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    named = [f"{home}/bin/java"] if home else []
    machines = sorted(str(path) for path in Path("/usr/lib/jvm").glob("*/bin/java"))
    return next((program for program in [*named, "java", *machines] if java_version(program) >= OLDEST_JAVA), None)


def java_version(program: str) -> int:
    """Return the first number of a Java's version, 0 where there is none or one older than 9."""
    try:
        said = run([program, "--version"])
    except (CommandError, OSError):
        return 0
    number = re.match(r"\S+ (\d+)", said)
    return int(number[1]) if number else 0


def _folder_of(version: str) -> Path:
    return debian.CACHE / f"kafka-{RELEASES[version]}"


def _fetch(release: str, folder: Path) -> None:
    if not shutil.which("mvn"):
        _install("maven", "Maven (mvn)")
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    project = unfinished / "pom.xml"
    project.write_text(PROJECT.format(release))
    quiet = ["mvn", "-q", "-B", "-f", str(project)]
    run([*quiet, COPY, f"-DoutputDirectory={unfinished}", "-DincludeScope=runtime"], timeout=FETCH_LIMIT)
    unfinished.rename(folder)


def _install(package: str, what: str) -> None:
    """Install a Debian package. Raises MissingError, naming what it is for, where that cannot be."""
    hint = (
        f"{what} is not at hand, which Kafka needs. Install it (on Debian and Ubuntu: apt-get install {package}), "
        'start a Docker engine, or leave Kafka out with: ./dev test -m "not kafka"'
    )
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise MissingError(hint)
    try:
        debian.install(package)
    except CommandError as error:
        raise MissingError(f"{hint}\n{error}") from error
