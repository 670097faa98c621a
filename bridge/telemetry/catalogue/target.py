"""The target and what waits for it, and the broker's sessions."""

from __future__ import annotations

from typing import Final

from bridge.telemetry.catalogue.described import ROUTE, Described

TARGET: Final[tuple[Described, ...]] = (
    # The target, and what waits for it.
    Described(
        "bridge_sends_total",
        "counter",
        ("route", "outcome"),
        "Sends of an event by the target's answer: `accepted`, `retryable`, `rejected`, `misconfigured`, `unsent`.",
        "Retryable: the target is ill. Rejected: the event is. Misconfigured: the settings are.",
    ),
    Described(
        "bridge_request_seconds",
        "histogram",
        ("route", "outcome"),
        "How long one HTTP request took, by its outcome: `accepted`, `retryable`, `rejected`, `misconfigured`. One "
        "for several events has the worst outcome of theirs, and `rejected` if it was refused as a whole.",
        "Slow ones: the target, or the way there. Many that are not accepted: the log says what it answers.",
    ),
    Described(
        "bridge_accept_seconds",
        "histogram",
        ROUTE,
        "From first sight of an event, or from its due time, to its acceptance; outages and retries count.",
        "Compare `bridge_request_seconds`: what it has more was spent waiting.",
    ),
    Described(
        "bridge_delay_lateness_seconds",
        "histogram",
        ROUTE,
        "From an event's due time to its first send.",
        "Late by minutes: was the bridge down, or the target? Else see whether the delay levels flow.",
    ),
    Described(
        "bridge_requests_under_way",
        "gauge",
        ROUTE,
        "Requests to the target that are not answered yet.",
        "At `bridge_requests_limit` all the time: the target is what limits the route.",
    ),
    Described(
        "bridge_requests_limit",
        "gauge",
        ROUTE,
        "How many of them there may be at once: `target.http.concurrency`, or what `http.adaptive` has come to.",
        "When it falls, the target has become slower or refuses more.",
    ),
    Described(
        "bridge_breaker_state",
        "gauge",
        ("route", "state"),
        "1 for the state the breaker is in: `closed`, `open`, `half_open`.",
        "Not closed: the log line `target_held_off` has the reason. Nothing is lost meanwhile.",
    ),
    Described(
        "bridge_breaker_opened_total",
        "counter",
        ROUTE,
        "How often the breaker has opened; a probe that failed is no opening.",
        "More than now and then: the target flaps, though it may look well whenever somebody looks.",
    ),
    Described(
        "bridge_intake_paused",
        "gauge",
        ("route", "reason"),
        "1 while the intake is held back: `target`, `store`, `delay`, `dead_letters`.",
        "The reason is what is away; `event-bridge check --connect` says why.",
    ),
    # The broker's sessions.
    Described(
        "bridge_session_up",
        "gauge",
        ("route", "session"),
        "Whether the broker session stands.",
        "The log line `session_not_rebuilt` says what the broker answers; it is tried for ever.",
    ),
    Described(
        "bridge_session_rebuilds_total",
        "counter",
        ("route", "session"),
        "Broker sessions built after the first.",
        "The log line `session_lost` has the reason each time.",
    ),
    Described(
        "bridge_lag",
        "gauge",
        ("route", "session"),
        "Kafka: records of this instance's partitions that are not settled.",
        "When it grows with an idle target, give the bridge more CPU, workers or instances.",
    ),
    Described(
        "bridge_partitions_stuck",
        "gauge",
        ("route", "session"),
        "Kafka: partitions that are left alone, since what stands next in them cannot be decoded.",
        "The log line `partition_stuck` has topic, partition and offset.",
    ),
    Described(
        "bridge_records_missed_total",
        "counter",
        ("route", "session"),
        "Kafka: records that the brokers deleted before they were read.",
        "They are gone: lengthen the retention, or let the bridge keep up.",
    ),
)
