from __future__ import annotations

import pytest

from bridge.apis.inngest import unsafe_in_path
from bridge.model import Accepted, Rejected
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, sent

INNGEST = api("inngest")
EMPTY = "event name is empty"


def test_events_go_as_an_array_to_the_path_of_the_key() -> None:
    request = INNGEST.encode([event()], SECRETS, NOW)
    assert (request.method, request.url) == ("POST", "http://api.test/e/tr_dev_1234567890")
    assert request.headers == {"content-type": "application/json"}
    assert request.body == b'[{"id":"e1","name":"user.created","data":{"a":1}}]'


def test_all_fields_are_sent() -> None:
    assert sent(INNGEST, event("a", user={"id": 7}, ts=NOW, v="2"), event("b", data=None)) == [
        {"id": "a", "name": "user.created", "data": {"a": 1}, "ts": NOW, "user": {"id": 7}, "v": "2"},
        {"id": "b", "name": "user.created", "data": {}},
    ]


def test_a_delay_is_a_future_ts_and_stays_the_same_at_every_attempt() -> None:
    delayed = event(ts=NOW, due_at=NOW + 60_000)
    assert sent(INNGEST, delayed)[0]["ts"] == NOW + 60_000
    assert INNGEST.encode([delayed], SECRETS, NOW) == INNGEST.encode([delayed], SECRETS, NOW + 120_000)


def test_a_due_time_before_1980_means_now() -> None:
    assert sent(INNGEST, event(ts=NOW, due_at=0))[0]["ts"] == NOW
    assert "ts" not in sent(INNGEST, event(due_at=-1))[0]


def test_a_clock_that_is_ahead_is_no_delay() -> None:
    assert sent(INNGEST, event(ts=NOW + 60_000))[0]["ts"] == NOW


def test_the_branch_environment_is_a_header() -> None:
    branch = api("inngest", env="feature/my-branch")
    assert branch.encode([event()], SECRETS, NOW).headers["x-inngest-env"] == "feature/my-branch"


def test_the_name_can_be_made_part_of_the_id() -> None:
    assert sent(api("inngest", id_with_name=True), event("7"))[0]["id"] == "user.created/7"


@pytest.mark.parametrize("data", ["text", 1, False, [1, 2]])
def test_data_that_is_no_object_is_refused_or_wrapped(data: object) -> None:
    assert INNGEST.refuse(event(data=data)) == "data must be an object for Inngest (or set wrap_data)"
    wrapping = api("inngest", wrap_data=True)
    assert wrapping.refuse(event(data=data)) is None
    assert sent(wrapping, event(data=data), event())[0]["data"] == {"value": data}
    assert sent(wrapping, event())[0]["data"] == {"a": 1}


@pytest.mark.parametrize("name", ["inngest/function.failed", "Inngest/x", "INNGEST/"])
def test_reserved_names_are_refused(name: str) -> None:
    assert INNGEST.refuse(event(name=name)) == "event names that begin with inngest/ are reserved by Inngest"


def test_what_the_server_would_refuse_is_refused_with_the_field() -> None:
    assert INNGEST.refuse(event(ts=1_684_274_328)) == (
        "ts 1684274328 is outside the years 1980 to 2099, which Inngest takes, in milliseconds"
    )
    assert INNGEST.refuse(event(user="bob")) == "user must be an object for Inngest"
    assert INNGEST.refuse(event(ts=0, user={}, data=None)) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"ids": ["01A"], "status": 200}, "A"),
        (200, {"ids": [""], "status": 200}, "M"),
        (200, {"ids": [], "status": 200}, "M"),
        (200, {"ids": ["01A", "01B"], "status": 200}, "M"),
        (200, {"ids": ["01A"], "status": 500}, "M"),
        (200, {"ids": ["01A"], "status": 200, "error": "but"}, "M"),
        (200, {"ids": [7], "status": 200}, "M"),
        (200, {"ids": "01A", "status": 200}, "M"),
        (200, b"", "M"),
        (200, "<!doctype html>", "M"),
        (201, {"ids": ["01A"], "status": 200}, "M"),
        (303, b"", "M"),
        (400, {"ids": [""], "status": 400, "error": EMPTY}, "J"),
        (400, "Request body must contain an event object or an array of event objects", "J"),
        (401, {"status": 401, "message": "", "error": "Event key not found"}, "M"),
        (404, "404 page not found", "M"),
        (405, b"", "M"),
        (408, b"", "R"),
        (429, b"", "P"),
        (500, b"", "R"),
        (503, {"error": "Event keys are required to process events securely"}, "R"),
    ],
)
def test_every_answer_to_one_event(status: int, body: object, kind: str) -> None:
    text_plain = answer(status, body, content_type="text/plain; charset=utf-8")
    assert kinds(INNGEST.decode(text_plain, [event()], NOW)) == kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"ids": ["01A", "01B", "01C"], "status": 200}, "AAA"),
        (200, {"ids": ["01A", "01B"], "status": 200}, "MMM"),
        (200, {"ids": ["01A", "", "01C"], "status": 200}, "MMM"),
        (200, b"", "MMM"),
        (400, {"ids": ["01A"], "status": 400, "error": EMPTY}, "A??"),
        (400, {"ids": ["01A", "01B", "01C"], "status": 400, "error": "Cannot have more than 5000 events"}, "AAA"),
        (400, {"ids": ["01A", "01B", "01C", "01D"], "status": 400, "error": "odd"}, "AAA"),
        (400, {"ids": [""], "status": 400, "error": EMPTY}, "???"),
        (400, {"ids": ["", "01B"], "status": 400, "error": EMPTY}, "???"),
        (400, {"status": 400, "error": "unexpected EOF"}, "???"),
        (413, b"", "???"),
        (401, {"error": "Event key not found"}, "MMM"),
        (429, b"", "PPP"),
        (502, b"", "RRR"),
    ],
)
def test_every_answer_to_a_batch(status: int, body: object, kind: str) -> None:
    assert kinds(INNGEST.decode(answer(status, body), [event("a"), event("b"), event("c")], NOW)) == kind


def test_the_events_before_the_bad_one_are_accepted_with_their_own_ids() -> None:
    refused = answer(400, {"ids": ["01A"], "status": 400, "error": EMPTY})
    assert INNGEST.decode(refused, [event("a"), event("b")], NOW) == [Accepted("01A"), None]
    assert INNGEST.decode(refused, [event("b")], NOW) == [Rejected(f"HTTP 400: {EMPTY}")]


def test_limits_come_from_the_settings() -> None:
    free = api("inngest", max_batch=10, batch_bytes="1MiB", event_bytes="256KiB", native_delay="1d")
    assert (free.batch_limit, free.batch_bytes, free.event_bytes) == (10, 1 << 20, (256 << 10) + 2)
    assert free.max_delay_ms == 86_400_000
    assert INNGEST.batch_limit == 5_000
    assert INNGEST.max_delay_ms == 7 * 86_400_000


@pytest.mark.parametrize("key", ["a/b+c=", "a b", "ключ", "x%2Fy", "..", "", "a?b"])
def test_keys_that_cannot_stand_in_a_path_are_found(key: str) -> None:
    assert unsafe_in_path(key)
    assert not key or key not in str(unsafe_in_path(key))


def test_usual_keys_can() -> None:
    assert unsafe_in_path("Zq4-x_9.k~2") is None
