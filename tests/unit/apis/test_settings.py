from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.apis import TargetSettings
from bridge.apis.options import visible_ascii
from tests.unit.apis.samples import Route, api, settings

URL = "http://api.test"
CANARY = "hunter2-hunter2"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"type": "carrier-pigeon"}, "type"),
        ({"type": "trigger", "url": URL}, "version"),
        ({"type": "trigger", "version": "v1"}, "url"),
        ({"type": "trigger", "url": URL, "version": "v1", "max_batch": 2}, "max_batch needs version v2 or tasks"),
        ({"type": "trigger", "url": URL, "version": "v2", "tasks": {"a": "b"}}, "tasks need version: tasks"),
        ({"type": "trigger", "url": URL, "version": "tasks", "idempotency_ttl": "soon"}, "idempotency_ttl"),
        ({"type": "trigger", "url": URL, "version": "tasks", "native_delay": "366d"}, "native_delay"),
        ({"type": "trigger", "url": URL, "version": "v1", "key": CANARY, "key_file": "x"}, "exclude each other"),
        ({"type": "inngest", "url": URL, "max_batch": 5001}, "max_batch"),
        ({"type": "inngest", "url": URL, "env": "a\nb"}, "env"),
        ({"type": "inngest", "url": f"https://user:{CANARY}@inn.gs"}, "must not hold a user or password"),
        ({"type": "inngest", "url": URL, "retries": 3}, "retries"),
        ({"type": "cloudevents", "url": URL, "mode": "xml"}, "mode"),
        ({"type": "zopio", "url": URL, "http": {"timeout": "0s"}}, "timeout"),
        ({"type": "zopio", "url": URL, "http": {"concurrency": 0}}, "concurrency"),
        ({"type": "zopio", "url": URL, "http": {"cert_key_file": "k.pem"}}, "cert_key_file needs cert_file"),
        ({"type": "memory", "keep": 0}, "keep"),
    ],
)
def test_what_cannot_work_is_refused_without_repeating_it(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as refused:
        Route.model_validate({"target": fields})
    assert CANARY not in str(refused.value)


def test_secrets_do_not_show() -> None:
    found = settings("trigger", version="v1", key=CANARY)
    assert CANARY not in f"{found!r} {found} {found.model_dump_json()} {found.secrets()!r}"


@pytest.mark.parametrize(
    ("kind", "variable"), [("trigger", "TRIGGER_API_KEY"), ("inngest", "INNGEST_EVENT_KEY"), ("zopio", None)]
)
def test_keys_have_the_names_that_users_know(kind: str, variable: str | None) -> None:
    found = settings(kind, **({"version": "v1"} if kind == "trigger" else {}))
    assert [source.env for source in found.secrets()] == ([variable] if variable else [])


def test_every_field_is_described_for_editors() -> None:
    schema = TypeAdapter(TargetSettings).json_schema()
    missing = [
        f"{name}.{field}"
        for name, model in schema["$defs"].items()
        for field, described in model.get("properties", {}).items()
        if field != "type" and "description" not in described
    ]
    assert missing == []
    assert set(schema["discriminator"]["mapping"]) == {
        "trigger", "inngest", "zopio", "webhook", "cloudevents", "memory",
    }  # fmt: skip


def test_the_origin_is_known_to_every_dialect() -> None:
    fields: dict[str, dict[str, Any]] = {
        "trigger": {"version": "v2"}, "inngest": {}, "zopio": {}, "webhook": {}, "cloudevents": {},
    }  # fmt: skip
    origins = {api(kind, **{"url": "https://h.test/base", **more}).origin for kind, more in fields.items()}
    assert origins == {"https://h.test:443"}


def test_secrets_must_be_able_to_stand_in_a_header() -> None:
    assert visible_ascii("tr_dev_123") is None
    assert visible_ascii("two words") == "holds a space, a control character or a letter outside ASCII"
    assert visible_ascii("line\nbreak") is not None


def test_a_proxy_is_not_for_a_client_that_believes_what_it_says() -> None:
    assert settings("zopio", http={"proxy": "environment"}).http.client == "native"
    with pytest.raises(ValidationError, match="proxy: environment needs client: native"):
        settings("zopio", http={"proxy": "environment", "client": "aiohttp"})
