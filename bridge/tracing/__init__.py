"""
Spans about requests to the targets, sent over OTLP. Imported only where `tracing.enabled` is set.

`spans` and `context` run beside the events and know no OpenTelemetry; `otlp` turns their records into what its exporter
takes, in the thread of `outbox`.
"""
