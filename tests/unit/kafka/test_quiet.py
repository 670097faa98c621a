"""What the client logs reaches our log thinned out, and what it tells of requests does not."""

from __future__ import annotations

import logging

import pytest

from bridge.kafka.quiet import CLIENT, EVERY, Relay, quiet


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(line: int, text: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.conn", level, "conn.py", line, "Unable: %s", (text,), None)


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, object, object]]:
    return [(each.message, each.__dict__["reason"], each.__dict__["unsaid"]) for each in caplog.records]


def test_each_place_speaks_once_a_minute_and_says_how_often_it_was_not_heard(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    relay = Relay(clock)
    for number in range(1000):
        relay.handle(record(1, str(number)))
    relay.handle(record(2, "other"))
    clock.now += EVERY
    relay.handle(record(1, "again"))
    assert said(caplog) == [
        ("kafka_client_warned", "Unable: 0", 0),
        ("kafka_client_warned", "Unable: other", 0),
        ("kafka_client_warned", "Unable: again", 999),
    ]


def test_the_client_speaks_through_one_relay_only_and_never_of_requests(caplog: pytest.LogCaptureFixture) -> None:
    quiet()
    quiet()
    client = logging.getLogger(CLIENT)
    assert sum(isinstance(handler, Relay) for handler in client.handlers) == 1
    logging.getLogger(f"{CLIENT}.conn").info("Authenticated as canary")
    logging.getLogger(f"{CLIENT}.conn").debug("Request: canary")
    assert "canary" not in caplog.text
    assert not client.propagate
