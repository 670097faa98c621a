from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bridge.errors import PoisonError
from bridge.formats import build_format
from bridge.formats.headers import content_type, folded, header_text, media_type
from bridge.model import Delivery, Envelope
from tests.unit.formats.reading import NOW, delivery, read, read_all, refusal

BARE = {"name": "user.created", "data": {}}
IN_5_MIN = {**BARE, "delay": {"minutes": 5}}


@pytest.mark.parametrize("value", [5000, "5000", b"5000", 5000.0])
def test_the_delay_header_counts_in_milliseconds(value: object) -> None:
    assert read(BARE, headers={"x-delay": value}).due_at == NOW + 5000


def test_a_delay_in_the_body_wins_over_the_header() -> None:
    assert read(IN_5_MIN, headers={"x-delay": 5000}).due_at == NOW + 300_000


def test_the_negated_delay_header_of_the_plugin_means_now() -> None:
    assert read(BARE, headers={"x-delay": -5000}).due_at == NOW


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("5s", "must be a whole number of milliseconds"),
        (b"\xff", "is not valid UTF-8"),
        ([5], "must be a number, not an array"),
        (math.nan, "must be a finite number"),
    ],
)
def test_a_bad_delay_header_is_refused(value: object, problem: str) -> None:
    assert refusal(BARE, headers={"x-delay": value}) == f"headers.x-delay {problem}"


@pytest.mark.parametrize(
    ("body", "headers", "message_id", "position", "expected"),
    [
        ({**BARE, "id": "body"}, {"x-deduplication-header": "header"}, "property", "t/3/42", "body"),
        (BARE, {"x-deduplication-header": "header"}, "property", "t/3/42", "header"),
        (BARE, {"x-deduplication-header": b"header"}, "property", "t/3/42", "header"),
        (BARE, {"x-deduplication-header": 17}, "property", "t/3/42", "17"),
        (BARE, {}, "property", "t/3/42", "property"),
        (BARE, {"x-deduplication-header": ""}, "property", "t/3/42", "property"),
        (BARE, {}, None, "t/3/42", "t/3/42"),
    ],
)
def test_the_nearest_id_wins(
    body: object, headers: dict[str, object], message_id: str | None, position: str | None, expected: str
) -> None:
    assert read(body, headers=headers, message_id=message_id, position=position).id == expected


def test_without_any_id_it_is_made_of_name_and_body() -> None:
    first, again = read(BARE), read(BARE)
    assert first.id == again.id
    assert len(first.id) == 32
    assert read({**BARE, "data": {"n": 1}}).id != first.id
    one, other = (read(b"{}", headers={"x-event-name": name}).id for name in ("user.created", "user.deleted"))
    assert one != other


def test_elements_of_an_array_get_ids_of_their_own() -> None:
    events = read_all([BARE, {**BARE, "id": "own"}, BARE], message_id="m")
    assert [event.id for event in events if isinstance(event, Envelope)] == ["m/0", "own", "m/2"]


@pytest.mark.parametrize(
    ("headers", "message_id", "reason"),
    [
        ({"x-deduplication-header": "a\x00"}, None, "headers.x-deduplication-header must not contain control"),
        ({"x-deduplication-header": "x" * 513}, None, "headers.x-deduplication-header has 513 characters, more than"),
        ({"x-deduplication-header": {}}, None, "headers.x-deduplication-header must be text, not an object"),
        ({}, "a\nb", "message_id must not contain control characters (U+000A at 1)"),
        ({}, "\udcff", "message_id must not contain control characters (U+DCFF at 0)"),
    ],
)
def test_a_bad_id_from_the_broker_is_refused(headers: dict[str, object], message_id: str | None, reason: str) -> None:
    assert refusal(BARE, headers=headers, message_id=message_id).startswith(reason)


def test_ids_are_not_derived_where_that_is_forbidden() -> None:
    strict = build_format("auto", missing_id="reject")
    with pytest.raises(PoisonError, match=r"^id is missing, and so are the header .* and the property message_id$"):
        strict.decode(delivery(BARE, position="t/0/1"), NOW)
    assert strict.decode(delivery(BARE, message_id="m"), NOW)


def due_of(now: int, more: dict[str, object]) -> int | None:
    (event,) = build_format("auto").decode(delivery(IN_5_MIN, None, **more), now)
    assert isinstance(event, Envelope)
    return event.due_at


WAIT = 300_000
HOUR = 3_600_000
PUBLISHED = NOW / 1000  # epoch seconds


@pytest.mark.parametrize(
    ("more", "base"),
    [
        ({}, NOW + HOUR),
        ({"timestamp": PUBLISHED}, NOW + HOUR),  # at first sight `now` is surer than a publisher's stamp
        ({"redelivered": True}, NOW + HOUR),
        ({"timestamp": PUBLISHED, "redelivered": True}, NOW + 1000),  # AMQP cuts to whole seconds: never early
        ({"timestamp": PUBLISHED + 7200, "redelivered": True}, NOW + HOUR),
        ({"timestamp": PUBLISHED, "position": "t/0/1"}, NOW + 1),  # cut to milliseconds: never early
        ({"timestamp": PUBLISHED + 0.123, "position": "t/0/1"}, NOW + 124),
        ({"timestamp": PUBLISHED + 7200, "position": "t/0/1"}, NOW + HOUR),
        ({"timestamp": 0.0, "position": "t/0/1"}, NOW + HOUR),  # no sensible stamp
        ({"timestamp": math.nan, "position": "t/0/1"}, NOW + HOUR),
        ({"timestamp": 1e300, "redelivered": True}, NOW + HOUR),
    ],
)
def test_a_relative_delay_counts_from_when_the_event_was_published(more: dict[str, object], base: int) -> None:
    assert due_of(NOW + HOUR, more) == base + WAIT


@pytest.mark.parametrize(
    ("body", "stamp", "ts"),
    [
        (BARE, PUBLISHED - 60, NOW - 60_000),
        ({**BARE, "ts": NOW - 5}, PUBLISHED - 60, NOW - 5),
        (BARE, PUBLISHED + 60, NOW),  # a stamp ahead of us must not become a delay
        (BARE, None, None),
        (BARE, 0.0, None),
    ],
)
def test_the_brokers_stamp_is_the_time_of_an_event_that_has_none(
    body: object, stamp: float | None, ts: int | None
) -> None:
    assert read(body, timestamp=stamp).ts == ts


PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("parent", "state", "trace"),
    [
        (PARENT, None, {"traceparent": PARENT}),
        (PARENT.encode(), b"a=1", {"traceparent": PARENT, "tracestate": "a=1"}),
        ("01" + PARENT[2:] + "-more", "a=1,b=2", {"traceparent": "01" + PARENT[2:] + "-more", "tracestate": "a=1,b=2"}),
        ("01" + PARENT[2:] + "-" * 201, None, {"traceparent": "01" + PARENT[2:] + "-" * 201}),
        ("01" + PARENT[2:] + "-" * 202, None, {}),
        (PARENT, "a=1\nb: 2", {"traceparent": PARENT}),
        (PARENT, 5, {"traceparent": PARENT}),
        (PARENT.upper(), "a=1", {}),
        (PARENT + "-more", "a=1", {}),
        (PARENT + "\n", "a=1", {}),
        ("ff" + PARENT[2:], None, {}),
        ("00-" + "0" * 32 + PARENT[35:], None, {}),
        (PARENT[:36] + "0" * 16 + "-01", None, {}),
        (b"\xff", None, {}),
        (5, None, {}),
        (None, "a=1", {}),
    ],
)
def test_a_valid_trace_context_is_passed_on_and_a_bad_one_dropped(
    parent: object, state: object, trace: dict[str, str]
) -> None:
    assert read(BARE, headers={"traceparent": parent, "tracestate": state}).trace == trace


def test_a_body_over_the_limit_is_refused_before_it_is_parsed() -> None:
    small = build_format("auto", max_event_bytes=12)
    assert small.decode(Delivery(body=b'{"name":"a"}'), NOW)
    with pytest.raises(PoisonError, match=r"^body has 13 bytes, more than max_event_bytes \(12\)$"):
        small.decode(Delivery(body=b"not json, but"), NOW)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ü", "ü"),
        ("ü".encode(), "ü"),
        (True, "true"),
        (False, "false"),
        (17, "17"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31T09:00:00+00:00"),
        (datetime(2026, 1, 31, 9), "2026-01-31T09:00:00+00:00"),  # noqa: DTZ001  AMQP stamps are UTC, and come naive
    ],
)
def test_header_values_of_any_scalar_type_are_text(value: object, text: str) -> None:
    assert header_text(value, "headers.x") == text


@pytest.mark.parametrize(
    ("said", "headers", "expected"),
    [
        ("Application/JSON; charset=utf-8", {}, "application/json"),
        (None, {"content-type": b"text/plain"}, "text/plain"),
        (None, {"Content_Type": "text/plain"}, "text/plain"),
        ("application/json", {"content-type": "text/plain"}, "application/json"),
        (None, {"other": 1}, ""),
        ("", {}, ""),
    ],
)
def test_the_content_type_is_a_property_or_a_header(
    said: str | None, headers: dict[str, object], expected: str
) -> None:
    assert media_type(content_type(Delivery(body=b"", content_type=said, headers=headers))) == expected


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, {}),
        ({"x-delay": 5, "other": None}, {"x-delay": 5, "other": None}),
        ({"X-Delay": 5, "other": 1}, {"x-delay": 5, "other": 1}),
        ({"X-Delay": 5, "x-delay": 6}, {"x-delay": 6}),
        ({"X-Delay": 5, "X-DELAY": 6}, {"x-delay": 5}),
        ({"x-delay": None, "X-Delay": 5}, {"x-delay": 5}),
    ],
)
def test_header_names_are_found_in_any_case(headers: dict[str, object], found: dict[str, object]) -> None:
    assert folded(headers) == found


def test_each_header_that_means_something_is_found_in_any_case() -> None:
    headers = {"X-Event-Name": "a.b", "X-Deduplication-Header": "e", "X-Delay": "5", "TraceParent": PARENT}
    expected = Envelope(id="e", name="a.b", data={}, due_at=NOW + 5, trace={"traceparent": PARENT})
    assert read({}, headers=headers) == read({}, "raw", headers) == expected
    assert read({}, headers={name.upper(): value for name, value in headers.items()}) == expected
