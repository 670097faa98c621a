"""Where records become spans of OpenTelemetry and leave by OTLP over HTTP. Runs in the thread of the outbox."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from bridge import __version__
from bridge.settings.process import TracingSettings
from bridge.tracing.context import Context
from bridge.tracing.spans import Record, Value

PATH: Final = "/v1/traces"
SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
LONGEST: Final = 256  # characters of an attribute
_SCOPE: Final = InstrumentationScope("event-bridge", __version__, SCHEMA)
_THEIRS: Final = "opentelemetry"  # the logger of the exporter


class Otlp:
    """The exporter and what all spans of this process have in common."""

    def __init__(self, settings: TracingSettings) -> None:
        """Raises what the exporter raises for variables and files that it cannot use."""
        headers = {name.lower(): value.get_secret_value() for name, value in settings.headers.items()}
        self._exporter = OTLPSpanExporter(endpoint=_address(settings.endpoint), headers=headers or None)
        self._resource = resource(settings.name)
        self._ear = _Ear()
        self._before: tuple[bool, int] | None = None

    def open(self) -> None:
        """Listen to what the exporter logs: it tells there alone why an export failed."""
        theirs = logging.getLogger(_THEIRS)
        self._before = (theirs.propagate, theirs.level)
        theirs.addHandler(self._ear)
        theirs.propagate = False
        theirs.setLevel(logging.WARNING)

    def abort(self) -> None:
        """Give up what is under way, without waiting for it; nothing more is exported."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Listen no more."""
        if self._before is not None:
            theirs = logging.getLogger(_THEIRS)
            theirs.removeHandler(self._ear)
            theirs.propagate, level = self._before
            theirs.setLevel(level)
            self._before = None

    def export(self, records: Sequence[Record]) -> str | None:
        """Send them; the reason where that failed. Takes as long as the exporter's time limit."""
        self._ear.last = ""
        result = self._exporter.export([self.span_of(record) for record in records])
        return None if result is SpanExportResult.SUCCESS else self._ear.last or "the collector did not take them"

    def span_of(self, record: Record) -> ReadableSpan:
        """Translate a record."""
        return ReadableSpan(
            record.name,
            _span_context(record.context, remote=False),
            None if record.parent is None else _span_context(record.parent, remote=True),
            self._resource,
            {name: _cut(value) for name, value in record.attributes.items()},
            (),
            [Link(_span_context(link, remote=True)) for link in record.links],
            SpanKind.CLIENT,
            None,
            Status(StatusCode.ERROR if record.failed else StatusCode.UNSET),
            record.began,
            record.ended,
            _SCOPE,
        )


class _Ear(logging.Handler):
    """Keeps the last thing that was said."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def resource(name: str | None) -> Resource:
    """Say who we are. What the settings leave out, `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` may say."""
    usual = {
        "service.name": "event-bridge",
        "service.version": __version__,
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
    }
    said = OTELResourceDetector().detect().attributes
    ours = {key: value for key, value in usual.items() if key not in said}
    return Resource.create({**ours, **({"service.name": name} if name else {})})


def _address(endpoint: str | None) -> str | None:
    return None if endpoint is None else endpoint.removesuffix(PATH) + PATH


def _span_context(context: Context, *, remote: bool) -> SpanContext:
    pairs = [] if context.state is None else [member.split("=", 1) for member in context.state.split(",")]
    return SpanContext(
        int(context.trace_id, 16),
        int(context.span_id, 16),
        remote,
        TraceFlags(context.flags),
        TraceState([(key, value) for key, value in pairs]),
    )


def _cut(value: Value) -> Value:
    return value[:LONGEST] if isinstance(value, str) else value
