from __future__ import annotations

import pytest

from bridge.model import Accepted, Misconfigured, Rejected, Retryable
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, sent

TASKS = api("trigger", version="tasks", max_batch=500)
NO_CREDITS = {"error": "You can't trigger a task because you have run out of credits."}
QUEUE_FULL = {"error": "Cannot trigger x as the queue size limit for this environment has been reached."}


def test_one_event_triggers_its_task() -> None:
    request = TASKS.encode([event()], SECRETS, NOW)
    assert request.url == "http://api.test/api/v1/tasks/user.created/trigger"
    assert sent(TASKS, event(due_at=NOW + 1000)) == {
        "payload": {"a": 1},
        "options": {
            "idempotencyKey": "e1",
            "idempotencyKeyTTL": "30d",
            "tags": ["user.created"],
            "delay": "2026-11-21T00:00:01.000Z",
        },
    }


def test_several_make_a_batch_whose_items_have_their_own_delays() -> None:
    assert TASKS.encode([event("a"), event("b")], SECRETS, NOW).url == "http://api.test/api/v1/tasks/batch"
    items = sent(TASKS, event("a"), event("b", due_at=NOW))["items"]
    assert [(item["task"], item["options"]["idempotencyKey"]) for item in items] == [
        ("user.created", "a"),
        ("user.created", "b"),
    ]
    assert "delay" not in items[0]["options"]
    assert items[1]["options"]["delay"] == "2026-11-21T00:00:00.000Z"


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("user.created", "welcome"),
        ("user.deleted", "user-changed"),
        ("user.x.y", "user-changed"),
        ("billing.paid", "on-billing.paid"),
        ("other", "fallback"),
    ],
)
def test_exact_names_win_over_patterns_and_patterns_over_the_default(name: str, task: str) -> None:
    tasks = {"user.*": "user-changed", "user.created": "welcome", "billing.*": "on-{name}"}
    mapped = api("trigger", version="tasks", tasks=tasks, default_task="fallback")
    assert mapped.encode([event(name=name)], SECRETS, NOW).url == f"http://api.test/api/v1/tasks/{task}/trigger"


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    url = TASKS.encode([event(name="../../admin?x#y")], SECRETS, NOW).url
    assert url == "http://api.test/api/v1/tasks/..%2F..%2Fadmin%3Fx%23y/trigger"
    assert TASKS.refuse(event(name="..")) == "no task for the event name '..': add it to tasks, or set default_task"


def test_an_event_without_a_task_is_refused() -> None:
    strict = api("trigger", version="tasks", tasks={"user.*": "u"}, default_task=None)
    assert strict.refuse(event(name="user.created")) is None
    assert strict.refuse(event(name="other")) == (
        "no task for the event name 'other': add it to tasks, or set default_task"
    )


def test_limits_of_the_server_are_kept() -> None:
    assert TASKS.refuse(event("x" * 2048)) is None
    assert TASKS.refuse(event("x" * 2000, source="s" * 48)) == (
        "source and id together are longer than the 2048 characters of an idempotency key"
    )
    assert TASKS.refuse(event(ts=10**17)) is not None
    assert sent(TASKS, event(name="n" * 300))["options"]["tags"] == ["n" * 128]
    assert TASKS.batch_bytes == 1_000_000


def test_the_task_can_get_the_whole_event() -> None:
    whole = api("trigger", version="tasks", payload="event", idempotency_ttl="24h")
    body = sent(whole, event(user={"id": 1}))
    assert body["payload"] == {"id": "e1", "name": "user.created", "data": {"a": 1}, "user": {"id": 1}}
    assert body["options"]["idempotencyKeyTTL"] == "24h"


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind"),
    [
        (200, {"id": "run_1", "isCached": False}, {}, "A"),
        (200, {"id": ""}, {}, "M"),
        (200, b"", {}, "M"),
        (202, {"id": "batch_1"}, {}, "M"),
        (307, b"", {}, "M"),
        (400, {"error": "Invalid JSON"}, {}, "J"),
        (400, {"error": "Validation error: options.delay: Invalid input"}, {}, "J"),
        (401, {"error": "Invalid API Key"}, {}, "M"),
        (403, b"", {}, "M"),
        (404, {"error": "Task not found"}, {}, "R"),
        (404, "<html>not found</html>", {}, "M"),
        (409, b"", {}, "R"),
        (409, b"", {"x_should_retry": "false"}, "J"),
        (413, {"error": "Request body too large"}, {}, "J"),
        (422, {"error": "Something"}, {}, "J"),
        (422, {"error": "Something"}, {"x_should_retry": "true"}, "R"),
        (422, NO_CREDITS, {}, "M"),
        (422, QUEUE_FULL, {}, "P"),
        (429, b"", {"x_should_retry": "false"}, "P"),
        (500, {"error": "Something went wrong"}, {}, "R"),
        (500, {"error": "Something went wrong"}, {"x_should_retry": "false"}, "R"),
    ],
)
def test_every_answer_to_one_run(status: int, body: object, headers: dict[str, str], kind: str) -> None:
    assert kinds(TASKS.decode(answer(status, body, **headers), [event()], NOW)) == kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, {"id": "batch_1", "runs": [{"id": "run_1"}, {"id": "run_2"}]}, "AA"),
        (202, {"id": "batch_1", "runs": [{"id": "run_1"}, {}]}, "A?"),
        (202, {"id": "batch_1", "runs": [{"id": "run_1"}]}, "MM"),
        (202, {"id": "batch_1"}, "MM"),
        (200, {"id": "run_1"}, "MM"),
        (400, {"error": "Batch size of 600 is too large"}, "??"),
        (401, {"error": "Invalid API Key"}, "MM"),
        (413, b"", "??"),
        (422, {"error": "Something"}, "??"),
        (422, NO_CREDITS, "MM"),
        (429, b"", "PP"),
        (500, {"error": "Something went wrong"}, "??"),
        (503, b"", "RR"),
    ],
)
def test_every_answer_to_a_batch(status: int, body: object, kind: str) -> None:
    assert kinds(TASKS.decode(answer(status, body), [event("a"), event("b")], NOW)) == kind


def test_success_carries_the_run_and_whether_it_was_known() -> None:
    assert TASKS.decode(answer(200, {"id": "run_1", "isCached": True}), [event()], NOW) == [
        Accepted("run_1", duplicate=True)
    ]
    runs = {"runs": [{"id": "run_1", "isCached": True}, {"id": "run_2", "isCached": False}]}
    assert TASKS.decode(answer(202, runs), [event("a"), event("b")], NOW) == [
        Accepted("run_1", duplicate=True),
        Accepted("run_2"),
    ]


def test_reasons_say_what_to_do() -> None:
    assert TASKS.decode(answer(404, {"error": "Task not found"}), [event()], NOW) == [
        Retryable("HTTP 404: Task not found (deploy the task, or map the event name under tasks)")
    ]
    assert TASKS.decode(answer(422, NO_CREDITS), [event()], NOW) == [Misconfigured(f"HTTP 422: {NO_CREDITS['error']}")]
    assert TASKS.decode(answer(400, {"error": "Invalid JSON"}), [event()], NOW) == [Rejected("HTTP 400: Invalid JSON")]
