"""Every example of the guide page is what the bridge takes and sends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from bridge.apis import HttpSettings
from bridge.apis.answers import classify
from bridge.formats import build_format
from bridge.model import Delivery, Envelope
from tests.unit.apis.samples import NOW, Route, answer, kinds

PAGE = (Path(__file__).parents[3] / "docs" / "targets.md").read_text()
SETTINGS = [yaml.safe_load(text)["target"] for text in re.findall(r"```yaml target\n(.*?)```", PAGE, re.DOTALL)]
REQUESTS = re.findall(r"```yaml target\n(.*?)```\n\n```json (\w+) (\S+)\n(.*?)```", PAGE, re.DOTALL)
ANSWERS = re.findall(r"^\| ([\d, ]+) \| (\w+)", PAGE, re.MULTILINE)
SECRETS = {"key": ("<key>",), "auth": ("s3cret",), "signing": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)}


def the_event() -> Envelope:
    (text,) = re.findall(r"```json event\n(.*?)```", PAGE, re.DOTALL)
    fields = orjson.loads(text)
    inner = {"id": fields["id"], "name": fields["name"], "payload": fields["data"]}
    body = orjson.dumps({"event": inner, "options": {"deliverAt": fields["due_at"]}})
    (envelope,) = build_format("trigger").decode(Delivery(body=body), NOW)
    assert isinstance(envelope, Envelope)
    return envelope


def test_every_target_is_shown() -> None:
    shown = {fields["type"] for fields in SETTINGS}
    assert shown == {"trigger", "inngest", "zopio", "webhook", "cloudevents"}
    assert {fields.get("version") for fields in SETTINGS if fields["type"] == "trigger"} == {"v1", "v2", "tasks"}
    assert len(REQUESTS) == 7


@pytest.mark.parametrize("fields", SETTINGS)
def test_settings_shown_are_settings(fields: dict[str, Any]) -> None:
    assert isinstance(Route.model_validate({"target": fields}).target, HttpSettings)


@pytest.mark.parametrize(("settings", "method", "path", "body"), REQUESTS)
def test_requests_shown_are_the_requests_sent(settings: str, method: str, path: str, body: str) -> None:
    fields = yaml.safe_load(settings)["target"]
    target = Route.model_validate({"target": fields}).target
    assert isinstance(target, HttpSettings)
    request = target.build_api().encode([the_event()], SECRETS, NOW)
    assert request.method == method
    assert re.sub(r"https?://[^/]+", "", request.url) == path
    assert orjson.loads(request.body) == orjson.loads(body)


def test_answers_mean_what_the_table_says() -> None:
    letters = {"rejected": "J", "kept": "M", "tried": "R", "the": "P"}
    assert [word for _, word in ANSWERS] == ["rejected", "kept", "kept", "tried", "the"]
    for statuses, word in ANSWERS:
        for status in map(int, statuses.split(", ")):
            assert kinds([classify(answer(status), NOW)]) == letters[word], status


def test_the_limits_of_the_table_are_the_dialects_own() -> None:
    apis = {
        name: Route.model_validate({"target": {"url": "http://api.test", **fields}}).target.build_api()  # type: ignore[union-attr]
        for name, fields in {
            "`trigger`, version `v1`": {"type": "trigger", "version": "v1"},
            "`trigger`, version `v2`": {"type": "trigger", "version": "v2"},
            "`trigger`, version `tasks`": {"type": "trigger", "version": "tasks"},
            "`inngest`": {"type": "inngest"},
            "`zopio`": {"type": "zopio"},
            "`webhook`": {"type": "webhook"},
            "`cloudevents`": {"type": "cloudevents"},
        }.items()
    }
    for name, api in apis.items():
        (row,) = re.findall(rf"^\| {name} \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", PAGE, re.MULTILINE)
        days = re.search(r"up to (\d+) days", row[1])
        assert api.max_delay_ms == (int(days[1]) * 86_400_000 if days else 0)
        assert api.dedups_by_id == row[2].startswith("for")
        assert api.batch_limit == (5000 if "5,000" in row[0] else 1)
