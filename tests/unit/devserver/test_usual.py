"""The bodies of faults that name none: what each API says with a status."""

from __future__ import annotations

import pytest

from bridge.devserver.usual import usual
from tests.unit.devserver.asking import NOW, said


@pytest.mark.parametrize(
    ("api", "status", "body"),
    [
        ("trigger-v1", 401, {"error": "Invalid or Missing API key"}),
        ("trigger-v2", 422, {"message": "Unprocessable Entity"}),
        ("trigger-v2", 500, {"error": "Failed to create event"}),
        ("tasks", 401, {"error": "Invalid API Key"}),
        ("tasks", 404, {"error": "Task not found"}),
        ("tasks", 500, {"error": "Something went wrong"}),
        ("inngest", 401, {"status": 401, "message": "", "error": "Event key not found"}),
        ("inngest", 500, {"ids": [""], "status": 500, "error": "internal server error"}),
        ("zopio", 500, {"error": "Failed to process event", "message": "fetch failed"}),
        ("webhook", 404, {"error": "Not Found"}),
        ("cloudevents", 418, {"error": "I'm a Teapot"}),
        ("webhook", 599, {"error": "Error"}),
    ],
)
def test_each_api_in_its_own_words(api: str, status: int, body: object) -> None:
    answer = usual(api, status, NOW, NOW)
    assert answer.status == status
    assert {name: str(text) if name == "error" else text for name, text in said(answer).items()} == body


def test_v1_fails_in_plain_text() -> None:
    assert usual("trigger-v1", 500, NOW, NOW).body == b"Unexpected Server Error"


@pytest.mark.parametrize("api", ["trigger-v1", "trigger-v2", "tasks"])
def test_the_limiter_of_trigger_answers_problem_json(api: str) -> None:
    answer = usual(api, 429, NOW + 2500, NOW)
    assert answer.content_type == "application/problem+json"
    assert (said(answer)["reset"], said(answer)["secondsUntilReset"]) == (NOW + 2500, 2.5)


@pytest.mark.parametrize("status", [302, 502, 503, 504])
def test_what_a_proxy_answers_is_no_json(status: int) -> None:
    assert usual("inngest", status, NOW, NOW).body.startswith(f"{status} ".encode())


def test_a_success_is_empty() -> None:
    assert usual("inngest", 204, NOW, NOW).body == b""
