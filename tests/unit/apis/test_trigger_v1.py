from __future__ import annotations

from typing import Any

import pytest

from bridge.model import Accepted, Misconfigured
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, sent

V1 = api("trigger", version="v1")


def test_the_request_is_what_the_v1_server_reads() -> None:
    request = V1.encode([event()], SECRETS, NOW)
    assert (request.method, request.url) == ("POST", "http://api.test/api/v1/events")
    assert request.headers == {"content-type": "application/json", "authorization": "Bearer tr_dev_1234567890"}
    assert request.body == b'{"id":"e1","event":{"name":"user.created","payload":{"a":1}}}'


def test_times_are_absolute_and_end_with_z() -> None:
    delayed = event(ts=NOW, due_at=NOW + 30_000)
    assert sent(V1, delayed)["event"] == {
        "name": "user.created",
        "payload": {"a": 1},
        "timestamp": "2026-11-21T00:00:00.000Z",
        "delay": {"until": "2026-11-21T00:00:30.000Z"},
    }


def test_a_retry_after_the_due_time_is_the_same_request() -> None:
    delayed = event(due_at=NOW + 30_000)
    assert V1.encode([delayed], SECRETS, NOW) == V1.encode([delayed], SECRETS, NOW + 60_000)


def test_a_null_payload_is_sent_since_the_server_requires_the_field() -> None:
    assert sent(V1, event(data=None))["event"] == {"name": "user.created", "payload": None}


@pytest.mark.parametrize(
    ("fields", "context"),
    [
        ({"context": {"a": 1}}, {"a": 1}),
        ({"context": "plain"}, "plain"),
        ({"user": {"id": 7}, "v": "2"}, {"user": {"id": 7}, "v": "2"}),
        ({"user": {"id": 7}, "context": {"user": "own"}}, {"user": "own"}),
        ({"v": "2", "context": [1]}, [1]),
    ],
)
def test_user_and_version_ride_in_the_context(fields: dict[str, Any], context: object) -> None:
    assert sent(V1, event(**fields))["event"]["context"] == context


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"status": 200}, "A"),
        (200, {"status": 405, "body": "Method Not Allowed"}, "M"),
        (200, {"status": 401}, "M"),
        (200, b"", "M"),
        (200, "<html>welcome</html>", "M"),
        (200, [], "M"),
        (200, {"status": "200"}, "M"),
        (201, {"status": 200}, "M"),
        (204, b"", "M"),
        (303, b"", "M"),
        (400, {"error": "bad"}, "J"),
        (401, {"error": "Invalid or Missing API key"}, "M"),
        (404, "Not Found", "M"),
        (405, {}, "M"),
        (408, b"", "R"),
        (413, b"", "J"),
        (422, {"error": "Code: invalid_string ~ Path: event.delay.until ~ Message: Invalid datetime"}, "J"),
        (429, b"", "P"),
        (500, "Unexpected Server Error", "R"),
        (503, b"", "R"),
    ],
)
def test_every_answer_of_the_v1_server(status: int, body: object, kind: str) -> None:
    assert kinds(V1.decode(answer(status, body), [event()], NOW)) == kind


def test_a_v2_server_is_recognised_before_it_drops_more_ids() -> None:
    body = {"id": "01M7", "name": "user.created", "payload": {}, "deliverAt": "2026-11-21T00:00:00.000Z"}
    (outcome,) = V1.decode(answer(200, body), [event()], NOW)
    assert outcome == Misconfigured("HTTP 200 from a v2 server, which drops the id and delay of v1 (set version: v2)")


def test_success_has_no_ref_since_the_server_gives_none() -> None:
    assert V1.decode(answer(200, {"status": 200}), [event()], NOW) == [Accepted()]


def test_times_that_no_date_can_hold_are_refused_by_name() -> None:
    assert V1.refuse(event(ts=10**17)) == f"ts {10**17} is outside the years 1000 to 9999"
    assert V1.refuse(event(due_at=10**17)) == f"due_at {10**17} is outside the years 1000 to 9999"
    assert V1.refuse(event(ts=NOW, due_at=0)) is None


def test_it_holds_delays_and_remembers_ids() -> None:
    assert V1.dedups_by_id
    assert V1.batch_limit == 1
    assert V1.max_delay_ms == 365 * 86_400_000
    assert api("trigger", version="v1", native_delay=0).max_delay_ms == 0
