from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.apis.encoding import dumps
from bridge.formats import build_format
from bridge.model import Delivery, Envelope
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, sent

BINARY, STRUCTURED, BATCH = (api("cloudevents", mode=mode) for mode in ("binary", "structured", "batch"))


def test_binary_mode_has_attributes_as_headers_and_the_data_as_body() -> None:
    request = BINARY.encode([event("ü 1", ts=NOW)], SECRETS, NOW)
    assert (request.method, request.url) == ("POST", "http://api.test")
    assert request.headers == {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "%C3%BC%201",
        "ce-source": "/event-bridge",
        "ce-type": "user.created",
        "ce-time": "2026-11-21T00:00:00.000Z",
    }
    assert request.body == b'{"a":1}'


def test_structured_mode_is_one_json_body() -> None:
    request = STRUCTURED.encode([event()], SECRETS, NOW)
    assert request.headers == {"content-type": "application/cloudevents+json"}
    assert orjson.loads(request.body) == {
        "specversion": "1.0",
        "id": "e1",
        "source": "/event-bridge",
        "type": "user.created",
        "datacontenttype": "application/json",
        "data": {"a": 1},
    }


def test_batch_mode_is_an_array() -> None:
    request = BATCH.encode([event("a"), event("b")], SECRETS, NOW)
    assert request.headers == {"content-type": "application/cloudevents-batch+json"}
    assert [item["id"] for item in sent(BATCH, event("a"), event("b"))] == ["a", "b"]
    assert (BATCH.batch_limit, BINARY.batch_limit, STRUCTURED.batch_limit) == (100, 1, 1)


def test_an_event_without_data_has_no_body_and_no_content_type() -> None:
    request = BINARY.encode([event(data=None)], SECRETS, NOW)
    assert request.body == b""
    assert "content-type" not in request.headers
    assert not {"data", "datacontenttype"} & sent(STRUCTURED, event(data=None)).keys()


CAME = [
    {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order.paid", "data": {"n": 1.5}},
    {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order.paid"},
    {
        "specversion": "1.0", "id": "ü", "source": "https://shop.test/a b", "type": "order.paid", "subject": "50% off",
        "time": "2026-11-21T00:00:00.123456789Z", "count": 7, "urgent": True, "dataschema": "urn:x",
        "datacontenttype": "application/vnd.x+json", "data": [1, None],
    },
    {
        "specversion": "1.0", "id": "7", "source": "/shop", "type": "t",
        "datacontenttype": "text/plain; charset=utf-8", "data": "Grüße",
    },
    {
        "specversion": "1.0", "id": "7", "source": "/shop", "type": "t",
        "datacontenttype": "application/octet-stream", "data_base64": "AP8Q",
    },
    {
        "specversion": "1.0", "id": "7", "source": "/shop", "type": "t",
        "datacontenttype": "application/xml", "data": '<much wow="xml"/>',
    },
]  # fmt: skip


def decoded(delivery: Delivery) -> Envelope:
    (envelope,) = build_format("cloudevents").decode(delivery, NOW)
    assert isinstance(envelope, Envelope)
    return envelope


@pytest.mark.parametrize("came", CAME)
def test_a_cloudevent_goes_on_as_it_came(came: dict[str, Any]) -> None:
    envelope = decoded(Delivery(body=dumps(came), content_type="application/cloudevents+json"))
    went = sent(STRUCTURED, envelope)
    assert went == came | ({"datacontenttype": "application/json"} if went.keys() - came.keys() else {})


@pytest.mark.parametrize("came", CAME)
def test_binary_mode_says_the_same_as_structured_mode(came: dict[str, Any]) -> None:
    envelope = decoded(Delivery(body=dumps(came), content_type="application/cloudevents+json"))
    request = BINARY.encode([envelope], SECRETS, NOW)
    expected = {
        "count": b"7", "urgent": b"true", "subject": b"50%25%20off", "id": b"%C3%BC",
        "time": b"2026-11-21T00:00:00.123456789Z", "source": b"https://shop.test/a%20b",
    }  # fmt: skip
    for name in came.keys() & expected.keys() if came["id"] == "ü" else ():
        assert request.headers[f"ce-{name}"].encode() == expected[name]
    assert request.headers.get("content-type") == (
        came.get("datacontenttype") or ("data" in came and "application/json") or None
    )
    assert (
        request.body
        == [b'{"n":1.5}', b"", b"[1,null]", "Grüße".encode(), b"\x00\xff\x10", b'<much wow="xml"/>'][CAME.index(came)]
    )


def test_the_context_of_other_shapes_is_no_attribute() -> None:
    went = sent(STRUCTURED, event(context={"subject": "x", "time": "noon", "datacontenttype": "text/plain"}))
    assert not {"subject", "time"} & went.keys()
    assert went["datacontenttype"] == "application/json"


def test_the_source_of_events_without_one_is_a_setting() -> None:
    assert sent(api("cloudevents", mode="structured", source="urn:x"), event())["source"] == "urn:x"


def test_a_content_type_cannot_break_its_header() -> None:
    context: Any = {"datacontenttype": "text/plain\r\nx: y"}
    request = BINARY.encode([event(data="t", source="/s", context=context)], SECRETS, NOW)
    assert request.headers["content-type"] == "application/octet-stream"


def test_auth_is_sent() -> None:
    authed = api("cloudevents", auth={"type": "header", "name": "X-Key", "value": "x"})
    assert authed.encode([event()], SECRETS, NOW).headers["x-key"] == "s3cret-token"


@pytest.mark.parametrize(
    ("status", "one", "two"),
    [(200, "A", "AA"), (202, "A", "AA"), (204, "A", "AA"), (207, "M", "MM"), (302, "M", "MM"), (400, "J", "??"),
     (401, "M", "MM"), (404, "M", "MM"), (413, "J", "??"), (429, "P", "PP"), (503, "R", "RR")],
)  # fmt: skip
def test_every_answer(status: int, one: str, two: str) -> None:
    assert kinds(BINARY.decode(answer(status), [event()], NOW)) == one
    assert kinds(BATCH.decode(answer(status), [event("a"), event("b")], NOW)) == two


def test_times_that_no_date_can_hold_are_refused() -> None:
    assert BINARY.refuse(event(ts=10**17)) == f"ts {10**17} is outside the years 1000 to 9999"
    assert BINARY.refuse(event(ts=NOW)) is None
