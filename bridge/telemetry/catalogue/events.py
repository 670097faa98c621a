"""What comes in, and what becomes of it."""

from __future__ import annotations

from typing import Final

from bridge.telemetry.catalogue.described import ROUTE, Described

EVENTS: Final[tuple[Described, ...]] = (
    Described(
        "bridge_build_info",
        "gauge",
        ("version", "python", "event_loop"),
        "1. The bridge that runs, on which Python and event loop.",
        "When it is gone, nothing runs or nothing can be scraped.",
    ),
    # What stands beside the law: received = settled + in flight.
    Described(
        "bridge_deliveries_received_total",
        "counter",
        ("route", "stage"),
        "Deliveries taken from the broker: `intake` from publishers, `due` from the delay line.",
        "When it stands still, compare `bridge_lag`, `bridge_session_up` and `bridge_intake_paused`.",
    ),
    Described(
        "bridge_deliveries_settled_total",
        "counter",
        ("route", "stage", "verdict"),
        "Deliveries the broker was told about: `settle` is done, `return` went back at a shutdown, or was taken back "
        "while it waited.",
        "With `bridge_deliveries_in_flight` it adds up to what was received; if not, report a bug.",
    ),
    Described(
        "bridge_deliveries_in_flight",
        "gauge",
        ("route", "stage"),
        "Deliveries that are received and not settled yet.",
        "At the limits of the settings and not moving: see `bridge_oldest_event_seconds`.",
    ),
    Described(
        "bridge_deliveries_forgotten_total",
        "counter",
        ROUTE,
        "Settlements that came after their session was lost; the broker delivers these again.",
        "Steady growth means that sessions keep breaking: see `bridge_session_rebuilds_total`.",
    ),
    Described(
        "bridge_oldest_event_seconds",
        "gauge",
        ROUTE,
        "Age of the oldest event that is not safe yet although it could go on; 0 without one. It counts from first "
        "sight, from the event's due time, or from that of its next attempt, whichever is last.",
        "When it grows, look at `bridge_breaker_state` and `bridge_intake_paused`, then at `bridge_request_seconds`.",
    ),
    # What becomes of events.
    Described(
        "bridge_events_total",
        "counter",
        ("route", "result"),
        "Events by what became of them: `accepted`, `duplicate`, `scheduled`, `retried`, `deferred`, `cancelled`, "
        "`filtered`, `control` (an order, not an event), `poison`, `dead`, `returned`; `parked` ones come again.",
        "Many that are retried or deferred: see what the target answers. Many duplicates: somebody publishes twice.",
    ),
    Described(
        "bridge_events_buried_total",
        "counter",
        ("route", "kind"),
        "Dead letters: `poison`, `rejected`, `exhausted`, `expired`, `stuck`, `too_late`, `conflict`.",
        "Read why with `event-bridge dlq list`, correct the cause, replay.",
    ),
    Described(
        "bridge_control_total",
        "counter",
        ("route", "op", "result"),
        "Orders to `cancel` or `reschedule` by what they came to: `done`, `too_late`, `unknown`, `refused`.",
        "Many that are unknown: a wrong id, or the order came before its event.",
    ),
    Described(
        "bridge_id_conflicts_total",
        "counter",
        ROUTE,
        "Events whose id was seen before with another payload.",
        "A publisher reuses ids: tell publishers apart with `dedup.scope`.",
    ),
    Described(
        "bridge_naming_complaints_total",
        "counter",
        ROUTE,
        "Events whose name breaks the convention.",
        "The log line `event_name` has the name and what is wrong with it.",
    ),
    Described(
        "bridge_store_bypassed_total",
        "counter",
        ROUTE,
        "Events sent without a claim while the key store was away.",
        "Bring the store back: until then a copy may be sent twice.",
    ),
    Described(
        "bridge_marks_failed_total",
        "counter",
        ROUTE,
        "Marks the key store could not take; each may cost a second send.",
        "See whether the store is up, and has room.",
    ),
    Described(
        "bridge_leases_lost_total",
        "counter",
        ROUTE,
        "Claims that ended before their event did; each may cost a second send.",
        "The process hung (`bridge_event_loop_lag_seconds`) or the store was away for longer than a lease.",
    ),
    Described(
        "bridge_faults_total",
        "counter",
        ROUTE,
        "Bugs of ours that a batch or a delivery survived.",
        "The traceback is in the log: report it.",
    ),
    Described(
        "bridge_order_given_up_total",
        "counter",
        ROUTE,
        "Events that RabbitMQ got back so often that their order was given up for their safety.",
        "Find out why sessions keep ending: `bridge_session_rebuilds_total`.",
    ),
    Described(
        "bridge_events_parked",
        "gauge",
        ROUTE,
        "Events that wait in the process for a time of their own.",
        "At `timing.max_parked` further ones go to the delay line: no harm.",
    ),
    Described(
        "bridge_events_in_line",
        "gauge",
        ROUTE,
        "With `ordering: key`, events that wait behind another one of their key.",
        "When it only grows, a few keys get most of the events, or `bridge_keys_stuck` says more.",
    ),
    Described(
        "bridge_keys_stuck",
        "gauge",
        ROUTE,
        "With `on_stuck: block`, keys that an event has held up for `stuck_after`.",
        "The log line `key_stuck` names the event and what the target says to it.",
    ),
)
