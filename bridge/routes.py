"""Builds one route from its settings: adapters, gate and pipeline, not yet opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.apis import TargetSettings
from bridge.core.breaker import BreakerPolicy
from bridge.core.fingerprints import Fingerprints
from bridge.core.keys import scope_of
from bridge.core.lanes import StuckRule
from bridge.core.retry import RetryPolicy
from bridge.core.slots import Rules
from bridge.core.tally import Tally
from bridge.formats import build_format, envelope, naming
from bridge.formats.control import ControlReader
from bridge.gate import Gate
from bridge.model import Backlog
from bridge.ordering import Ordering, header_key, key_of_source
from bridge.pipeline import Pipeline
from bridge.ports import Format, KeyStore, Resource
from bridge.route import Limits, Parts
from bridge.settings.policies import BreakerSettings, FilterSettings, RetrySettings
from bridge.settings.tree import Route as RouteSettings
from bridge.settings.tree import Settings
from bridge.targets import HttpTarget, build_target
from bridge.targets.http import Observer
from bridge.telemetry.metrics import Watched
from bridge.telemetry.redaction import redact
from bridge.unpacking import Unpacker

LEASE_MARGIN = 10.0  # seconds a claim outlives the longest request
MEMORY_TIMEOUT = 30.0  # seconds; a target in memory has no timeout of its own

_AWAITED = {"store": "the key store", "delay": "the delay line", "dead_letters": "the dead letters"}
"""What keeps a route from consuming, by the reason of the intake."""


@dataclass(slots=True, frozen=True)
class Route:
    """A built route."""

    name: str
    parts: Parts
    pipeline: Pipeline
    tally: Tally

    def resources(self) -> Sequence[tuple[str, Resource]]:
        """In the order of opening: what makes events safe comes before what brings them in."""
        parts = self.parts
        return [
            ("dead_letters", parts.dead_letters),
            ("target", parts.target),
            ("delay", parts.delay),
            ("source", parts.source),
        ]

    def not_consuming(self) -> list[str]:
        """Why nothing comes in: sessions that do not stand, and what the intake waits for, the target aside."""
        apart = [f"{name} is not connected" for name, up in self._connected().items() if not up]
        return apart + [f"the intake waits for {what}" for name, what in _AWAITED.items() if self.tally.paused[name]]

    def watched(self) -> Watched:
        """The route as the metrics see it."""
        gate = self.parts.gate
        return Watched(
            tally=self.tally,
            breaker=lambda: gate.state,
            reconnects=self._reconnects,
            connected=self._connected,
            forgotten=self._forgotten,
            backlogs=self._backlogs,
            requests=self._requests,
            opened=lambda: gate.opened,
            oldest=self.pipeline.oldest,
        )

    def _requests(self) -> tuple[int, int]:
        target = self.parts.target
        return (target.under_way, target.limit) if isinstance(target, HttpTarget) else (0, 0)

    def _connected(self) -> Mapping[str, bool]:
        return {name: bool(getattr(part, "connected", True)) for name, part in self._sessions()}

    def _reconnects(self) -> Mapping[str, int]:
        return {name: int(getattr(part, "rebuilds", 0)) for name, part in self._sessions()}

    def _backlogs(self) -> Mapping[str, Backlog]:
        return {name: found for name, part in self._sessions() if (found := getattr(part, "backlog", None)) is not None}

    @property
    def shared(self) -> bool:
        """Whether other instances take deliveries of the same source, as far as this one can know."""
        backlog: Backlog | None = getattr(self.parts.source, "backlog", None)
        return backlog is not None and backlog.shared

    def _forgotten(self) -> int:
        late = sum(int(getattr(part, "forgotten", 0)) for _, part in self._sessions())
        return late + self.tally.forgotten

    def _sessions(self) -> Sequence[tuple[str, object]]:
        parts = self.parts
        return [
            ("source", parts.source),
            ("due", parts.delay.due),
            ("delay", parts.delay),
            ("dead_letters", parts.dead_letters),
        ]


def build_route(name: str, route: RouteSettings, store: KeyStore, settings: Settings) -> Route:
    """Build everything of a route. Raises ConfigError."""
    tally = Tally()
    target = build_target(route.target, where=f"routes.{name}.target")
    gate = Gate(_breaker(route.breaker), refresh=target.refresh, longest_pause=route.retry.max_retry_after)
    if isinstance(target, HttpTarget):
        target.may_send = gate.may_send
        target.quick_tries = lambda: gate.healthy
        target.heard = gate.hear
        target.observe = _observing(tally)
        target.hide = redact.hide
    parts = Parts(
        source=route.source.build(name),
        delay=route.delay.build(name, source=route.source, window=route.timing.hold_window),
        dead_letters=route.dead_letters.build(name, source=route.source),
        store=store,
        target=target,
        gate=gate,
    )
    pipeline = Pipeline(
        parts,
        _unpacker(name, route, tally),
        _rules(name, route),
        _limits(route, settings),
        tally,
        native_delay=route.timing.native == "auto" and not _is_movable(route),
        ordering=_ordering(route, tally),
    )
    return Route(name, parts, pipeline, tally)


def _observing(tally: Tally) -> Observer:
    def observe(outcome: str, seconds: float, trace_id: str | None) -> None:
        at = None if trace_id is None else time.time_ns() // 1_000_000
        tally.requests[outcome].add(seconds, 1, trace_id, at)

    return observe


def scope_of_route(name: str, route: RouteSettings) -> bytes:
    """The part that all keys of a route have in common."""
    return scope_of(name, route.target.type, route.dedup.scope)


def format_of(route: RouteSettings) -> Format:
    """What reads the bodies of a route."""
    return build_format(
        route.format,
        max_event_bytes=route.limits.max_event_bytes,
        max_depth=route.limits.max_depth,
        missing_id=route.dedup.missing_id,
    )


def _unpacker(name: str, route: RouteSettings, tally: Tally) -> Unpacker:
    limits, dedup = route.limits, route.dedup
    read = format_of(route)
    control = ControlReader(read, limits.max_event_bytes, limits.max_depth).read if route.control.enabled else None
    return Unpacker(
        route=name,
        scope=scope_of_route(name, route),
        format=read,
        checksum=envelope.checksum,
        unseal=envelope.decode,
        tally=tally,
        fingerprints=Fingerprints(),
        bury_conflicts=dedup.on_conflict == "bury",
        complaint=None if route.naming is naming.Naming.OFF else naming.complaint,
        reject_names=route.naming is naming.Naming.REJECT,
        wanted=_wanted(route.filter),
        bury_unwanted=route.filter.unmatched == "bury",
        control=control,
        last_delay_wins=dedup.on_conflict_delay == "last",
    )


def _is_movable(route: RouteSettings) -> bool:
    """Whether an event may be cancelled or moved after it was published, so that no target may have it before."""
    return route.control.enabled or route.dedup.on_conflict_delay == "last"


def _wanted(rule: FilterSettings) -> Callable[[str], bool] | None:
    if rule.include == ("*",) and not rule.exclude:
        return None

    def wanted(name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in rule.include) and not any(
            fnmatchcase(name, pattern) for pattern in rule.exclude
        )

    return wanted


def _rules(name: str, route: RouteSettings) -> Rules:
    return Rules(
        route=name,
        retry=_retry(route.retry),
        seal=envelope.encode,
        hold_window=int(route.timing.hold_window * 1000),
        max_delay=int(route.timing.max_delay * 1000),
    )


def _limits(route: RouteSettings, settings: Settings) -> Limits:
    limits, timing = route.limits, route.timing
    return Limits(
        batch=limits.batch,
        linger=limits.linger,
        in_flight=limits.max_in_flight,
        in_flight_bytes=limits.max_in_flight_bytes,
        parked=timing.max_parked,
        parked_at_intake=min(timing.max_parked, getattr(route.source, "prefetch", timing.max_parked * 2) // 2),
        lease=_timeout(route.target) + LEASE_MARGIN,
        ttl=settings.store.ttl,
        max_hold=limits.max_hold,
        drain=settings.drain_timeout,
        bypass_store=route.dedup.store_down == "forward",
    )


def _timeout(target: TargetSettings) -> float:
    return getattr(getattr(target, "http", None), "timeout", MEMORY_TIMEOUT)


def _ordering(route: RouteSettings, tally: Tally) -> Ordering | None:
    chosen = route.ordering
    if chosen.type == "none":
        return None
    rule = StuckRule(after=chosen.stuck_after, bury=chosen.on_stuck == "bury")
    if chosen.header is not None:
        return Ordering(header_key(chosen.header), rule, tally)
    return Ordering(key_of_source(route.source.type), rule, tally)


def _retry(retry: RetrySettings) -> RetryPolicy:
    return RetryPolicy(
        base=retry.base,
        cap=retry.cap,
        max_attempts=retry.max_attempts,
        max_age=retry.max_age,
        after_cap=retry.max_retry_after,
    )


def _breaker(breaker: BreakerSettings) -> BreakerPolicy:
    return BreakerPolicy(
        failure_rate=breaker.failure_rate,
        window=breaker.window,
        min_calls=breaker.min_calls,
        consecutive=breaker.consecutive,
        probe_base=breaker.probe_base,
        probe_cap=breaker.probe_cap,
    )
