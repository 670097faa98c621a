from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest

from bridge.errors import PoisonError
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, read, read_all, refusal

ORDER: dict[str, object] = {
    "specversion": "1.0",
    "id": "A234",
    "source": "/orders",
    "type": "com.example.order.created",
    "time": "2026-01-31T09:00:00.25Z",
    "subject": "order/7",
    "datacontenttype": "application/json",
    "tenant": "t1",
    "data": {"order": 7},
}
PARSED = Envelope(
    id="A234",
    name="com.example.order.created",
    source="/orders",
    ts=1_769_850_000_250,
    data={"order": 7},
    context={
        "time": "2026-01-31T09:00:00.25Z",
        "subject": "order/7",
        "datacontenttype": "application/json",
        "tenant": "t1",
    },
)
SMALL: dict[str, object] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "a.b"}
STRUCTURED = "application/cloudevents+json; charset=UTF-8"
BATCH = "application/cloudevents-batch+json"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("content_type", [None, "application/json", STRUCTURED])
def test_structured_events_are_known_by_content_type_or_key(content_type: str | None) -> None:
    assert read(ORDER, content_type=content_type) == PARSED
    assert read(ORDER, "cloudevents", content_type=content_type) == PARSED


def test_the_content_type_may_stand_in_a_header() -> None:
    assert read(ORDER, headers={"content-type": STRUCTURED.encode()}) == PARSED


@pytest.mark.parametrize("prefix", ["ce-", "ce_", "cloudEvents:", "cloudEvents_", "CE-"])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_binary_events_are_read_in_every_spelling_of_the_headers(prefix: str, as_bytes: bool) -> None:
    attributes = {f"{prefix}{name}": str(ORDER[name]) for name in ORDER if name not in ("data", "datacontenttype")}
    headers = {name: text.encode() if as_bytes else text for name, text in attributes.items()}
    assert read(ORDER["data"], headers=headers, content_type="application/json") == PARSED


def test_a_batch_is_an_array_of_events() -> None:
    events = read_all([ORDER, {**SMALL, "id": ""}, ORDER], content_type=BATCH)
    assert events[0] == events[2] == PARSED
    assert isinstance(events[1], PoisonError)
    assert str(events[1]) == "[1].id is empty"
    assert json.loads(events[1].element or b"") == [{**SMALL, "id": ""}]  # still a batch, as its content type says


def headers_of(attributes: dict[str, object]) -> dict[str, object]:
    return {f"ce-{name}": value for name, value in attributes.items()}


@pytest.mark.parametrize(
    ("media", "body", "data", "marked"),
    [
        ("application/json", b'{"a":1}', {"a": 1}, False),
        ("application/vnd.example+json; v=1", b"[1]", [1], False),
        ("text/plain", "grün".encode(), "grün", False),
        ("application/xml", b"<a/>", base64.b64encode(b"<a/>").decode(), True),
        ("application/octet-stream", b"\x00\xff", "AP8=", True),
        (None, b"true", True, False),
        ("application/octet-stream", b"", None, False),
    ],
)
def test_binary_data_of_each_media_type(media: str | None, body: bytes, data: object, marked: bool) -> None:
    event = read(body, headers=headers_of(SMALL), content_type=media)
    assert event.data == data
    context = event.context or {}
    assert isinstance(context, dict)
    assert context.get("data_base64", False) is marked
    assert context.get("datacontenttype") == media


def test_the_media_type_of_binary_data_may_stand_in_an_attribute() -> None:
    assert read(b"hello", headers=headers_of({**SMALL, "datacontenttype": "text/plain"})).data == "hello"


def test_typed_header_values_are_text() -> None:
    typed = {**SMALL, "id": 17, "time": datetime(2026, 1, 31, 9, tzinfo=UTC), "flag": True, "none": None}
    event = read(b"", headers=headers_of(typed))
    assert (event.id, event.ts) == ("17", 1_769_850_000_000)
    assert event.context == {"time": "2026-01-31T09:00:00+00:00", "flag": "true"}


def test_a_time_as_amqp_1_0_clients_send_it_is_epoch_ms() -> None:
    timed: dict[str, object] = {**SMALL, "time": 1_769_850_000_250}
    event = read(b"", headers={f"cloudEvents:{name}": value for name, value in timed.items()})
    assert event.ts == 1_769_850_000_250
    assert event.context == {"time": "2026-01-31T09:00:00.250000+00:00"}


@pytest.mark.parametrize(
    ("media", "encoded", "data", "marked"),
    [
        ("application/json", b'{"a":1}', {"a": 1}, None),
        ("text/plain", b"hello", "hello", None),
        ("image/png", b"\x89PNG", base64.b64encode(b"\x89PNG").decode(), True),
    ],
)
def test_base64_data_is_read_by_its_media_type(media: str, encoded: bytes, data: object, marked: bool | None) -> None:
    body = {**SMALL, "datacontenttype": media, "data_base64": base64.b64encode(encoded).decode()}
    event = read(body)
    assert event.data == data
    assert isinstance(event.context, dict)
    assert event.context.get("data_base64") is marked


def test_base64_without_a_media_type_stays_base64() -> None:
    event = read({**SMALL, "data_base64": "AP8="})
    assert (event.data, event.context) == ("AP8=", {"data_base64": True})


def test_the_tracing_extension_counts_where_no_header_says_otherwise() -> None:
    traced = {**SMALL, "traceparent": PARENT, "tracestate": "a=1"}
    assert read(traced).trace == {"traceparent": PARENT, "tracestate": "a=1"}
    other = PARENT.replace("4bf9", "aaaa")
    assert read(traced, headers={"traceparent": other}).trace == {"traceparent": other}


def test_a_delay_header_holds_for_a_cloudevent_too() -> None:
    assert read(SMALL, headers={"x-delay": 5000}).due_at == NOW + 5000


def test_an_extension_may_be_called_like_the_key_of_another_shape() -> None:
    assert read({**SMALL, "name": "x", "event": "y"}).context == {"name": "x", "event": "y"}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"specversion": "0.3"}, 'specversion must be "1.0"'),
        ({"specversion": 1.0}, 'specversion must be "1.0"'),
        ({"id": None}, "id is missing"),
        ({"id": 7}, "id must be a string, not a number"),
        ({"source": ""}, "source is empty"),
        ({"source": None}, "source is missing"),
        ({"type": None}, "type is missing"),
        ({"time": "2026-01-31"}, "time needs a time of day and a time zone"),
        ({"time": 5}, "time must be a string, not a number"),
        ({"data": 1, "data_base64": "AA=="}, "data_base64 cannot be combined with data"),
        ({"data_base64": "%"}, "data_base64 is not valid base64"),
        ({"data_base64": "ü"}, "data_base64 is not valid base64"),
        ({"data_base64": 5}, "data_base64 must be a string, not a number"),
        ({"data_base64": "ew==", "datacontenttype": "text/json"}, "data_base64 is not valid JSON at line 1, column 2"),
        (
            {"data_base64": base64.b64encode(b'{"a":{"b":1,"b":2}}').decode(), "datacontenttype": "application/json"},
            "data_base64.a.b is given twice",
        ),
        ({"data_base64": "/w==", "datacontenttype": "text/plain"}, "data_base64 is not valid UTF-8"),
        ({"myExt": "x"}, "myExt is no attribute: names have lower-case letters and digits only"),
        ({"ext": {}}, "ext must be a string, a boolean or an integer, not an object"),
        ({"ext": 1.5}, "ext must be a string, a boolean or an integer, not a number"),
        ({"ext": "a\n"}, "ext must not contain control characters"),
    ],
)
def test_bad_structured_events(more: dict[str, object], reason: str) -> None:
    assert refusal({**SMALL, **more}).startswith(reason)


@pytest.mark.parametrize(
    ("body", "headers", "content_type", "reason"),
    [
        (b"<a/>", {}, "application/cloudevents+xml", "content_type must be application/cloudevents+json or"),
        (SMALL, {}, BATCH, "body must be an array, as its content type is application/cloudevents-batch+json"),
        ([], {}, BATCH, "body is an empty array"),
        ({"id": "1"}, {}, STRUCTURED, "specversion is missing"),
        (b"{}", {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "a"}, None, "cloudevent.id is missing"),
        (b"{}", {**headers_of(SMALL), "ce-a-b": "x"}, None, "cloudevent.a-b is no attribute"),
        (b"{}", {**headers_of(SMALL), "ce_id": "2"}, None, "headers.ce_id is given twice, with different values"),
        (b"{}", {**headers_of(SMALL), "ce-x": b"\xff"}, None, "headers.ce-x is not valid UTF-8"),
        (
            b"{}",
            {**headers_of(SMALL), "ce-time": 1_769_850_000},
            None,
            "headers.ce-time must be epoch milliseconds: this",
        ),
        (b"{}", {**headers_of(SMALL), "ce-time": True}, None, "cloudevent.time must be an ISO 8601 time"),
        (b"{}", {**headers_of(SMALL), "ce-x": [1]}, None, "headers.ce-x must be text, not an array"),
        (b"\xff", headers_of(SMALL), "text/plain", "body is not valid UTF-8"),
        (b"{", headers_of(SMALL), "application/json", "body is not valid JSON at line 1, column 2"),
        (b'{"a":1,"a":2}', headers_of(SMALL), None, "body.a is given twice"),
    ],
)
def test_bad_deliveries(body: object, headers: dict[str, object], content_type: str | None, reason: str) -> None:
    assert refusal(body, headers=headers, content_type=content_type).startswith(reason)


def test_equal_values_under_two_spellings_are_no_contradiction() -> None:
    assert read(b"", headers={**headers_of(SMALL), "ce_id": "1"}).id == "1"
