"""How a record becomes a line."""

import json
import logging
import os
from collections.abc import Iterator

import pytest

from bridge.errors import Unavailable
from bridge.telemetry.lines import ROUTE, HumanLines, JsonLines, describe
from bridge.telemetry.redaction import redact


def record(
    message: str, /, name: str = "bridge.test", severity: int = logging.INFO, **extra: object
) -> logging.LogRecord:
    made = logging.LogRecord(name, severity, __file__, 1, message, (), None)
    made.created, made.msecs = 1_700_000_000.123, 123.0
    vars(made).update(extra)
    return made


def as_json(made: logging.LogRecord) -> dict[str, object]:
    line = JsonLines().format(made)
    assert "\n" not in line
    said: dict[str, object] = json.loads(line)
    return said


@pytest.fixture
def in_orders() -> Iterator[None]:
    token = ROUTE.set("orders")
    yield
    ROUTE.reset(token)


def test_json_has_the_moment_the_level_the_event_and_the_details_in_this_order() -> None:
    line = JsonLines().format(record("source_connected", queue="orders", count=3, ok=True, nothing=None))
    assert line == (
        '{"ts":"2023-11-14T22:13:20.123Z","level":"info","event":"source_connected",'
        '"queue":"orders","count":3,"ok":true,"nothing":null}'
    )


@pytest.mark.usefixtures("in_orders")
def test_the_route_at_work_is_in_every_line() -> None:
    assert as_json(record("batch_sent"))["route"] == "orders"
    assert as_json(record("batch_sent", route="other"))["route"] == "other"


def test_a_library_speaks_in_a_field_of_its_own() -> None:
    said = as_json(record("Cannot connect to amqp://u:p@h", name="aiormq.connection"))
    assert said["event"] == "library"
    assert said["logger"] == "aiormq.connection"
    assert said["message"] == "Cannot connect to amqp://***@h"


def test_details_cannot_forge_what_every_line_has() -> None:
    said = as_json(record("e", ts="x", level="y", event="z", error="plain text"))
    assert said["level"] == "info"
    assert (said["ts_"], said["level_"], said["event_"], said["error_"]) == ("x", "y", "z", "plain text")


def test_strange_values_do_not_stop_a_line() -> None:
    said = as_json(record("e", big=1 << 70, lone="\ud800", what={1: {2, 3}}, nan=float("nan"), thing=object))
    assert str(1 << 70) in str(said["big"])
    assert "ud800" in str(said["lone"])


def test_endless_text_is_cut() -> None:
    said = as_json(record("e", reason="x" * 100_000))
    assert len(str(said["reason"])) < 3_000
    assert "(100000 characters)" in str(said["reason"])


def test_secrets_are_masked_at_any_depth() -> None:
    redact.hide(["canary-5ecret"])
    made = record("e", a="canary-5ecret", b=["canary-5ecret"], c={"canary-5ecret": "canary-5ecret"})
    made.exc_info = (ValueError, ValueError("canary-5ecret"), None)
    assert "5ecret" not in json.dumps(as_json(made)["a"])
    for line in (JsonLines().format(made), HumanLines(colour=True).format(made)):
        assert "5ecret" not in line


def raised() -> BaseException:
    with pytest.raises(Unavailable) as caught:
        fail()
    return caught.value


def fail() -> None:
    try:
        os.close(-1)
    except OSError as error:
        raise Unavailable("no broker") from error


def test_an_exception_is_one_line_with_its_causes_and_its_way() -> None:
    error = raised()
    said = as_json(record("fault", exc_info=(type(error), error, error.__traceback__)))
    assert said["error"] == "Unavailable: no broker <- OSError: [Errno 9] Bad file descriptor"
    assert str(said["trace"]).startswith("test_lines.py:")
    assert str(said["trace"]).endswith("fail")


def test_a_group_names_what_is_in_it() -> None:
    group = ExceptionGroup("two", [ValueError("a"), TypeError("b")])
    assert describe(group) == "ExceptionGroup: two (2 sub-exceptions) <- ValueError: a; TypeError: b"


def test_people_get_aligned_text() -> None:
    line = HumanLines(colour=False).format(record("source_connected", severity=logging.WARNING, queue="my orders", n=3))
    assert line[8:] == '.123 WARNING source_connected             queue="my orders" n=3'


def test_no_line_can_move_the_cursor_or_forge_another_line() -> None:
    line = HumanLines(colour=False).format(record("e", reason="x\n12:00:00 INFO forged\x1b[2J"))
    assert "\n" not in line
    assert "\x1b" not in line


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b[31mERROR" in HumanLines(colour=True).format(record("e", severity=logging.ERROR))
    assert "\x1b" not in HumanLines(colour=False).format(record("e", severity=logging.ERROR))


def test_a_worker_signs_its_lines() -> None:
    said = json.loads(JsonLines(worker=2).format(record("started", routes="a")))
    assert list(said) == ["ts", "level", "event", "worker", "routes"]
    assert said["worker"] == 2
    assert "worker=2" in HumanLines(colour=False, worker=2).format(record("started"))
    assert "worker" not in as_json(record("started"))
