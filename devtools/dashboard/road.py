"""The rows along the road of an event: the source, the target, what is known of it, the delay, and the dead letters."""

from __future__ import annotations

from devtools.dashboard.health import FAILED, SENT
from devtools.dashboard.panels import (
    ANY,
    ORANGE,
    RED,
    Panels,
    ask,
    ask_now,
    ask_with_traces,
    figures,
    graph,
    heat,
    lengths,
)
from devtools.dashboard.promql import (
    increase,
    of_process,
    of_route,
    quantile,
    rate,
    share,
    total,
)

DOZENS = ((1, ORANGE), (100, RED))


def source() -> Panels:
    received = total(of_route("bridge_deliveries_received_total"), "route", "stage")
    settled = total(of_route("bridge_deliveries_settled_total"), "route", "stage")
    flying = total(of_route("bridge_deliveries_in_flight"), "route", "stage")
    return [
        graph(
            "Received",
            "Deliveries taken from the broker: intake comes from publishers, due comes back from the delay line. "
            "Nothing, while the queue is not empty: look at Why not.",
            ask(total(rate(of_route("bridge_deliveries_received_total")), "route", "stage"), "{{route}} {{stage}}"),
            unit="eps",
            runbook="BridgeStalled",
        ),
        graph(
            "Lag",
            "What the broker still has for us. It grows when more is published than the target takes: see Requests "
            "under way, and raise target.http.concurrency if the target can take more.",
            ask(total(of_route("bridge_lag"), "route", "session"), "{{route}} {{session}}"),
            unit="short",
            runbook="BridgeBacklogGrows",
        ),
        graph(
            "In flight",
            "Received and not settled: at work, waiting in the process for a time of their own, or in line behind "
            "another event of their key. Bounded by limits and prefetch; flat at the bound means that the target "
            "is the narrow place.",
            ask(total(of_route("bridge_deliveries_in_flight"), "route", "stage"), "{{route}} {{stage}}"),
            ask(total(of_route("bridge_events_parked")), "waiting for their time"),
            ask(total(of_route("bridge_events_in_line")), "in line"),
            unit="short",
        ),
        graph(
            "Sessions",
            "Sessions built anew, and what that cost: settlements that came too late (the broker delivers those "
            "again) and deliveries given back. Many: network, heartbeats, consumer timeout, or a starved process.",
            ask(
                f"{total(increase(of_route('bridge_session_rebuilds_total')), 'session')} > 0", "{{session}} built anew"
            ),
            ask(total(increase(of_route("bridge_deliveries_forgotten_total"))), "settled too late"),
            ask(total(increase(of_route("bridge_deliveries_settled_total", 'verdict="return"'))), "given back"),
            unit="short",
            bars=True,
            runbook="BridgeSessionFlapping",
        ),
        graph(
            "Books",
            "Received, less settled, less in flight: zero, always. A scrape in the middle of nothing shows no "
            "difference either; anything else that stays is a bug of the bridge. Keep the log, and report it.",
            ask(f"abs({received} - {settled} - {flying})", "{{route}} {{stage}} unaccounted for"),
            unit="short",
            steps=ANY,
            runbook="BridgeLawBroken",
        ),
        graph(
            "Stuck or missed",
            "Keys that one event holds up, Kafka partitions that nobody can decode, records that Kafka deleted "
            "before they were read, events that gave up their order. The log lines key_stuck, partition_stuck and "
            "offsets_truncated say where.",
            ask(total(of_route("bridge_keys_stuck")), "keys stuck"),
            ask(total(of_route("bridge_partitions_stuck")), "partitions stuck"),
            ask(total(increase(of_route("bridge_records_missed_total"))), "records missed"),
            ask(total(increase(of_route("bridge_order_given_up_total"))), "order given up"),
            unit="short",
            steps=ANY,
            runbook="BridgeKeyStuck",
        ),
    ]


def target() -> Panels:
    buckets = of_route("bridge_request_seconds_bucket")
    failed = total(rate(of_route("bridge_sends_total", FAILED)), "route")
    sent = total(rate(of_route("bridge_sends_total", SENT)), "route")
    return [
        graph(
            "Requests",
            "HTTP requests to the target, by what came of them. An array of events is one request.",
            ask(f"{total(rate(of_route('bridge_request_seconds_count')), 'outcome')} > 0", "{{outcome}}"),
            unit="reqps",
            stacked=True,
        ).span(6),
        graph(
            "Sends",
            "Sends of single events, by the target's answer: retryable ones are tried again, rejected ones are "
            "buried, misconfigured means our key or URL is wrong, unsent that no request was made.",
            ask(f"{total(rate(of_route('bridge_sends_total')), 'outcome')} > 0", "{{outcome}}"),
            unit="eps",
            stacked=True,
            runbook="BridgeDeliveryBurnsFast",
        ).span(6),
        graph(
            "Failed share",
            "The share of sends that failed, by route. The dashed lines are 1 % and 10 %.",
            ask(share(failed, sent), "{{route}}"),
            unit="percentunit",
            steps=((0.01, ORANGE), (0.1, RED)),
            runbook="BridgeDeliveryBurnsFast",
        ).span(6),
        graph(
            "Breaker opened",
            "How often the breaker has opened. Again and again: the target works for a moment and fails under load; "
            "lower target.http.concurrency.",
            ask(total(increase(of_route("bridge_breaker_opened_total")), "route"), "{{route}}"),
            unit="short",
            bars=True,
            runbook="BridgeBreakerOpen",
        ).span(6),
        graph(
            "Request duration",
            "From the first byte of a request to the end of its answer. Slow, while our CPU is idle: the target is.",
            ask(quantile(0.5, buckets), "p50"),
            ask(quantile(0.9, buckets), "p90"),
            ask_with_traces(quantile(0.99, buckets), "p99"),
            unit="s",
        ),
        heat(
            "Request duration, all of it",
            "How many requests took how long. Two bands are two kinds of answers; a band at the top is the time "
            "limit. With traces on, a dot is one request that has one.",
            total(increase(buckets), "le"),
            unit="s",
        ),
        graph(
            "Requests under way",
            "Requests without an answer yet, and how many there may be. At the limit all the time, with a lag: "
            "raise target.http.concurrency, if the target can take more.",
            ask(total(of_route("bridge_requests_under_way"), "route"), "{{route}} under way"),
            ask(total(of_route("bridge_requests_limit"), "route"), "{{route}} limit"),
            unit="short",
        ),
    ]


def dedup() -> Panels:
    duplicates = total(rate(of_route("bridge_events_total", 'result="duplicate"')), "route")
    claimed = total(rate(of_route("bridge_events_total", 'result=~"accepted|duplicate"')), "route")
    return [
        graph(
            "Duplicates settled",
            "The share of events that had been delivered before and were settled without a send. A jump after a "
            "restart is redelivery; a steady share is a publisher that says things twice.",
            ask(share(duplicates, claimed), "{{route}}"),
            unit="percentunit",
        ).span(6),
        graph(
            "Possible second sends",
            "Whatever may cost a second send of one event: marks not taken, claims lost, events sent past a store "
            "that was away. And ids that came with another payload.",
            ask(total(increase(of_route("bridge_marks_failed_total"))), "marks failed"),
            ask(total(increase(of_route("bridge_leases_lost_total"))), "claims lost"),
            ask(total(increase(of_route("bridge_store_bypassed_total"))), "store bypassed"),
            ask(total(increase(of_route("bridge_id_conflicts_total"))), "same id, other payload"),
            unit="short",
            bars=True,
            runbook="BridgeSecondSends",
        ).span(6),
        graph(
            "Ids in the store",
            "Ids remembered as done, at work, and waiting for their time. Done ones reach a plateau after store.ttl; "
            "raise store.max_keys before they reach that.",
            ask(total(of_process("bridge_store_keys")), "done"),
            ask(total(of_process("bridge_store_claims")), "at work"),
            ask(total(of_process("bridge_store_scheduled")), "waiting"),
            unit="short",
            runbook="BridgeStoreForgets",
        ).span(6),
        figures(
            "Health of the store",
            "All zero is good. Sick: it cannot write, the log says why. Damaged: blocks set aside, their ids are "
            "forgotten. Evicted or unrecorded: store.max_keys is too small.",
            ask(f"sum(1 - {of_process('bridge_store_healthy')})", "sick"),
            ask(total(of_process("bridge_store_damaged")), "damaged"),
            ask(total(of_process("bridge_store_evicted")), "evicted"),
            ask(total(of_process("bridge_store_unrecorded")), "unrecorded"),
            unit="short",
            steps=ANY,
            runbook="BridgeStoreDamaged",
        ).span(6),
    ]


def delay() -> Panels:
    late = of_route("bridge_delay_lateness_seconds_bucket")
    waiting = 'result=~"scheduled|retried|deferred|cancelled"'
    return [
        graph(
            "Put off",
            "Events that were put off: scheduled by their publisher, retried after a failure, deferred while the "
            "target was held off, or cancelled.",
            ask(f"{total(rate(of_route('bridge_events_total', waiting)), 'result')}", "{{result}}"),
            unit="eps",
            stacked=True,
        ).span(6),
        graph(
            "Coming due",
            "Deliveries that come back from the delay line. Nothing, while something waits and should be due: a "
            "level of the delay line is frozen.",
            ask(
                total(rate(of_route("bridge_deliveries_received_total", 'stage="due"')), "route"),
                "{{route}}",
            ),
            unit="eps",
            runbook="BridgeDelayLevelFrozen",
        ).span(6),
        graph(
            "Lateness",
            "From the time an event was due to its first send. Some milliseconds are normal; seconds mean that the "
            "process has too little CPU or the target too little room.",
            ask(quantile(0.5, late), "p50"),
            ask(quantile(0.99, late), "p99"),
            unit="s",
            steps=((1, RED),),
            runbook="BridgeLate",
        ).span(6),
        graph(
            "Orders to cancel and move",
            "Orders of publishers by what they came to: too_late when the event had gone, unknown when no such "
            "event waits.",
            ask(f"{total(increase(of_route('bridge_control_total')), 'op', 'result')} > 0", "{{op}} {{result}}"),
            unit="short",
            bars=True,
        ).span(6),
    ]


def dead() -> Panels:
    buried = of_route("bridge_events_buried_total")
    return [
        graph(
            "Buried",
            "Dead letters as they arrive, by kind. poison and rejected: mend the publisher. exhausted and expired: "
            "mend the target. Then event-bridge dlq replay.",
            ask(f"{total(increase(buried), 'kind')} > 0", "{{kind}}"),
            unit="short",
            bars=True,
            runbook="BridgeDeadLetters",
        ).span(14),
        lengths(
            "Buried, over the time looked at",
            "How many of each route and kind.",
            ask_now(f"ceil({total(increase(buried, '$__range'), 'route', 'kind')}) > 0", "{{route}} {{kind}}"),
            unit="short",
            steps=DOZENS,
            runbook="BridgeDeadLetters",
        ).span(10),
    ]
