"""Tracing as the process sees it: opened, given to targets, closed. Importing it needs the extra `otel`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from bridge.model import Envelope
from bridge.settings.process import TracingSettings
from bridge.targets import HttpTarget
from bridge.telemetry.redaction import redact
from bridge.tracing import environment
from bridge.tracing.context import context_of
from bridge.tracing.otlp import Otlp
from bridge.tracing.outbox import Outbox
from bridge.tracing.spans import RequestTracer

log = logging.getLogger(__name__)

FLUSH: Final = 3.0  # seconds for the last spans at the end


class Tracing:
    """
    The spans of one process.

    What is wrong with the exporter, its address or its variables never keeps the bridge from starting: it is logged,
    and the bridge runs without spans.
    """

    def __init__(self, settings: TracingSettings, variables: Mapping[str, str]) -> None:
        redact.hide(environment.secrets_of(variables))
        self._otlp: Otlp | None = None
        self._sampler = environment.sampler_of(settings.sample_ratio, variables)
        if environment.disabled(variables):
            log.warning("tracing_off", extra={"reason": f"{environment.DISABLED} is set"})
            return
        try:
            self._otlp = Otlp(settings)
        except Exception as error:  # noqa: BLE001  whatever it is, events matter more
            log.warning("tracing_off", extra={"reason": redact(f"{type(error).__name__}: {error}")})
            return
        self._outbox = Outbox(
            self._otlp.export,
            self._otlp.abort,
            room=environment.number(variables, "OTEL_BSP_MAX_QUEUE_SIZE", 2048),
            batch=environment.number(variables, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
            delay=environment.number(variables, "OTEL_BSP_SCHEDULE_DELAY", 5000) / 1000,
        )

    def watch(self, target: HttpTarget, route: str, api: str) -> None:
        """Write spans about the requests of a target."""
        if self._otlp is not None:
            target.trace_with(
                RequestTracer(
                    self._outbox.put,
                    self._sampler,
                    route=route,
                    api=api,
                    origin=target.origin,
                    propagate=target.propagates,
                )
            )

    def trace_of(self, event: Envelope) -> str | None:
        """Give the id of the trace that an event is recorded in, where its publisher has begun that."""
        if self._otlp is None or (context := context_of(event.trace)) is None:
            return None
        return context.trace_id if self._sampler.takes(context.trace_id, (context,)) else None

    def open(self) -> None:
        if self._otlp is not None:
            self._otlp.open()
            self._outbox.open()

    async def close(self) -> None:
        """Export what is left, within `FLUSH` seconds."""
        if self._otlp is not None:
            await self._outbox.close(FLUSH)
            self._otlp.close()
