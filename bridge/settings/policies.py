"""The policies of a route: what it takes, how much at once, and what happens when something does not work."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from bridge.formats.options import HeaderName
from bridge.settings.base import Frozen
from bridge.units import Duration, Size

_DAY = 86_400.0


class FilterSettings(Frozen):
    """Which events of the source this route takes, by name. `*`, `?` and `[a-z]` work as in a shell."""

    include: tuple[str, ...] = Field(
        ("*",), min_length=1, description="Patterns of event names to take; one match is enough."
    )
    exclude: tuple[str, ...] = Field((), description="Patterns of event names to leave out, even if included.")
    unmatched: Literal["settle", "bury"] = Field(
        "settle",
        description=(
            "What becomes of the others: `settle` lets the broker forget them, `bury` keeps them in the dead letters."
        ),
    )


class LimitsSettings(Frozen):
    """How much at once. Memory is bounded by `max_in_flight_bytes`, whatever the publishers send."""

    max_event_bytes: Size = Field(
        3 << 20, ge=1, le=512 << 20, description="The largest body of a delivery; a larger one is buried."
    )
    max_depth: int = Field(100, ge=2, le=200, description="How deep JSON may be nested; a deeper body is buried.")
    batch: int = Field(100, ge=1, le=10_000, description="Deliveries taken from the source in one go, at most.")
    linger: Duration = Field(
        0.0,
        ge=0,
        le=10,
        description="How long to wait for a batch to fill. 0 takes what is there, so a lonely event waits for nobody.",
    )
    max_in_flight: int = Field(
        1_000, ge=1, le=100_000, description="Events being worked on at once; intake pauses beyond it."
    )
    max_in_flight_bytes: Size = Field(
        64 << 20, ge=1, description="Bytes of bodies being worked on at once; intake pauses beyond it."
    )
    max_hold: Duration = Field(
        300.0,
        ge=1,
        le=900,
        description=(
            "How long an event waits in the process for a target or store that is away, before it is held in the delay "
            "line. At most 15m: a broker takes a delivery back that stays unsettled for longer than its consumer "
            "timeout (RabbitMQ: 30m)."
        ),
    )

    @model_validator(mode="after")
    def _one_event_fits(self) -> Self:
        if self.max_event_bytes > self.max_in_flight_bytes:
            problem = "max_event_bytes must not exceed max_in_flight_bytes, or its largest event could never be taken"
            raise ValueError(problem)
        return self


class UnorderedSettings(Frozen):
    """Events overtake each other whenever one of them waits, fails or is large."""

    type: Literal["none"] = Field("none", description="No order; the fastest, and nobody waits for anybody.")


class KeyOrderingSettings(Frozen):
    """Events of one key are sent one after the other; a failing one is tried again before those behind it."""

    type: Literal["key"] = Field(description="Order among the events of one key.")
    header: HeaderName | None = Field(
        None,
        description=(
            "The header that holds the key. Without it, the key of a Kafka record, or the routing key of RabbitMQ. "
            "Events without a key are in no order."
        ),
    )
    on_stuck: Literal["bury", "block"] = Field(
        "bury",
        description=(
            "When an event has failed for `stuck_after`: `bury` it, so that those behind it go on, or `block` its key "
            "until it passes, however often it takes; `retry.max_attempts` and `retry.max_age` apply to `bury` only."
        ),
    )
    stuck_after: Duration = Field(
        300.0,
        ge=1,
        le=7 * _DAY,
        description=(
            "How long an event may hold up its key, from its first failure, outages not counted; also the longest wait "
            "between its attempts. At most 15m on RabbitMQ, which takes back what stays unsettled for longer than its "
            "consumer timeout (30m)."
        ),
    )


def _named(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


_Ordering: TypeAlias = Annotated[UnorderedSettings | KeyOrderingSettings, Field(discriminator="type")]

OrderingSettings: TypeAlias = Annotated[
    _Ordering, BeforeValidator(_named, json_schema_input_type=Literal["none", "key"] | _Ordering)
]
"""The settings of an order, or just its name."""


class DedupSettings(Frozen):
    """How duplicates are told from new events."""

    missing_id: Literal["derive", "reject"] = Field(
        "derive",
        description=(
            "An event without an id: `derive` one from the broker's message id, else from its position, else from its "
            "body; or `reject` it to the dead letters."
        ),
    )
    scope: str = Field(
        "",
        max_length=200,
        description="Added to every key, to keep ids of different publishers or environments apart.",
    )
    on_conflict: Literal["settle", "bury"] = Field(
        "settle",
        description="A known id with another payload: `settle` it as a duplicate, or `bury` it. Counted either way.",
    )
    on_conflict_delay: Literal["first", "last"] = Field(
        "first",
        description=(
            "A known id that is scheduled already, published again with another due time: the `first` wins and the "
            "later one is a duplicate, or the `last` takes its place, with its own payload. `last` keeps all waiting "
            "here, as `timing.native: never` does."
        ),
    )
    store_down: Literal["pause", "forward"] = Field(
        "pause",
        description=(
            "While the key store is away: `pause` the intake, or `forward` without suppressing duplicates (only to a "
            "target that suppresses them itself)."
        ),
    )


class TimingSettings(Frozen):
    """How events that are due later wait."""

    hold_window: Duration = Field(
        3.0, ge=0, le=30, description="Waits up to this long stay in the process; longer ones go to the delay line."
    )
    max_parked: int = Field(
        2_000,
        ge=0,
        le=1_000_000,
        description="Events that wait in the process at once; the others go to the delay line.",
    )
    max_delay: Duration = Field(
        365 * _DAY,
        gt=0,
        le=3650 * _DAY,
        description="An event due later than this from now is buried, never sent early.",
    )
    native: Literal["auto", "never"] = Field(
        "auto",
        description=(
            "`auto` leaves the waiting to a target that can hold events itself, unless they may be moved or cancelled "
            "here (`control`, `dedup.on_conflict_delay`); `never` always waits here."
        ),
    )


class ControlSettings(Frozen):
    """Control envelopes: bodies on the source that cancel or move an event by its id."""

    enabled: bool = Field(
        False,
        description=(
            "Take `{op: cancel, id}` and `{op: reschedule, id, until}` on the source for orders, not for events; see "
            "docs/scheduling.md. Whoever may publish there may then cancel. All waiting is done here, as with "
            "`timing.native: never`."
        ),
    )


class RetrySettings(Frozen):
    """How often, and how long, a failed event is tried again: min(cap, base * 2^n), with full jitter."""

    base: Duration = Field(5.0, ge=0.01, le=3600, description="The longest first wait.")
    cap: Duration = Field(3600.0, ge=0.01, le=7 * _DAY, description="The longest wait between two attempts.")
    max_attempts: int = Field(12, ge=1, le=1_000, description="Attempts after which an event is buried.")
    max_age: Duration = Field(
        _DAY,
        ge=1,
        le=365 * _DAY,
        description="Time from when an event was due, after which it is buried instead of retried.",
    )
    max_retry_after: Duration = Field(
        3600.0,
        ge=1,
        le=3600,
        description="The longest wait that a target may ask for (Retry-After), for one event or for all.",
    )

    @model_validator(mode="after")
    def _base_below_cap(self) -> Self:
        if self.base > self.cap:
            problem = "base must not exceed cap"
            raise ValueError(problem)
        return self


class BreakerSettings(Frozen):
    """When a target counts as down: its events then stay in the broker and use up no attempts."""

    failure_rate: float = Field(
        0.5, gt=0, le=1, description="The share of failed requests within `window` that opens the breaker."
    )
    window: Duration = Field(30.0, ge=1, le=3600, description="The time over which the share is taken.")
    min_calls: int = Field(
        20, ge=1, le=100_000, description="Requests in the window below which the share says nothing."
    )
    consecutive: int = Field(5, ge=1, le=100_000, description="Failures in a row that open it at once.")
    probe_base: Duration = Field(1.0, ge=0.01, le=3600, description="The first wait before one event is tried on it.")
    probe_cap: Duration = Field(60.0, ge=0.01, le=3600, description="The longest wait between two such tries.")

    @model_validator(mode="after")
    def _base_below_cap(self) -> Self:
        if self.probe_base > self.probe_cap:
            problem = "probe_base must not exceed probe_cap"
            raise ValueError(problem)
        return self
