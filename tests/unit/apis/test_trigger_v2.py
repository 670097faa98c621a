from __future__ import annotations

import pytest

from bridge.model import Accepted, Misconfigured, Retryable
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, sent

V2 = api("trigger", version="v2", max_batch=100)


def record(id: str) -> dict[str, object]:  # noqa: A002  the server's own word
    return {"id": id, "name": "user.created", "payload": {"a": 1}, "context": {}, "deliveredAt": None}


def test_one_event_goes_to_events() -> None:
    request = V2.encode([event()], SECRETS, NOW)
    assert request.url == "http://api.test/api/v1/events"
    assert request.headers["authorization"] == "Bearer tr_dev_1234567890"
    assert sent(V2, event(ts=NOW, source="shop")) == {
        "event": {
            "id": "shop#e1",
            "name": "user.created",
            "payload": {"a": 1},
            "timestamp": "2026-11-21T00:00:00.000Z",
            "source": "shop",
        },
        "options": {},
    }


def test_several_go_to_bulk() -> None:
    assert V2.encode([event("a"), event("b")], SECRETS, NOW).url == "http://api.test/api/v1/events/bulk"
    body = sent(V2, event("a"), event("b"))
    assert [item["id"] for item in body["events"]] == ["a", "b"]
    assert body["options"] == {}


def test_a_delay_is_absolute_and_never_inside_the_event_where_the_server_drops_it() -> None:
    body = sent(V2, event(due_at=NOW + 1000))
    assert body["options"] == {"deliverAt": "2026-11-21T00:00:01.000Z"}
    assert "delay" not in body["event"]


def test_a_retry_repeats_the_same_absolute_time_even_when_it_has_passed() -> None:
    delayed = event(due_at=NOW + 1000)
    assert V2.encode([delayed], SECRETS, NOW) == V2.encode([delayed], SECRETS, NOW + 60_000)


def test_only_events_due_together_share_a_request_since_they_share_its_options() -> None:
    assert V2.group(event(due_at=5)) == V2.group(event("b", due_at=5)) != V2.group(event("c", due_at=6))
    assert V2.group(event()) == V2.group(event("b")) != V2.group(event("c", due_at=5))
    assert sent(V2, event("a", due_at=NOW), event("b", due_at=NOW))["options"] == {
        "deliverAt": "2026-11-21T00:00:00.000Z"
    }


def test_an_account_goes_where_it_came_from_and_shares_no_request_with_another() -> None:
    body = sent(V2, event(user={"accountId": "acc-7"}, v="1"))
    assert body["options"] == {"accountId": "acc-7"}
    assert body["event"]["context"] == {"v": "1"}
    assert V2.group(event(user={"accountId": "acc-7"})) != V2.group(event())
    more = {"accountId": "acc-7", "name": "x"}
    assert sent(V2, event(user=more))["event"]["context"] == {"user": more}
    assert V2.group(event(user=more)) == V2.group(event())


@pytest.mark.parametrize(
    ("status", "body", "one", "three"),
    [
        (200, record("a"), "A", "A??"),
        (200, [record("a"), record("b"), record("c")], "A", "AAA"),
        (200, [record("c"), record("b"), record("a")], "A", "AAA"),
        (200, [record("a"), record("c")], "A", "A?A"),
        (200, [{"id": ["a"]}], "M", "MMM"),
        (200, record("other"), "M", "???"),
        (200, [], "M", "MMM"),
        (200, {"status": 200}, "M", "MMM"),
        (200, b"", "M", "MMM"),
        (302, b"", "M", "MMM"),
        (401, {"error": "Invalid or Missing API key"}, "M", "MMM"),
        (404, "Not Found", "M", "MMM"),
        (413, b"", "J", "???"),
        (422, {"message": "Code: invalid_type ~ Path: event.name ~ Message: Required"}, "J", "???"),
        (429, {"title": "Rate Limit Exceeded"}, "P", "PPP"),
        (500, {"error": "Failed to create event"}, "R", "???"),
    ],
)
def test_every_answer_of_the_v2_server(status: int, body: object, one: str, three: str) -> None:
    assert kinds(V2.decode(answer(status, body), [event("a")], NOW)) == one
    assert kinds(V2.decode(answer(status, body), [event("a"), event("b"), event("c")], NOW)) == three


def test_success_carries_the_id() -> None:
    assert V2.decode(answer(200, record("a")), [event("a")], NOW) == [Accepted("a")]


def test_a_v1_server_is_recognised() -> None:
    (outcome,) = V2.decode(answer(200, {"status": 200}), [event()], NOW)
    assert outcome == Misconfigured("HTTP 200 from a v1 server, which reads another body (set version: v1)")


def test_the_limiter_speaks_in_milliseconds() -> None:
    limited = answer(429, {"title": "Rate Limit Exceeded"}, x_ratelimit_reset=str(NOW + 8_000))
    assert V2.decode(limited, [event()], NOW) == [Retryable("HTTP 429: Rate Limit Exceeded", 8.0, pause=True)]


def test_what_no_date_can_hold_is_refused() -> None:
    assert V2.refuse(event(ts=-(10**17))) is not None
    assert V2.refuse(event()) is None
