"""What is passed on as it came is what would have been written, but for the order of the fields."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Receiver

from bridge.errors import PoisonError
from bridge.formats import FormatName, build_format
from bridge.formats.strictjson import dumps
from bridge.model import Accepted, Delivery, Envelope, JsonValue
from bridge.ports import Api
from tests.fakes.hostile import HostileServer, plain
from tests.unit.apis.samples import NOW, api
from tests.unit.formats.test_strictjson import json_values
from tests.unit.targets.rig import send, target_at

KEY = f"whsec_{b64encode(bytes(32)).decode()}"
SECRETS = {"key": ("k",), "auth": ("a",), "signing": (KEY,)}
APIS: dict[str, Api] = {
    "trigger v1": api("trigger", version="v1"),
    "trigger v2": api("trigger", version="v2", max_batch=10),
    "trigger tasks": api("trigger", version="tasks", payload="event", max_batch=10),
    "inngest": api("inngest"),
    "inngest, renamed": api("inngest", id_with_name=True),
    "zopio": api("zopio"),
    "webhook": api("webhook"),
    "webhook data": api("webhook", body="{{data}}"),
    "webhook own": api("webhook", body={"x": "{{data?}}"}, headers={"x-name": "{{name}}"}),
    "cloudevents binary": api("cloudevents", mode="binary"),
    "cloudevents structured": api("cloudevents", mode="structured"),
    "cloudevents batch": api("cloudevents", mode="batch"),
}
FORMATS: tuple[FormatName, ...] = ("trigger", "zopio", "inngest", "cloudevents", "raw", "auto")

labels = st.sampled_from(["e1", "user.created", 'q"\\/', "ü\u2028", "\U0001f600"]) | st.text(min_size=1, max_size=9)
times = st.sampled_from([NOW, NOW - 1, NOW + 1, NOW + 60_000, NOW + 0.5, "2026-11-20T00:00:00Z"])
data = st.dictionaries(st.sampled_from(["a", "id", "ID", "data", ""]), json_values, max_size=3)
inngest = st.fixed_dictionaries(
    {"name": labels, "data": data},
    optional={"id": labels, "ts": times, "user": data, "v": labels, "delay": st.just(5), "Id": labels},
)
inner = st.fixed_dictionaries(
    {"name": labels, "payload": json_values},
    optional={"id": labels, "context": json_values, "timestamp": times, "source": labels},
)
trigger = st.fixed_dictionaries(
    {"event": inner}, optional={"id": labels, "options": st.sampled_from([{}, {"accountId": "a"}, None])}
)
zopio = st.fixed_dictionaries({"event": labels, "payload": json_values}, optional={"id": labels, "timestamp": times})
cloudevents = st.fixed_dictionaries(
    {"specversion": st.just("1.0"), "id": labels, "source": labels, "type": labels, "data": json_values},
    optional={
        "datacontenttype": st.sampled_from(["application/json", "text/plain", "a/b+json", "application/json; x=1"]),
        "time": times,
        "subject": labels,
        "comexampleextension": labels | st.integers(0, 9),
        "traceparent": labels,
    },
)
objects: Any = inngest | trigger | zopio | cloudevents
SHAPES: dict[FormatName, Any] = {
    "inngest": inngest,
    "trigger": trigger,
    "zopio": zopio,
    "cloudevents": cloudevents,
    "raw": objects | json_values,
    "auto": objects,
}
AKIN: tuple[tuple[FormatName, str], ...] = (
    ("inngest", "inngest"),
    ("inngest", "webhook"),
    ("trigger", "trigger v1"),
    ("trigger", "trigger v2"),
    ("zopio", "zopio"),
    ("cloudevents", "cloudevents structured"),
    ("raw", "webhook data"),
)
pairs = st.sampled_from(AKIN) | st.tuples(st.sampled_from(FORMATS), st.sampled_from(sorted(APIS)))
stamps = st.sampled_from([None, None, NOW / 1000 - 5])


@given(pairs, st.data(), stamps, st.integers(-2, 2))
def test_what_is_passed_on_says_what_would_have_been_written(
    pair: tuple[FormatName, str], drawn: st.DataObject, stamp: float | None, later: int
) -> None:
    shape, name = pair
    value = drawn.draw(SHAPES[shape])
    dialect = APIS[name]
    for event in events_of(dumps(value), shape, stamp):
        if dialect.refuse(event) is None:
            passed, written = (dialect.encode([one], SECRETS, NOW + later) for one in (event, replace(event)))
            assert passed.body == written.body or meaning(passed.body) == meaning(written.body)
            assert len(passed.body) == len(written.body)  # so the limits on sizes mean the same
            assert (passed.url, passed.method) == (written.url, written.method)
            assert passed.headers == written.headers


@given(st.lists(objects, min_size=1, max_size=4), st.sampled_from(["inngest", "cloudevents batch", "trigger v2"]))
def test_a_batch_may_hold_both(values: list[JsonValue], name: str) -> None:
    dialect = APIS[name]
    events = [event for value in values for event in events_of(dumps(value), "auto", None)]
    events = [event for event in events if dialect.refuse(event) is None]
    if events:
        passed = dialect.encode(events, SECRETS, NOW)
        written = dialect.encode([replace(event) for event in events], SECRETS, NOW)
        assert meaning(passed.body) == meaning(written.body)


def meaning(body: bytes) -> str:
    """What a body says, whatever the order of its fields; 1, 1.0 and true are three things."""
    return json.dumps(json.loads(body), sort_keys=True)


def events_of(body: bytes, shape: FormatName, stamp: float | None) -> list[Envelope]:
    delivery = Delivery(body=body, routing_key="a.b", timestamp=stamp)
    try:
        decoded = build_format(shape).decode(delivery, NOW)
    except PoisonError:
        return []
    return [event for event in decoded if isinstance(event, Envelope)]


BODIES: list[tuple[FormatName, str, JsonValue]] = [
    ("trigger", "trigger v1", {"id": "e", "event": {"payload": {"a": 1}, "name": "a.b", "context": {"x": 1}}}),
    ("trigger", "trigger v2", {"options": {}, "event": {"payload": [1], "id": "e", "name": "a.b"}}),
    ("zopio", "zopio", {"payload": 1, "event": "a.b"}),
    ("inngest", "webhook", {"data": {"b": "ü"}, "id": "e", "name": "a.b", "ts": NOW}),
    ("raw", "webhook data", [{"z": 1, "a": 2}]),
    (
        "cloudevents",
        "cloudevents structured",
        {
            "type": "a.b",
            "data": {},
            "datacontenttype": "application/json",
            "specversion": "1.0",
            "id": "e",
            "source": "/",
        },
    ),
]


@pytest.mark.parametrize(("shape", "name", "value"), BODIES, ids=[name for _, name, _ in BODIES])
def test_the_bytes_of_a_publisher_go_out_as_they_came(shape: FormatName, name: str, value: JsonValue) -> None:
    body = orjson.dumps(value)  # in an order that is not ours
    (event,) = events_of(body, shape, None)
    assert APIS[name].encode([event], SECRETS, NOW).body is event.raw
    assert event.raw == body


@pytest.mark.parametrize("name", ["inngest", "cloudevents batch"])
def test_arrays_are_made_of_the_bytes_of_their_events(name: str) -> None:
    shape: FormatName = "inngest" if name == "inngest" else "cloudevents"
    one = BODIES[3][2] if name == "inngest" else BODIES[5][2]
    bodies = [orjson.dumps(one), orjson.dumps(one).replace(b'"e"', b'"f"')]
    events = [event for body in bodies for event in events_of(body, shape, None)]
    assert APIS[name].encode(events, SECRETS, NOW).body == b"[%b,%b]" % tuple(bodies)


def test_a_time_that_has_become_the_future_again_is_written_anew() -> None:
    (event,) = events_of(orjson.dumps(BODIES[3][2]), "inngest", None)
    (item,) = orjson.loads(APIS["inngest"].encode([event], SECRETS, NOW - 1).body)
    assert item["ts"] == NOW - 1


@pytest.mark.parametrize("name", sorted(set(APIS) - {"cloudevents binary", "webhook own"}))
def test_requests_share_their_headers_until_the_secrets_change(name: str) -> None:
    dialect, event = APIS[name], Envelope("e", "a.b", {})
    first, second = (dialect.encode([event], SECRETS, NOW) for _ in range(2))
    assert first.headers is second.headers
    rotated = dialect.encode([event], {"key": ("new",), "auth": ("new",), "signing": (KEY,)}, NOW)
    assert ("new" in str(rotated.headers)) == ("authorization" in first.headers)


async def test_a_signature_is_of_the_bytes_that_arrive() -> None:
    body = b'{"z":"\xc3\xbc","a":[1.5,true]}'
    (event,) = events_of(body, "raw", None)
    signed: dict[str, Any] = {"body": "{{data}}", "signing": {"secret": KEY}}
    async with HostileServer(plain()) as server, target_at(server.url, **signed) as target:
        assert await send(target, [event]) == [Accepted()]
    (request,) = server.requests
    assert request.body == body
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60
    assert Receiver(KEY).verify(request.body, dict(request.headers)) == orjson.loads(body)


PLAIN: list[JsonValue] = [
    *(value for _, _, value in BODIES),
    {"event": {"name": "a.b", "payload": 1}},
    {"event": {"name": "a.b", "payload": 1}, "options": {}},
    {"event": {"id": "e", "name": "a.b", "payload": 1}},
    {"id": "e", "event": {"name": "a.b", "payload": 1}, "options": {}},
    {"id": "e", "event": {"name": "a.b", "payload": 1, "timestamp": NOW}},
    {"id": "e", "event": "a.b", "payload": 1},
    {"name": "a.b", "data": {}},
]


@pytest.mark.parametrize("name", sorted(APIS))
def test_no_api_takes_the_bytes_of_another_shape(name: str) -> None:
    dialect = APIS[name]
    for value in PLAIN:
        for shape in FORMATS:
            for event in events_of(orjson.dumps(value), shape, None):
                if dialect.refuse(event) is None:
                    passed, written = (dialect.encode([one], SECRETS, NOW).body for one in (event, replace(event)))
                    assert meaning(passed) == meaning(written)
