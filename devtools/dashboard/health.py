"""The first row: is it delivering, how late, and why not."""

from __future__ import annotations

from devtools.dashboard.panels import ANY, GREEN, ORANGE, RED, Panels, Values, ask, figure, graph, states
from devtools.dashboard.promql import increase, largest, of_process, of_route, quantile, rate, share, smallest, total

SENT = 'outcome=~"accepted|retryable|rejected|misconfigured"'
FAILED = 'outcome=~"retryable|rejected|misconfigured"'

BREAKER: Values = {(0, 0): ("closed", GREEN), (1, 1): ("probing", ORANGE), (2, 3): ("OPEN", RED)}
INTAKE: Values = {(0, 0): ("flowing", GREEN), (1, 1000): ("HELD BACK", RED)}
FINE: Values = {(0, 0): ("fine", GREEN), (1, 1): ("not", RED)}


def panels() -> Panels:
    return [*_figures(), *_graphs()]


def _figures() -> Panels:
    breaker = of_route("bridge_breaker_state", 'state="half_open"')
    opened = of_route("bridge_breaker_state", 'state="open"')
    return [
        figure(
            "Bridges up",
            "Processes that answer Prometheus, of those that are looked at. None: look at the pods before all else; "
            "events wait in the broker meanwhile.",
            ask(f"sum({of_process('up')})", "up"),
            unit="none",
            steps=((0, RED), (1, GREEN)),
            decimals=0,
            runbook="BridgeGone",
        ),
        figure(
            "Delivered",
            "Events that the target has accepted, a second. Zero is fine while nothing is published; compare with "
            "Received below.",
            ask(total(rate(of_route("bridge_events_total", 'result="accepted"'))), "delivered"),
            unit="eps",
        ),
        figure(
            "Failed sends",
            "The share of sends that the target did not accept. They are tried again; look at Sends below for how "
            "they fail, and at the target's own log for why.",
            ask(
                share(
                    total(rate(of_route("bridge_sends_total", FAILED))),
                    total(rate(of_route("bridge_sends_total", SENT))),
                ),
                "failed",
            ),
            unit="percentunit",
            steps=((0.01, ORANGE), (0.1, RED)),
            runbook="BridgeDeliveryBurnsFast",
        ),
        figure(
            "Oldest event",
            "How long the oldest delivery that could go on is unsettled. It grows while the target, the store or the "
            "dead letters are away: the panel Why not says which.",
            ask(largest(of_route("bridge_oldest_event_seconds")), "oldest"),
            unit="s",
            steps=((60, ORANGE), (300, RED)),
            runbook="BridgeOldestEvent",
        ),
        figure(
            "Breaker",
            "Open: the target is down or refuses us, and nothing is sent but a probe now and then. The log line "
            "target_held_off says why. Nothing is lost and no attempt is used up.",
            ask(f"max({breaker} + ignoring(state) 2 * {opened})", "breaker"),
            unit="none",
            values=BREAKER,
            runbook="BridgeBreakerOpen",
        ),
        figure(
            "Intake",
            "Held back: nothing new is taken from the broker, for the reason that Why not names.",
            ask(f"sum({largest(of_route('bridge_intake_paused'), 'route', 'reason')})", "paused"),
            unit="none",
            values=INTAKE,
            runbook="BridgeIntakePaused",
        ),
        figure(
            "Sessions down",
            "Sessions with a broker that do not stand. The bridge tries again for ever; after a minute, look at the "
            "broker, and at the log line session_lost.",
            ask(f"sum(1 - {of_route('bridge_session_up')})", "down"),
            unit="none",
            steps=ANY,
            decimals=0,
            runbook="BridgeSessionDown",
        ),
        figure(
            "Dead letters, 1 h",
            "Events buried within the last hour. Read why with event-bridge dlq list, mend the cause, replay them.",
            ask(f"ceil({total(increase(of_route('bridge_events_buried_total'), '1h'))})", "buried"),
            unit="none",
            steps=ANY,
            decimals=0,
            runbook="BridgeDeadLetters",
        ),
    ]


def _graphs() -> Panels:
    accept = of_route("bridge_accept_seconds_bucket")
    closed = smallest(of_route("bridge_breaker_state", 'state="closed"'), "route")
    standing = smallest(of_route("bridge_session_up"), "route")
    return [
        graph(
            "What became of events",
            "Each event, by what became of it. Green is delivered; orange waits for its next attempt; red is buried "
            "and wants somebody to look. A parked one waits in the process and counts again when it goes on.",
            ask(f"{total(rate(of_route('bridge_events_total')), 'result')} > 0", "{{result}}"),
            unit="eps",
            stacked=True,
        ).span(10),
        graph(
            "How late",
            "From first sight of an event to its acceptance, and the age of the oldest one that is not there yet. "
            "If only p99 is high, some requests are slow or tried again; if all is, the target is.",
            ask(quantile(0.5, accept), "p50"),
            ask(quantile(0.99, accept), "p99"),
            ask(largest(of_route("bridge_oldest_event_seconds"), "route"), "oldest {{route}}"),
            unit="s",
            runbook="BridgeOldestEvent",
        ).span(7),
        states(
            "Why not",
            "Red is what keeps events from going: the breaker, what the intake is held back for, a session that is "
            "down. Start with the topmost red line.",
            ask(f"1 - {closed}", "{{route}}: breaker"),
            ask(largest(of_route("bridge_intake_paused"), "reason"), "held for {{reason}}"),
            ask(f"1 - {standing}", "{{route}}: broker"),
            values=FINE,
            runbook="BridgeIntakePaused",
        ).span(7),
    ]
