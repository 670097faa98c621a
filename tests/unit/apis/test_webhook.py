from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from bridge.model import Accepted, Misconfigured, Retryable
from tests.unit.apis.samples import NOW, SECRETS, answer, api, event, kinds, sent, settings

HOOK = api("webhook")
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_by_default_the_whole_event_is_posted() -> None:
    request = HOOK.encode([event(ts=5)], SECRETS, NOW)
    assert (request.method, request.url) == ("POST", "http://api.test")
    assert request.headers == {"content-type": "application/json"}
    assert orjson.loads(request.body) == {"id": "e1", "name": "user.created", "data": {"a": 1}, "ts": 5}


def test_method_address_headers_and_body_are_settings() -> None:
    hook = api(
        "webhook",
        url="https://api.test/{{name}}?x={{id}}",
        method="PUT",
        headers={"X-Event": "{{name}}", "Content-Type": "application/vnd.x+json"},
        body={"what": "{{name}}", "more": {"a": "{{data.a}}"}},
    )
    request = hook.encode([event("1 2")], SECRETS, NOW)
    assert (request.method, request.url) == ("PUT", "https://api.test/user.created?x=1%202")
    assert request.headers == {"content-type": "application/vnd.x+json", "x-event": "user.created"}
    assert sent(hook, event()) == {"what": "user.created", "more": {"a": 1}}
    assert hook.origin == "https://api.test:443"


@pytest.mark.parametrize(
    "template",
    [{"url": "http://api.test/{{data.b}}"}, {"headers": {"x": "{{data.b}}"}}, {"body": ["{{data.b}}"]}],
)
def test_an_event_without_a_needed_field_is_refused_by_the_place(template: dict[str, Any]) -> None:
    hook = api("webhook", **template)
    assert hook.refuse(event()) == "{{data.b}} is missing in the event"
    assert hook.refuse(event(data={"b": 1})) is None


def test_auth_and_signature_come_last_so_that_nothing_replaces_them() -> None:
    hook = api("webhook", auth={"type": "bearer", "token": "x"}, signing={"secret": WHSEC}, headers={"x-a": "1"})
    request = hook.encode([event("evt.1")], {**SECRETS, "signing": (WHSEC,)}, NOW)
    assert request.headers["authorization"] == "Bearer s3cret-token"
    assert request.headers["webhook-id"] == "evt%2E1"
    assert request.headers["webhook-timestamp"] == "1795219200"
    assert request.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"type": "bearer", "token": "x"}, ("authorization", "Bearer s3cret-token")),
        ({"type": "basic", "user": "jö", "password": "x"}, ("authorization", "Basic asO2OnMzY3JldC10b2tlbg==")),
        ({"type": "header", "name": "X-Api-Key", "value": "x"}, ("x-api-key", "s3cret-token")),
        (
            {"type": "header", "name": "Authorization", "prefix": "ApiKey ", "value": "x"},
            ("authorization", "ApiKey s3cret-token"),
        ),
    ],
)
def test_each_kind_of_auth(auth: dict[str, str], header: tuple[str, str]) -> None:
    assert header in api("webhook", auth=auth).encode([event()], SECRETS, NOW).headers.items()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(200, "A"), (202, "A"), (204, "A"), (301, "M"), (400, "J"), (401, "M"), (404, "M"), (409, "R"), (410, "M"),
     (413, "J"), (422, "J"), (429, "P"), (500, "R")],
)  # fmt: skip
def test_answers_without_rules(status: int, kind: str) -> None:
    assert kinds(HOOK.decode(answer(status), [event()], NOW)) == kind


def test_rules_decide_what_is_success_and_what_is_known() -> None:
    hook = api(
        "webhook",
        success={"statuses": [201], "pointer": "/data/status", "equals": "processed"},
        duplicate={"statuses": [409]},
    )
    processed, failed = {"data": {"status": "processed"}}, {"data": {"status": "error"}}
    assert hook.decode(answer(201, processed), [event()], NOW) == [Accepted()]
    assert hook.decode(answer(409), [event()], NOW) == [Accepted(duplicate=True)]
    assert hook.decode(answer(201, failed), [event()], NOW) == [
        Retryable('HTTP 201: {"data":{"status":"error"}} (the body is not what target.success asks for)')
    ]
    assert kinds(hook.decode(answer(200, processed), [event()], NOW)) == "M"


def test_a_404_for_an_address_that_the_event_chose_stops_only_this_event() -> None:
    chosen, fixed = api("webhook", url="http://api.test/{{name}}"), HOOK
    assert chosen.decode(answer(404), [event()], NOW) == [Retryable("HTTP 404 (check the url)")]
    assert fixed.decode(answer(404), [event()], NOW) == [Misconfigured("HTTP 404 (check the url)")]
    assert kinds(chosen.decode(answer(401), [event()], NOW)) == "M"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "http://{{name}}/"}, "places only in its path"),
        ({"body": {"a": "{{b}}"}}, "no field of an event"),
        ({"headers": {"x y": "1"}}, "no header name"),
        ({"headers": {"": "1"}}, "no header name"),
        ({"headers": {"Host": "evil.test"}}, "cannot be set here"),
        ({"headers": {"content-length": "1"}}, "cannot be set here"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "cannot be set here"),
        ({"headers": {"Authorization": "Bearer hunter2"}}, "use auth"),
        ({"headers": {"x": "a\nb"}}, "visible ASCII"),
        ({"headers": {"Webhook-Id": "{{id}}"}, "signing": {"secret": WHSEC}}, "belongs to the signature"),
        ({"signing": {}}, "give one of secret"),
        ({"auth": {"type": "bearer"}}, "give one of token"),
        ({"auth": {"type": "bearer", "token": "hunter2", "token_file": "x"}}, "exclude each other"),
        ({"auth": {"type": "basic", "user": "a:b", "password": "x"}}, "user"),
        ({"auth": {"type": "header", "name": "Host", "value": "x"}}, "cannot be set here"),
        ({"method": "GET"}, "method"),
        ({"native_delay": "1h", "body": {"id": "{{id}}"}}, "due_at"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        settings("webhook", **fields)
    assert "hunter2" not in str(refused.value)


def test_an_endpoint_may_hold_delays_and_know_ids() -> None:
    hook = api("webhook", native_delay="1h", dedups_by_id=True, body={"at": "{{due_at?}}"})
    assert (hook.max_delay_ms, hook.dedups_by_id) == (3_600_000, True)
    assert sent(hook, event(due_at=NOW)) == {"at": NOW}
    assert sent(api("webhook", native_delay="1h"), event(due_at=NOW))["due_at"] == NOW
    assert (HOOK.max_delay_ms, HOOK.dedups_by_id) == (0, False)


def test_only_the_secrets_in_use_are_asked_for() -> None:
    assert settings("webhook").secrets() == ()
    both = settings("webhook", auth={"type": "bearer", "token_env": "T"}, signing={"secret_file": "f"})
    assert [(source.name, source.field, source.env, source.file) for source in both.secrets()] == [
        ("auth", "auth.token", "T", None),
        ("signing", "signing.secret", None, "f"),
    ]
