"""`sendevent`, `zopio` and `inngest`: one flat object each."""

from __future__ import annotations

import json

import pytest

from bridge.errors import PoisonError
from bridge.formats import FormatName
from bridge.model import Envelope
from tests.unit.formats.reading import NOW, read, read_all, refusal

AT = "2026-01-31T09:00:00Z"
AT_MS = 1_769_850_000_000


@pytest.mark.parametrize("format_name", ["auto", "sendevent"])
def test_sendevent_as_its_guide_sends_it(format_name: FormatName) -> None:
    body = {"name": "reminder.send", "payload": {"userId": "123"}, "delay": {"hours": 24}}
    expected = Envelope(id="m", name="reminder.send", data={"userId": "123"}, due_at=NOW + 86_400_000)
    assert read(body, format_name, message_id="m") == expected


def test_sendevent_with_everything() -> None:
    body = {"id": "1", "name": "a.b", "payload": None, "context": [1], "timestamp": AT, "delay": "PT5M"}
    expected = Envelope(id="1", name="a.b", context=[1], ts=AT_MS, due_at=NOW + 300_000)
    assert read(body) == expected


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"name": "a.b"}, "payload is missing"),
        ({"payload": {}}, "name is missing"),
        ({"name": "a.b", "payload": {}, "id": 5}, "id must be a string, not a number"),
        ({"name": "a.b", "payload": {}, "delay": {"minutes": "5"}}, "delay.minutes must be a number, not a string"),
    ],
)
def test_bad_sendevents(body: object, reason: str) -> None:
    assert refusal(body, "sendevent") == reason


@pytest.mark.parametrize("format_name", ["auto", "zopio"])
def test_zopio_as_its_guide_sends_it(format_name: FormatName) -> None:
    body = {"event": "test.event", "payload": {"message": "This is a test event"}}
    expected = Envelope(id="m", name="test.event", data={"message": "This is a test event"})
    assert read(body, format_name, message_id="m") == expected


def test_zopio_without_payload_and_with_our_additions() -> None:
    assert read({"event": "a.b", "id": "1", "delay": 5}) == Envelope(id="1", name="a.b", due_at=NOW + 5000)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"payload": {}}, "event is missing"),
        ({"event": None}, "event is missing"),
        ({"event": ""}, "event is empty"),
        ({"event": {}}, "event must be a string, not an object"),
        ({"event": "a.b", "id": []}, "id must be a string, not an array"),
    ],
)
def test_bad_zopio_bodies(body: object, reason: str) -> None:
    assert refusal(body, "zopio") == reason


@pytest.mark.parametrize("format_name", ["auto", "inngest"])
def test_inngest_as_its_guide_sends_it(format_name: FormatName) -> None:
    body = {
        "id": "cart-checkout-completed-ed12c8bde",
        "name": "storefront/cart.checkout.completed",
        "data": {"cartId": "ed12c8bde"},
        "user": {"external_id": "6463da8211cdbbcb191dd7da"},
        "ts": 1684274328198,
        "v": "2024-05-15.1",
    }
    assert read(body, format_name) == Envelope(**body)  # type: ignore[arg-type]


def test_a_sent_event_needs_only_its_name() -> None:
    assert read({"name": "onboarding.start"}, message_id="m") == Envelope(id="m", name="onboarding.start")


@pytest.mark.parametrize("name", ["n" * 512, "\u00ad" * 512, "grün 🙂", " "])
def test_names_may_have_512_characters_of_any_script(name: str) -> None:
    assert read({"name": name}).name == name


@pytest.mark.parametrize(
    ("more", "ts", "due_at"),
    [
        ({"ts": NOW + 10_000}, NOW + 10_000, NOW + 10_000),  # a future ts is a delay
        ({"ts": NOW}, NOW, None),
        ({"ts": 0}, None, None),
        ({"ts": None}, None, None),
        ({"delay": {"seconds": 5}}, None, NOW + 5000),
        ({"delay": {"seconds": 5}, "ts": NOW + 10}, NOW + 10, NOW + 5000),  # a publisher's clock may run ahead
        ({"delay": {"seconds": 5}, "ts": NOW + 9000}, NOW + 9000, NOW + 9000),
    ],
)
def test_inngest_times(more: dict[str, object], ts: int | None, due_at: int | None) -> None:
    event = read({"name": "a.b", "data": {}, **more})
    assert (event.ts, event.due_at) == (ts, due_at)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"name": None}, "name is missing"),
        ({"name": ""}, "name is empty"),
        ({"name": 5}, "name must be a string, not a number"),
        ({"name": "n" * 513}, "name has 513 characters, more than 512"),
        ({"name": "\u00ad" * 513}, "name has 513 characters, more than 512"),
        ({"data": "text"}, "data must be an object, not a string"),
        ({"data": [1]}, "data must be an object, not an array"),
        ({"user": "u1"}, "user must be an object, not a string"),
        ({"id": 5}, "id must be a string, not a number"),
        ({"v": 1}, "v must be a string, not a number"),
        ({"ts": 1684274328}, "ts must be epoch milliseconds: this looks like seconds, multiply by 1000"),
        ({"ts": -1}, "ts must be epoch milliseconds, not negative"),
        ({"ts": 1684274328198.5}, "ts must be an integer of epoch milliseconds, not a number with a fraction"),
        ({"ts": "1684274328198"}, "ts must be an integer of epoch milliseconds, not a string"),
        ({"ts": True}, "ts must be an integer of epoch milliseconds, not a boolean"),
        ({"ts": False}, "ts must be an integer of epoch milliseconds, not a boolean"),
        ({"ts": 10**20}, "ts is too far ahead"),
    ],
)
def test_bad_inngest_events(more: dict[str, object], reason: str) -> None:
    assert refusal({"name": "a.b", "data": {}, **more}, "inngest").startswith(reason)


def test_a_poison_event_in_an_array_of_100_stands_alone() -> None:
    bodies: list[dict[str, object]] = [{"name": "a.b", "id": str(n), "data": {"n": n}} for n in range(100)]
    bodies[57] = {"name": "", "data": {"n": 57}}
    events = read_all(bodies, "inngest")
    (bad,) = (event for event in events if isinstance(event, PoisonError))
    assert events.index(bad) == 57
    assert str(bad) == "[57].name is empty"
    assert bad.element == json.dumps(bodies[57]).encode()
    assert [event.id for event in events if isinstance(event, Envelope)] == [str(n) for n in range(100) if n != 57]


def test_an_element_with_repeated_keys_keeps_its_exact_bytes() -> None:
    first, second, third = read_all(b'[{"name":"a.b"}, {"name": "a", "name": "b"} , 5]', "inngest")
    assert isinstance(first, Envelope)
    assert isinstance(second, PoisonError)
    assert isinstance(third, PoisonError)
    assert (str(second), second.element) == ("[1].name is given twice", b'{"name": "a", "name": "b"}')
    assert (str(third), third.element) == ("[2] must be an object, not a number", b"5")
    assert second.__traceback__ is third.__traceback__ is None
