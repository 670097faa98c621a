"""Inngest's event API, row by row as it was observed on the real dev server and on `inngest start`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.devserver.dialects.inngest import MAX_BYTES, MAX_EVENTS
from tests.unit.devserver.asking import NOW, Ask, said

ULID = 26


@pytest.fixture
def ask() -> Ask:
    return Ask()


def refusal(answer: Any) -> str:
    assert answer.status == 400
    assert said(answer)["status"] == 400
    return str(said(answer)["error"])


def event_of(size: int) -> bytes:
    frame = len(b'{"name":"a","data":{"p":""}}')
    return b'{"name":"a","data":{"p":"' + b"x" * (size - frame) + b'"}}'


def test_a_single_object_is_answered_with_one_ulid_as_plain_text(ask: Ask) -> None:
    answer = ask("/e/k", {"name": "a", "data": {"x": 1}})
    assert answer.status == 200
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["X-Inngest-Server-Kind"] == "dev"
    assert answer.body.endswith(b"\n")
    assert [len(one) for one in said(answer)["ids"]] == [ULID]
    assert said(answer)["status"] == 200


def test_an_array_is_answered_in_order(ask: Ask) -> None:
    answer = ask("/e/k", [{"name": "a"}, {"name": "b"}])
    assert [record.refs[0] for record in ask.events] == said(answer)["ids"]
    assert [record.name for record in ask.events] == ["a", "b"]


def test_the_same_id_gets_a_new_ulid_each_time_and_one_run(ask: Ask) -> None:
    one, two = said(ask("/e/k", [{"name": "a", "id": "x"}, {"name": "a", "id": "x"}]))["ids"]
    (three,) = said(ask("/e/k", {"name": "a", "id": "x"}))["ids"]
    assert len({one, two, three}) == 3
    assert (ask.only.deliveries, ask.only.duplicates, ask.only.runs) == (3, 2, 1)


def test_the_same_id_under_another_name_is_stored_but_does_not_run(ask: Ask) -> None:
    ask("/e/k", [{"name": "a", "id": "x"}, {"name": "b", "id": "x"}])
    assert [(record.name, record.runs) for record in ask.events] == [("a", 1), ("b", 0)]


def test_an_id_runs_again_after_24_hours(ask: Ask) -> None:
    ask("/e/k", {"name": "a", "id": "x"})
    ask.wait(24 * 3600)
    ask("/e/k", {"name": "b", "id": "x"})
    assert [record.runs for record in ask.events] == [1, 1]


def test_events_without_an_id_run_each_time(ask: Ask) -> None:
    ask("/e/k", {"name": "a"})
    ask("/e/k", {"name": "a"})
    assert [record.runs for record in ask.events] == [1, 1]
    assert all(record.id == record.refs[0] for record in ask.events)


def test_a_future_ts_delays_the_run_and_not_the_storing(ask: Ask) -> None:
    ask("/e/k", {"name": "a", "id": "x", "ts": int(NOW) + 10_000})
    assert (ask.only.state, ask.only.runs) == ("scheduled", 0)
    ask("/e/k", {"name": "a", "id": "x"})
    assert ask.only.runs == 0
    ask.wait(10)
    assert (ask.only.state, ask.only.runs, ask.only.delivered_at) == ("delivered", 1, NOW + 10_000)


@pytest.mark.parametrize(
    ("ts", "why"),
    [
        (1_684_274_328, "timestamp is before Jan 1, 1980"),
        (-1, "timestamp is before Jan 1, 1980"),
        (4_102_444_800_001, "timestamp is after Jan 1, 2100"),
        ("1684274328198", "json: cannot unmarshal string into Go struct field raw.ts of type int64"),
        (True, "json: cannot unmarshal bool into Go struct field raw.ts of type int64"),
    ],
)
def test_a_ts_that_is_no_epoch_in_ms_is_refused(ask: Ask, ts: Any, why: str) -> None:
    assert refusal(ask("/e/k", {"name": "a", "ts": ts})) == why


@pytest.mark.parametrize("written", ["1684274328198.0", "1684274328198.5", "1e12", "99999999999999999999"])
def test_a_ts_that_is_no_integer_is_quoted_as_it_was_written(ask: Ask, written: str) -> None:
    body = b'[{"name":"ok","ts":1684274328198},{"name":"a","ts":' + written.encode() + b"}]"
    assert refusal(ask("/e/k", body)) == (
        f"json: cannot unmarshal number {written} into Go struct field raw.ts of type int64"
    )


@pytest.mark.parametrize("ts", [0, None])
def test_a_ts_of_nothing_is_now(ask: Ask, ts: Any) -> None:
    assert ask("/e/k", {"name": "a", "ts": ts}).status == 200
    assert ask.only.state == "delivered"


def test_the_environment_header_is_ignored(ask: Ask) -> None:
    assert ask("/e/k", {"name": "a"}, headers={"x-inngest-env": "feature/my-branch"}).status == 200


def test_id_user_and_v_are_stored_and_unknown_fields_dropped(ask: Ask) -> None:
    ask("/e/k", {"name": "a", "id": "i", "user": {"external_id": "u"}, "v": "1", "more": 1})
    assert ask.only.details == {"user": {"external_id": "u"}, "v": "1"}


@pytest.mark.parametrize("body", [{"name": "a"}, {"name": "a", "data": None}])
def test_no_data_is_stored_as_null(ask: Ask, body: Any) -> None:
    assert ask("/e/k", body).status == 200
    assert ask.only.payload == b"null"


@pytest.mark.parametrize(("data", "kind"), [("text", "string"), ([1], "array"), (3, "number"), (True, "bool")])
def test_data_must_be_an_object(ask: Ask, data: Any, kind: str) -> None:
    assert refusal(ask("/e/k", {"name": "a", "data": data})) == (
        f"json: cannot unmarshal {kind} into Go struct field raw.data of type map[string]interface {{}}"
    )


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": None}, {"data": {}}])
def test_a_name_is_needed(ask: Ask, body: Any) -> None:
    answer = ask("/e/k", body)
    assert answer.status == 400
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.body == b'{"ids":[""],"status":400,"error":"event name is empty"}\n'


@pytest.mark.parametrize("field", ["name", "id", "v"])
def test_name_id_and_v_must_be_strings(ask: Ask, field: str) -> None:
    why = refusal(ask("/e/k", {"name": "a", field: 7}))
    assert why == f"json: cannot unmarshal number into Go struct field raw.{field} of type string"


@pytest.mark.parametrize("name", ["inngest/foo", "INNGEST/foo"])
def test_inngest_names_are_reserved_in_any_case(ask: Ask, name: str) -> None:
    assert refusal(ask("/e/k", {"name": name})) == f"event name is reserved for internal use: {name}"


@pytest.mark.parametrize("name", ["x" * 600, "two words", "a\tb", "grün"])
def test_other_names_pass_unchecked(ask: Ask, name: str) -> None:
    assert ask("/e/k", {"name": name}).status == 200
    assert ask.only.name == name


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"name":"a"', "unexpected end of JSON input"),
        (b'{"name":"a', "unexpected end of JSON input"),
        (b"hello", "Request body must contain an event object or an array of event objects"),
        (b'"text"', "Request body must contain an event object or an array of event objects"),
        (b"7", "Request body must contain an event object or an array of event objects"),
        (b"\x1f\x8b\x08gzip", "Request body must contain an event object or an array of event objects"),
        (b'{"name":"a"}\n{"name":"b"}', "invalid character '{' after top-level value"),
        (b'{"name" "a"}', "invalid character '\"' after object key"),
        (b'{"name":}', "invalid character '}' looking for beginning of value"),
        (b'{"name":"a" "id":"b"}', "invalid character '\"' after object key:value pair"),
        (b"{name:1}", "invalid character 'n' looking for beginning of object key string"),
        (b'{"name":NaN}', "invalid character 'N' looking for beginning of value"),
        (b"[1]", "json: cannot unmarshal number into Go value of type event.raw"),
    ],
)
def test_what_is_no_event_is_refused_in_gos_words(ask: Ask, body: bytes, why: str) -> None:
    assert refusal(ask("/e/k", body)) == why
    assert not ask.events


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b" [ ] "])
def test_nothing_is_accepted_with_200_and_stores_nothing(ask: Ask, body: bytes) -> None:
    answer = ask("/e/k", body)
    assert (answer.status, answer.body) == (200, b'{"ids":[""],"status":200}\n')
    assert not ask.events


def test_a_batch_stops_at_the_first_bad_event_and_keeps_what_came_before(ask: Ask) -> None:
    answer = ask("/e/k", [{"name": "one"}, {"data": {}}, {"name": "three"}])
    assert refusal(answer) == "event name is empty"
    assert said(answer)["ids"] == ask.only.refs
    assert ask.only.name == "one"


def test_a_batch_that_starts_badly_stores_nothing(ask: Ask) -> None:
    answer = ask("/e/k", [{"data": {}}, {"name": "two"}])
    assert said(answer)["ids"] == [""]
    assert not ask.events


def test_an_oversized_event_in_a_batch_leaves_the_first_stored(ask: Ask) -> None:
    answer = ask("/e/k", b'[{"name":"ok"},' + event_of(MAX_BYTES + 1) + b',{"name":"never"}]')
    assert refusal(answer).startswith("Event is over the max size")
    assert said(answer)["ids"] == ask.only.refs


def test_an_array_cut_off_stores_nothing(ask: Ask) -> None:
    answer = ask("/e/k", b'[{"name":"a"},{"name":"b"')
    assert refusal(answer) == "unexpected EOF"
    assert said(answer)["ids"] == [""]
    assert not ask.events


def test_an_array_without_its_closing_bracket_passes_as_in_go(ask: Ask) -> None:
    assert ask("/e/k", b'[{"name":"a"}').status == 200


def test_elements_without_a_comma_are_refused(ask: Ask) -> None:
    assert refusal(ask("/e/k", b'[{"name":"a"} {"name":"b"}]')) == "expected comma after array element"


def test_the_size_limit_is_exact_and_never_413(ask: Ask) -> None:
    assert ask("/e/k", event_of(MAX_BYTES)).status == 200
    assert refusal(ask("/e/k", event_of(MAX_BYTES + 1))) == (
        "Event is over the max size: Max 3145728 bytes / Size 3145729 bytes"
    )


def test_the_whole_body_has_no_limit_of_its_own(ask: Ask) -> None:
    answer = ask("/e/k", b"[" + event_of(MAX_BYTES) + b"," + event_of(MAX_BYTES) + b"]")
    assert (answer.status, len(said(answer)["ids"])) == (200, 2)


def test_5001_events_are_refused_after_5000_were_stored(ask: Ask) -> None:
    body = json.dumps([{"name": "a"}] * (MAX_EVENTS + 1)).encode()
    answer = ask("/e/k", body)
    assert refusal(answer) == "Cannot have more than 5000 events in a batch"
    assert len(said(answer)["ids"]) == len(ask.events) == MAX_EVENTS


def test_5000_events_pass(ask: Ask) -> None:
    assert ask("/e/k", [{"name": "a"}] * MAX_EVENTS).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_other_methods_are_405_and_empty(ask: Ask, method: str) -> None:
    answer = ask("/e/k", method=method)
    assert (answer.status, answer.body) == (405, b"")


def test_no_key_is_200_and_empty_and_stores_nothing(ask: Ask) -> None:
    answer = ask("/e", {"name": "a"})
    assert (answer.status, answer.body) == (200, b"")
    assert not ask.events


@pytest.mark.parametrize(("path", "location"), [("/e/", "/e"), ("/e/k/", "/e/k")])
def test_a_slash_at_the_end_is_redirected(ask: Ask, path: str, location: str) -> None:
    answer = ask(path, {"name": "a"})
    assert (answer.status, answer.headers["Location"]) == (303, location)


def test_a_bearer_token_is_ignored(ask: Ask) -> None:
    assert ask("/e/k", {"name": "a"}, headers={"authorization": "Bearer wrong"}).status == 200


def test_with_keys_a_wrong_one_is_401_in_json() -> None:
    answer = Ask("K1", "K2")("/e/K3", {"name": "a"})
    assert answer.status == 401
    assert answer.content_type == "application/json"
    assert said(answer) == {"status": 401, "message": "", "error": "Event key not found"}
    assert answer.headers["X-Inngest-Server-Kind"] == "cloud"


def test_with_keys_each_of_them_passes_and_no_key_is_404() -> None:
    ask = Ask("K1", "K2")
    assert [ask(f"/e/{key}", {"name": "a"}).status for key in ("K1", "K2")] == [200, 200]
    assert ask("/e", {"name": "a"}).status == 404


def test_keys_are_compared_undecoded() -> None:
    assert Ask("plain_key-1")("/e/plain%5Fkey-1", {"name": "a"}).status == 401
    assert Ask("a/b+c=")("/e/a%2Fb%2Bc%3D", {"name": "a"}).status == 401


def test_the_same_seed_gives_the_same_ulids_and_one_run(ask: Ask) -> None:
    seed = {"x-inngest-event-id-seed": "1796083200000,AAAAAAAAAAAAAQ=="}
    first = said(ask("/e/k", [{"name": "a"}, {"name": "b"}], headers=seed))["ids"]
    again = said(ask("/e/k", [{"name": "a"}, {"name": "b"}], headers=seed))["ids"]
    assert first == again
    assert first[0] != first[1]
    assert [(record.deliveries, record.runs) for record in ask.events] == [(2, 1), (2, 1)]


def test_the_seed_counts_up_from_one_in_its_last_four_bytes(ask: Ask) -> None:
    ids = said(ask("/e/k", [{"name": "a"}, {"name": "b"}], headers={"x-inngest-event-id-seed": "0,AAAAAAAAAAAAAA=="}))
    assert ids["ids"] == ["00000000000000000000000001", "00000000000000000000000002"]


@pytest.mark.parametrize("seed", ["", "x,AAAA", "1,AAAA", "1,!!", "nonsense"])
def test_a_malformed_seed_is_ignored(ask: Ask, seed: str) -> None:
    answer = ask("/e/k", {"name": "a"}, headers={"x-inngest-event-id-seed": seed})
    assert len(said(answer)["ids"][0]) == ULID


def test_a_poisoned_event_is_refused_like_any_bad_one(ask: Ask) -> None:
    ask.fault("poison=no thanks,name=bad.*")
    answer = ask("/e/k", [{"name": "ok"}, {"name": "bad.one"}, {"name": "never"}])
    assert refusal(answer) == "no thanks"
    assert len(said(answer)["ids"]) == 1
    assert ask.only.name == "ok"


def test_internal_metadata_is_stripped(ask: Ask) -> None:
    ask("/e/k", {"name": "a", "data": {"x": 1, "_inngest": {"fn_id": "f"}}})
    assert ask.only.payload == b'{"x":1}'
