"""The last row: the processes themselves."""

from __future__ import annotations

from devtools.dashboard.panels import ANY, Panels, ask, ask_now, graph, rows_of
from devtools.dashboard.promql import INTERVAL, increase, largest, of_process, of_route, quantile, rate, total


def panels() -> Panels:
    lag = of_process("bridge_event_loop_lag_seconds_bucket")
    alive = total(of_process("up"))
    return [
        graph(
            "CPU",
            "Cores in use. At 1 a worker is full: take more with workers, or spread the load over instances.",
            ask(total(rate(of_process("process_cpu_seconds_total")), "instance"), "{{instance}}"),
            unit="suffix:cores",
        ).span(6),
        graph(
            "Memory",
            "Resident memory. It is bounded by limits.max_in_flight_bytes, store.max_keys and timing.max_parked.",
            ask(total(of_process("process_resident_memory_bytes"), "instance"), "{{instance}}"),
            unit="bytes",
        ).span(6),
        graph(
            "Event loop lag",
            "How much later than asked the event loop runs. More than some milliseconds: too little CPU, or a "
            "starved machine; heartbeats to brokers suffer next.",
            ask(quantile(0.5, lag), "p50"),
            ask(quantile(0.99, lag), "p99"),
            unit="s",
            runbook="BridgeEventLoopSlow",
        ).span(6),
        graph(
            "Garbage collections",
            "Runs of Python's collector by generation. Many of generation 2 cost CPU; they come with large batches.",
            ask(total(rate(of_process("python_gc_collections_total")), "generation"), "generation {{generation}}"),
            unit="ops",
        ).span(6),
        graph(
            "Bugs survived, and restarts",
            "Faults are bugs of the bridge that a batch survived: their tracebacks are in the log, report them. A "
            "restart nobody asked for is in the pod's events.",
            ask(total(increase(of_route("bridge_faults_total"))), "faults"),
            ask(f"sum(changes({of_process('process_start_time_seconds')}[{INTERVAL}]))", "restarts"),
            ask(f"{total(increase(of_process('bridge_worker_restarts_total')))} or 0 * {alive}", "worker restarts"),
            unit="short",
            bars=True,
            steps=ANY,
            runbook="BridgeFaults",
        ).span(8),
        graph(
            "Open files",
            "Files and sockets, as a share of what the process may open.",
            ask(
                largest(f"{of_process('process_open_fds')} / {of_process('process_max_fds')}", "instance"),
                "{{instance}}",
            ),
            unit="percentunit",
        ).span(8),
        rows_of(
            "Versions",
            "What runs. Two versions are an upgrade under way, or one that stopped half way.",
            ask_now(of_process("bridge_build_info"), "{{instance}}"),
            "instance",
            "version",
            "python",
            "event_loop",
        ).span(8),
    ]
