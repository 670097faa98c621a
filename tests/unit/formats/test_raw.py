from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridge.errors import PoisonError
from bridge.formats.raw import RawSettings
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, delivery, read, refusal


@pytest.mark.parametrize("body", [{"a": [1]}, [1, 2], "text", 5, None, False])
def test_the_whole_body_is_the_data(body: object) -> None:
    event = read(body, "raw", {"x-event-name": "a.b"}, message_id="m")
    assert event == Envelope(id="m", name="a.b", data=body)  # type: ignore[arg-type]


def test_the_header_comes_before_the_routing_key() -> None:
    assert read({}, "raw", {"x-event-name": b"from.header"}, routing_key="from.key").name == "from.header"
    assert read({}, "raw", routing_key="from.key").name == "from.key"
    assert read({}, "raw", {"x-event-name": ""}, routing_key="from.key").name == "from.key"


def test_header_and_fallbacks_are_settings() -> None:
    settings = RawSettings(type="raw", header="type", routing_key=False, name="some.thing")
    raw = settings.build(max_event_bytes=99, max_depth=9, missing_id="derive")
    names = [raw.decode(delivery({}, headers, routing_key="a.b"), NOW) for headers in ({"type": "x.y"}, {})]
    assert [event.name for (event,) in names if isinstance(event, Envelope)] == ["x.y", "some.thing"]


def test_delay_and_id_come_from_the_headers() -> None:
    event = read({}, "raw", {"x-event-name": "a.b", "x-delay": "250", "x-deduplication-header": "d1"})
    assert (event.id, event.due_at) == ("d1", NOW + 250)


@pytest.mark.parametrize(
    ("body", "headers", "routing_key", "reason"),
    [
        (b"{}", {}, "", "headers.x-event-name is missing, and nothing else gives the event a name"),
        (b"{}", {"x-event-name": "a\x01"}, "k", "headers.x-event-name must not contain control characters"),
        (b"{}", {"x-event-name": "n" * 513}, "k", "headers.x-event-name has 513 characters, more than 512"),
        (b"{}", {"x-event-name": {}}, "k", "headers.x-event-name must be text, not an object"),
        (b"{}", {}, "k\n", "routing_key must not contain control characters"),
        (b"", {}, "k", "body is empty"),
        (b"text", {}, "k", "body is not valid JSON"),
        (b'[{"a":1,"a":1}]', {}, "k", "[0].a is given twice"),
    ],
)
def test_bad_deliveries(body: bytes, headers: dict[str, object], routing_key: str, reason: str) -> None:
    assert refusal(body, "raw", headers, routing_key=routing_key).startswith(reason)


def test_a_limit_on_depth_holds() -> None:
    with pytest.raises(PoisonError, match="deeper than 2 levels"):
        RawSettings(type="raw").build(max_event_bytes=99, max_depth=2, missing_id="derive").decode(
            delivery([[[]]], routing_key="k"), NOW
        )


@pytest.mark.parametrize("wrong", [{"header": ""}, {"header": "a b"}, {"header": "ü"}, {"name": ""}, {"name": "a\n"}])
def test_wrong_settings_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        RawSettings(type="raw", **wrong)
