from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.semconv.schemas import Schemas

from bridge import __version__
from bridge.settings.process import TracingSettings
from bridge.tracing.context import Context
from bridge.tracing.otlp import SCHEMA, Otlp, resource
from bridge.tracing.spans import Record
from tests.unit.tracing.samples import SPAN_ID, TRACE_ID, context


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def record(**fields: Any) -> Record:
    usual: dict[str, Any] = {
        "name": "send a:1",
        "context": Context(TRACE_ID, "1" * 16, 1, "a=1,b=2"),
        "parent": Context(TRACE_ID, SPAN_ID, 1, "a=1,b=2"),
        "links": [context(7)],
        "began": 1_000,
        "ended": 2_000,
        "attributes": {
            "messaging.system": "a",
            "http.response.status_code": 200,
            "messaging.message.id": "x" * 999,
        },
        "failed": False,
    }
    return Record(**{**usual, **fields})


def test_a_record_becomes_a_span_with_all_that_it_says() -> None:
    otlp = Otlp(TracingSettings(endpoint="http://127.0.0.1:1"))
    (resource_spans,) = encode_spans([otlp.span_of(record())]).resource_spans
    (scope_spans,) = resource_spans.scope_spans
    (span,) = scope_spans.spans
    otlp.abort()
    assert (scope_spans.scope.name, scope_spans.scope.version) == ("event-bridge", __version__)
    assert scope_spans.schema_url == Schemas.V1_44_0.value == SCHEMA
    assert (span.name, span.trace_id.hex(), span.span_id.hex()) == ("send a:1", TRACE_ID, "1" * 16)
    assert (span.parent_span_id.hex(), span.trace_state) == (SPAN_ID, "a=1,b=2")
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1_000, 2_000)
    assert span.kind == span.SPAN_KIND_CLIENT
    assert span.status.code == span.status.STATUS_CODE_UNSET
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [context(7)[:2]]
    attributes = {pair.key: pair.value for pair in span.attributes}
    assert attributes["messaging.system"].string_value == "a"
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["messaging.message.id"].string_value == "x" * 256


def test_a_root_that_failed_has_no_parent_and_the_status_of_an_error() -> None:
    otlp = Otlp(TracingSettings(endpoint="http://127.0.0.1:1"))
    span = encode_spans([otlp.span_of(record(parent=None, failed=True))]).resource_spans[0].scope_spans[0].spans[0]
    otlp.abort()
    assert span.parent_span_id == b""
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert span.status.message == ""


def test_we_say_who_we_are_unless_it_is_said_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = resource(None).attributes
    assert (usual["service.name"], usual["service.version"]) == ("event-bridge", __version__)
    assert usual["service.instance.id"]
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-1,deployment.environment.name=prod")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "orders-bridge")
    said = resource(None).attributes
    assert (said["service.name"], said["service.instance.id"]) == ("orders-bridge", "pod-1")
    assert said["deployment.environment.name"] == "prod"
    assert resource("mine").attributes["service.name"] == "mine"


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://a:4318", "http://a:4318/v1/traces"),
        ("http://a:4318/", "http://a:4318/v1/traces"),
        ("https://a/otlp/v1/traces", "https://a/otlp/v1/traces"),
        (None, "http://from-the-variable:1/v1/traces"),
    ],
)
def test_the_path_of_traces_is_added_to_the_endpoint(
    monkeypatch: pytest.MonkeyPatch, endpoint: str | None, address: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://from-the-variable:1")
    otlp = Otlp(TracingSettings(endpoint=endpoint))
    assert otlp._exporter._endpoint == address
    otlp.abort()


def test_a_collector_that_is_away_is_a_reason_and_says_nothing_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    otlp = Otlp(TracingSettings(endpoint="http://127.0.0.1:1", headers={"authorization": "Bearer hush-hush"}))
    theirs = logging.getLogger("opentelemetry")
    before = (theirs.propagate, theirs.level, theirs.handlers[:])
    otlp.open()
    otlp._exporter._client._timeout = 0.1
    reason = otlp.export([record()])
    otlp.abort()
    otlp.close()
    assert reason
    assert "hush" not in reason
    assert caplog.records == []
    assert (theirs.propagate, theirs.level, theirs.handlers) == before
