from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridge.model import Accepted
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, settings

ZOPIO = api("zopio")


def test_the_request_is_name_and_payload() -> None:
    request = ZOPIO.encode([event(due_at=NOW)], SECRETS, NOW)
    assert (request.method, request.url) == ("POST", "http://api.test/trigger")
    assert request.headers == {"content-type": "application/json"}
    assert request.body == b'{"event":"user.created","payload":{"a":1}}'


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"success": True, "message": "sent", "result": {"id": "01M7"}}, "A"),
        (200, {"success": True}, "A"),
        (200, {"success": False}, "M"),
        (200, {"success": 1}, "M"),
        (200, "<html>", "M"),
        (200, b"", "M"),
        (301, b"", "M"),
        (400, {"error": "Missing required fields"}, "J"),
        (404, b"", "M"),
        (429, b"", "P"),
        (500, {"error": "Failed to process event", "message": "fetch failed"}, "R"),
        (504, b"", "R"),
    ],
)
def test_every_answer(status: int, body: object, kind: str) -> None:
    assert kinds(ZOPIO.decode(answer(status, body), [event()], NOW)) == kind


def test_the_ref_is_the_id_upstream() -> None:
    body = {"success": True, "result": {"id": "01M7"}}
    assert ZOPIO.decode(answer(200, body), [event()], NOW) == [Accepted("01M7")]


def test_it_neither_holds_nor_remembers() -> None:
    assert ZOPIO.max_delay_ms == 0
    assert not ZOPIO.dedups_by_id
    assert ZOPIO.refuse(event()) is None


def test_its_slow_answer_needs_a_patient_client() -> None:
    with pytest.raises(ValidationError, match="over 15s"):
        settings("zopio", http={"timeout": "15s"})
    assert settings("zopio", http={"timeout": "16s"}).http.timeout == 16
