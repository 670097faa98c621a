"""CloudEvents 1.0 over HTTP, in its three modes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.devserver.asking import Ask, said

EVENT = {"specversion": "1.0", "id": "c1", "source": "/shop", "type": "order.paid"}
BINARY = {f"ce-{name}": value for name, value in EVENT.items()}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


@pytest.fixture
def ask() -> Ask:
    return Ask()


def test_binary(ask: Ask) -> None:
    answer = ask("/cloudevents", {"total": 42}, headers=BINARY | {"content-type": "application/json"})
    assert (answer.status, answer.body) == (202, b"")
    assert (ask.only.id, ask.only.name, ask.only.payload) == ("c1", "order.paid", b'{"total":42}')


def test_binary_attributes_are_percent_decoded(ask: Ask) -> None:
    ask("/cloudevents", b"{}", headers=BINARY | {"ce-type": "gr%C3%BCn"})
    assert ask.only.name == "grün"


def test_structured(ask: Ask) -> None:
    assert ask("/cloudevents", EVENT | {"data": [1], "subject": "s"}, headers=STRUCTURED).status == 202
    assert (ask.only.payload, ask.only.details["subject"]) == (b"[1]", "s")


def test_structured_with_base64(ask: Ask) -> None:
    ask("/cloudevents", EVENT | {"data_base64": "eyJhIjoxfQ=="}, headers=STRUCTURED)
    assert ask.only.payload == b'{"a":1}'


def test_a_batch(ask: Ask) -> None:
    assert ask("/cloudevents", [EVENT, EVENT | {"id": "c2"}], headers=BATCH).status == 202
    assert [record.id for record in ask.events] == ["c1", "c2"]


def test_source_and_id_together_make_a_duplicate(ask: Ask) -> None:
    for source in ("/shop", "/shop", "/mall"):
        ask("/cloudevents", EVENT | {"source": source}, headers=STRUCTURED)
    assert [record.deliveries for record in ask.events] == [2, 1]


@pytest.mark.parametrize("field", ["specversion", "id", "source", "type"])
def test_required_attributes(ask: Ask, field: str) -> None:
    for value in (None, "", 7):
        answer = ask("/cloudevents", EVENT | {field: value}, headers=STRUCTURED)
        assert (answer.status, said(answer)) == (400, {"error": f"{field} must be a non-empty string"})
    headers = {name: value for name, value in BINARY.items() if name != f"ce-{field}"}
    assert ask("/cloudevents", b"{}", headers=headers).status == 400


@pytest.mark.parametrize(
    ("body", "headers", "why"),
    [
        (EVENT | {"specversion": "0.3"}, STRUCTURED, "specversion must be 1.0"),
        (EVENT | {"data_base64": "!"}, STRUCTURED, "data_base64 must be base64"),
        ([EVENT], STRUCTURED, "an event must be a JSON object"),
        (EVENT, BATCH, "a batch must be a JSON array"),
        (b"{", STRUCTURED, "the body is no JSON"),
    ],
)
def test_what_is_no_event_is_400(ask: Ask, body: Any, headers: dict[str, str], why: str) -> None:
    answer = ask("/cloudevents", body, headers=headers)
    assert answer.status == 400
    assert said(answer)["error"].startswith(why)


def test_a_bad_event_refuses_its_batch(ask: Ask) -> None:
    assert ask("/cloudevents", json.dumps([EVENT, {}]).encode(), headers=BATCH).status == 400
    assert not ask.events


def test_another_method_is_405(ask: Ask) -> None:
    assert ask("/cloudevents", method="GET").status == 405


def test_a_poisoned_event_is_400(ask: Ask) -> None:
    ask.fault("poison=no,name=order.*")
    assert ask("/cloudevents", EVENT, headers=STRUCTURED).status == 400
