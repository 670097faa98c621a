from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.apis.answers import MAX_AFTER, asked_wait, classify, excerpt, for_each, reason_of, unproven
from bridge.model import Misconfigured, Rejected, Response, Retryable
from tests.unit.apis.samples import NOW, answer, kinds


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (
            "M",
            [201, 299, 301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 406, 407, 410, 411, 415, 426, 501, 505, 511],
        ),
        ("J", [400, 412, 413, 414, 416, 417, 418, 422, 428, 431, 451, 499]),
        ("R", [101, 408, 409, 421, 423, 425, 500, 502, 503, 504, 507, 520, 529, 599]),
        ("P", [429]),
    ],
)
def test_each_status_has_its_class(kind: str, statuses: list[int]) -> None:
    assert {status: kinds([classify(answer(status), NOW)]) for status in statuses} == dict.fromkeys(statuses, kind)


def test_a_503_pauses_only_when_it_says_for_how_long() -> None:
    assert classify(answer(503), NOW) == Retryable("HTTP 503")
    assert classify(answer(503, retry_after="7"), NOW) == Retryable("HTTP 503", 7.0, pause=True)


def test_a_500_that_asks_to_wait_speaks_for_one_event_only() -> None:
    assert classify(answer(500, retry_after="7"), NOW) == Retryable("HTTP 500", 7.0)


def test_the_reason_names_the_cure_where_there_is_one() -> None:
    assert classify(answer(401, {"error": "Invalid API Key"}), NOW) == Misconfigured(
        "HTTP 401: Invalid API Key (check the key)"
    )
    assert classify(answer(308, location="http://u:p@elsewhere/"), NOW) == Misconfigured(
        "HTTP 308 (set the url to the final address)"
    )


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": " 30 "}, 30.0),
        ({"retry_after": "1.5"}, 1.5),
        ({"retry_after": "99999999999999999999"}, MAX_AFTER),
        ({"retry_after": "9" * 400}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "١٢"}, None),
        ({"retry_after": "Sat, 21 Nov 2026 00:01:00 GMT"}, 60.0),
        ({"retry_after": "Saturday, 21-Nov-26 00:01:00 GMT"}, 60.0),
        ({"retry_after": "Sat, 21 Nov 2026 00:01:00 GMT", "date": "Sat, 21 Nov 2026 00:00:50 GMT"}, 10.0),
        ({"retry_after": "Fri, 20 Nov 2026 00:01:00 GMT"}, 0.0),
        ({"retry_after": "Sun, 21 Nov 2126 00:01:00 GMT"}, MAX_AFTER),
        ({"retry_after": "Sat, 21 Nov 2026 99:99:99 GMT"}, None),
        ({"x_ratelimit_reset": str(NOW + 90_000)}, 90.0),
        ({"x_ratelimit_reset": str(NOW // 1000 + 90)}, 90.0),
        ({"x_ratelimit_reset": "90"}, 90.0),
        ({"x_ratelimit_reset": str(NOW - 1)}, 0.0),
        ({"x_ratelimit_reset": str(NOW + 90_000), "retry_after": "2"}, 2.0),
        ({"x_ratelimit_reset": "tomorrow"}, None),
    ],
)
def test_waits_are_read_in_all_their_forms_and_clamped(headers: dict[str, str], wait: float | None) -> None:
    assert asked_wait(answer(429, **headers), NOW) == wait


def test_a_limit_that_is_not_reached_asks_for_no_wait() -> None:
    reset = str(NOW + 90_000)
    assert asked_wait(answer(500, x_ratelimit_reset=reset, x_ratelimit_remaining="12"), NOW) is None
    assert asked_wait(answer(503, x_ratelimit_reset=reset, x_ratelimit_remaining="0"), NOW) == 90.0


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.sampled_from([408, 429, 500, 503]))
def test_no_header_breaks_the_classification(after: str, date: str, reset: str, status: int) -> None:
    outcome = classify(Response(status, {"retry-after": after, "date": date, "x-ratelimit-reset": reset}, b""), NOW)
    assert isinstance(outcome, Retryable)
    assert outcome.after is None or 0.0 <= outcome.after <= MAX_AFTER


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "event name is empty", "status": 400}, "event name is empty"),
        ({"message": "Code: invalid_type ~ Path: event.name"}, "Code: invalid_type ~ Path: event.name"),
        ({"error": {"code": 7}}, '{"code":7}'),
        ({"error": "", "detail": "quota"}, "quota"),
        ({"title": "Too many", "status": 429}, "Too many"),
        ({"other": 1}, '{"other":1}'),
        ("Unexpected Server Error", "Unexpected Server Error"),
        ("<html>\n  <b>502</b>\r\n</html>", "<html> <b>502</b> </html>"),
        ("a\x1b[31mred\x00\u202e\u2028end", "a [31mred end"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
        ("x" * 5000, "x" * 199 + "…"),
    ],
)
def test_the_excerpt_is_short_printable_and_the_apis_own_words(body: object, words: str) -> None:
    assert excerpt(answer(400, body)) == words


@given(st.binary(max_size=3000))
def test_any_body_gives_a_clean_reason(body: bytes) -> None:
    reason = reason_of(answer(500, body))
    assert reason.isprintable()
    assert len(reason) <= 200 + len("HTTP 500: ")


def test_a_refused_batch_says_nothing_about_any_one_event() -> None:
    assert for_each(Rejected("no"), 1) == [Rejected("no")]
    assert for_each(Rejected("no"), 3) == [None, None, None]
    assert for_each(Misconfigured("no"), 2) == [Misconfigured("no")] * 2


def test_a_success_that_proves_nothing_is_named_as_such() -> None:
    assert unproven(answer(200), "an id").reason == (
        "HTTP 200: a success without an id, so this is no acceptance (check the url)"
    )
