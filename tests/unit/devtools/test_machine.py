"""What is put onto the machine ahead of the tests, and what is said where that fails."""

from __future__ import annotations

import pytest

from devtools import browser, containers, debian, kafka, kafka_jars, machine, prometheus, rabbitmq, redis
from devtools.processes import CommandError, MissingError

RABBITMQS = {*rabbitmq.VERSIONS}
KAFKAS = {*kafka.VERSIONS}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions of brokers that were asked for, on a machine without a Docker engine."""
    versions: list[str] = []
    monkeypatch.setattr(containers, "engine_answers", lambda: False)
    monkeypatch.setattr(debian, "rabbitmq_root", versions.append)
    monkeypatch.setattr(kafka_jars, "jars", versions.append)
    monkeypatch.setattr(browser, "chromium", lambda: versions.append("chromium"))
    monkeypatch.setattr(redis, "program", lambda: versions.append("redis"))
    monkeypatch.setattr(prometheus, "programs", lambda: versions.append("prometheus"))
    return versions


EVERY = ("rabbitmq", "kafka", "redis", "chromium", "prometheus")


def prepare(*wanted: str) -> list[str]:
    return machine.prepare(**{name: name in wanted for name in EVERY})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({*EVERY}, {*RABBITMQS, *KAFKAS, "redis", "chromium", "prometheus"}),
        ({"rabbitmq"}, RABBITMQS),
        ({"redis"}, {"redis"}),
        ({"kafka"}, KAFKAS),
        ({"chromium"}, {"chromium"}),
        ({"prometheus"}, {"prometheus"}),
        (set(), set()),
    ],
)
def test_only_what_is_needed_is_installed(asked: list[str], wanted: set[str], expected: set[str]) -> None:
    assert prepare(*wanted) == []
    assert set(asked) == expected


def test_with_a_docker_engine_no_broker_is_installed(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "engine_answers", lambda: True)
    prepare("rabbitmq", "kafka")
    assert asked == []


@pytest.mark.parametrize("error", [MissingError("run as root"), CommandError("apt-get failed")])
def test_what_cannot_be_had_is_said_and_the_rest_is_installed(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse() -> None:
        raise error

    monkeypatch.setattr(browser, "chromium", refuse)
    assert prepare(*EVERY) == [str(error)]
    assert set(asked) == RABBITMQS | KAFKAS | {"redis", "prometheus"}
