"""The key store and the process, which all routes share."""

from __future__ import annotations

from typing import Final

from bridge.telemetry.catalogue.described import Described

PROCESS: Final[tuple[Described, ...]] = (
    # The key store.
    Described("bridge_store_keys", "gauge", (), "Ids remembered as done.", "Memory follows it: `store.max_keys`."),
    Described(
        "bridge_store_claims",
        "gauge",
        (),
        "Ids being worked on; of a shared store, by all that share it.",
        "Far above what is in flight: those of an instance that died. They end by themselves.",
    ),
    Described(
        "bridge_store_scheduled",
        "gauge",
        (),
        "Ids of events that wait, or were cancelled.",
        "Each takes a place of `store.max_keys`.",
    ),
    Described(
        "bridge_store_healthy",
        "gauge",
        (),
        "Whether the last write to disk went through.",
        "0: the disk is full, read-only or damaged; the log says which.",
    ),
    Described(
        "bridge_store_evicted",
        "gauge",
        (),
        "Ids forgotten before their ttl because of `store.max_keys`.",
        "Raise that, or lower the ttl: duplicates of these would pass.",
    ),
    Described(
        "bridge_store_unrecorded",
        "gauge",
        (),
        "Delayed events held without a record because of `store.max_keys`.",
        "They come due all the same, but cannot be cancelled or moved: raise that.",
    ),
    Described(
        "bridge_store_damaged",
        "gauge",
        (),
        "Damaged blocks found and set aside.",
        "Look at the disk: what they knew is forgotten.",
    ),
    # The process.
    Described(
        "bridge_event_loop_lag_seconds",
        "histogram",
        (),
        "How much later than asked for the event loop went on, four times a second.",
        "Beyond 0.1 s: no CPU left for the process (throttled, or neighbours), or bodies of many megabytes.",
    ),
)
