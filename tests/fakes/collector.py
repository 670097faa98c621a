"""
A collector of OpenTelemetry, as far as traces over OTLP/HTTP go (protocol 1.9): it decodes what comes, and keeps it.

    async with Collector() as collector:
        ...  collector.url, await collector.until(3)
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.fakes.hostile import HostileServer, Received, plain


@dataclass(frozen=True)
class Told:
    """One span, as the collector got it. Ids are hex digits, "" where there is none."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    kind: int
    failed: bool
    links: tuple[tuple[str, str], ...]  # trace and span
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def traceparent(self) -> str:
        """The header of a request that was made in it."""
        return f"00-{self.trace_id}-{self.span_id}-01"


class Collector:
    """Takes spans, by HTTP with protobuf, at `/v1/traces`."""

    def __init__(self) -> None:
        self._server = HostileServer(self._answer)
        self.spans: list[Told] = []
        self.requests: list[Received] = []

    @property
    def url(self) -> str:
        return self._server.url

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.__aexit__(kind, error, trace)

    async def until(self, count: int, seconds: float = 60.0) -> list[Told]:
        """Wait for so many spans, and give all that came by then."""
        async with asyncio.timeout(seconds):
            while len(self.spans) < count:  # noqa: ASYNC110  the server's own task adds to it
                await asyncio.sleep(0.02)
        return self.spans

    async def _answer(self, received: Received, writer: asyncio.StreamWriter) -> None:
        fits = received.target == "/v1/traces" and received.headers["content-type"] == "application/x-protobuf"
        if fits:
            self.requests.append(received)
            self.spans += _spans(ExportTraceServiceRequest.FromString(received.body))
        await plain(200 if fits else 404, b"", "content-type: application/x-protobuf")(received, writer)


def _spans(request: ExportTraceServiceRequest) -> list[Told]:
    return [
        _told(span, {pair.key: _value(pair.value) for pair in of_resource.resource.attributes})
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _told(span: Span, resource: dict[str, Any]) -> Told:
    return Told(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        state=span.trace_state,
        kind=span.kind,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes={pair.key: _value(pair.value) for pair in span.attributes},
        resource=resource,
    )


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
