"""
The vocabulary of the bridge: plain values, no behaviour, no I/O.

Times are epoch milliseconds and durations are seconds, unless a comment says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Literal, NamedTuple, TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"


class Stage(Enum):
    """Where a delivery comes from; the key store answers differently to each."""

    INTAKE = "intake"  # from the publishers' queue or topic
    DUE = "due"  # from our own delay line: a copy whose time has come

    __hash__ = object.__hash__  # members are unique; Enum's own hash is a call into Python, on the hot path


class Shape(Enum):
    """What the body of a held or buried copy is."""

    ORIGINAL = "original"  # the publisher's bytes, to be decoded by the route's format
    ENVELOPE = "envelope"  # one event of an array, written by `bridge.formats.envelope`


@dataclass(slots=True, frozen=True, kw_only=True)
class Ticket:
    """What a held copy carries with it, so that no crash or restart resets it."""

    route: str
    id: str  # the event id, decided at first sight; "" of a replay that is yet to be decoded
    due_at: int
    attempt: int  # the attempt this copy will make, from 1
    first_seen: int
    gen: int = 0  # of the SCHEDULED record; a lower one is stale
    shape: Shape = Shape.ORIGINAL
    reason: str = ""  # why it waits: "delay" or the last failure
    origin: str = ""  # `Delivery.origin` of the first sight
    event_due: int | None = None  # the event's own due time, which a retry's `due_at` must not replace
    replay: str = ""  # of an event back from the dead letters: which return it is, so that it is not its own duplicate


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One message as the broker handed it over. It is settled exactly once."""

    body: bytes
    headers: Mapping[str, object] = field(default_factory=dict)
    token: object = None  # the source's own handle: (generation, tag) or (partition, offset)
    origin: str = ""  # "rabbitmq:orders", "kafka:topic"
    timestamp: float | None = None  # epoch seconds, as the broker or the publisher stamped it
    message_id: str | None = None
    content_type: str | None = None
    properties: Mapping[str, str | int] = field(default_factory=dict)  # further ones of the broker, carried along
    routing_key: str = ""
    key: bytes | None = None  # a Kafka record's; events of one key belong in order
    position: str | None = None  # a stable coordinate ("topic/3/42"); None where the broker has none
    redelivered: bool = False
    stage: Stage = Stage.INTAKE
    ticket: Ticket | None = None  # of deliveries from the delay line

    @property
    def attempt(self) -> int:
        """The attempt that this delivery makes, from 1."""
        return self.ticket.attempt if self.ticket else 1


RawAs: TypeAlias = Literal["inngest", "trigger v1", "trigger v2", "zopio", "cloudevent", "data"]
"""Who would be sent the same: one event for that API, a structured CloudEvent, or whoever wants the data alone."""


@dataclass(slots=True)
class Envelope:
    """
    One event, decoded.

    `raw` is what the publisher wrote, where a target that speaks `raw_as` may be sent it as it is. Only a format sets
    it; a copy by `dataclasses.replace` has none, since what was changed is no longer what was written.
    """

    id: str
    name: str
    data: JsonValue = None
    user: JsonValue = None
    ts: int | None = None  # when it happened, as the publisher says
    v: str | None = None
    context: JsonValue = None
    source: str | None = None  # of a CloudEvent; part of its identity
    due_at: int | None = None  # absolute; None or past means now
    trace: Mapping[str, str] = field(default_factory=dict)  # W3C traceparent, tracestate, from the broker's headers
    raw: bytes | None = field(default=None, init=False, repr=False, compare=False)
    raw_as: RawAs | None = field(default=None, init=False, repr=False, compare=False)


@dataclass(slots=True, frozen=True)
class Backlog:
    """How a source stands with its partitions."""

    lag: int  # records that are not settled, as far as the brokers have said
    stuck: int  # partitions that are left alone, since nobody can decode what stands next in them
    missed: int  # records that the brokers deleted before they were read
    shared: bool = False  # whether others of our group have partitions of the same topics


class Answer(Enum):
    """What the key store says about one key."""

    GRANTED = "granted"  # ours until the lease ends: go on
    BUSY = "busy"  # claimed by someone else: never settle it away, look again later
    DONE = "done"  # delivered (or dead) within the ttl: a duplicate
    SCHEDULED = "scheduled"  # a durable copy waits in the delay line: a duplicate at intake
    CANCELLED = "cancelled"  # cancelled, or a copy that a newer one has replaced


@dataclass(slots=True, frozen=True)
class Claim:
    """
    An answer, and for BUSY how long the other claim may still last, in seconds.

    A GRANTED copy that comes due too soon, since its event was moved, has `due_at`: it is to be held again until then.
    One that replaces another copy has `gen`: it is to be held under that one. Both are None otherwise.
    """

    answer: Answer
    remaining: float = 0.0
    gen: int | None = None
    due_at: int | None = None


class Ask(NamedTuple):
    """
    One key to claim. `gen` counts only for copies from the delay line.

    `due_at` is when the copy was to ring; of one from the intake, when its event is due. A copy from the intake that
    `replaces` is granted the key of an event that is scheduled for another time.
    """

    key: bytes  # 16 bytes, see `bridge.core.keys`
    stage: Stage = Stage.INTAKE
    gen: int = 0
    due_at: int = 0
    replaces: bool = False


@dataclass(slots=True, frozen=True)
class Schedule:
    """One key whose event is now durably held until `due_at` under generation `gen`."""

    key: bytes
    gen: int
    due_at: int


@dataclass(slots=True, frozen=True)
class Move:
    """One key whose scheduled event is to be sent later than planned: at `due_at`."""

    key: bytes
    due_at: int


class State(StrEnum):
    """What the key store has on record of an event."""

    UNKNOWN = "unknown"  # never seen, forgotten, or waiting for a retry
    CLAIMED = "claimed"  # being sent or put aside at this moment
    SCHEDULED = "scheduled"
    CANCELLED = "cancelled"
    DONE = "done"  # delivered, or dead for good


@dataclass(slots=True, frozen=True)
class Standing:
    """How it stands with one event. `gen` and `due_at` are of what is scheduled, also while that is claimed."""

    state: State
    gen: int = 0
    due_at: int | None = None
    until: int = 0  # when the store forgets it, or the lease of the claim ends; by the clock of the store


@dataclass(slots=True, frozen=True, kw_only=True)
class StoreStats:
    """What a key store tells the metrics: gauges first, then counters since `open()`."""

    keys: int  # done and remembered
    claims: int
    scheduled: int  # scheduled or cancelled
    healthy: bool = True  # whether the last write to disk went through
    evicted: int = 0  # keys forgotten before their ttl because of `max_keys`: each may cost a second send
    unrecorded: int = 0  # delayed events held without a record because of `max_keys`: they cannot be cancelled
    damaged: int = 0  # blocks and rows found damaged and set aside


@dataclass(slots=True, unsafe_hash=True)  # never changed; frozen ones take thrice as long to make
class Accepted:
    """The API has the event. `ref` is its own id for it; `duplicate` when it says it knew the id already."""

    ref: str | None = None
    duplicate: bool = False


@dataclass(slots=True, frozen=True)
class Retryable:
    """
    The same request may pass later.

    `after` is what the API asked for, in seconds. `pause` says that it spoke for the whole target (429, or 503 with
    Retry-After): nothing is sent there in that time and no attempt is used up.
    """

    reason: str
    after: float | None = None
    pause: bool = False


@dataclass(slots=True, frozen=True)
class Rejected:
    """This event can never pass; it goes to the dead letters."""

    reason: str


@dataclass(slots=True, frozen=True)
class Misconfigured:
    """Nothing can pass until a person or a rotated secret changes something; no event is to blame."""

    reason: str


@dataclass(slots=True, frozen=True)
class Unsent:
    """The event never left the process: the target was closed (paused, breaker open) before its turn came."""


Outcome: TypeAlias = Accepted | Retryable | Rejected | Misconfigured | Unsent


class Verdict(Enum):
    """What becomes of a delivery."""

    SETTLE = "settle"  # everything in it is safe: the broker may forget it
    RETURN = "return"  # back to the broker, unharmed; only at shutdown

    __hash__ = object.__hash__  # as for `Stage`


@dataclass(slots=True, frozen=True)
class Hold:
    """One event to put aside until `ticket.due_at`: `body`, under the headers and properties of `delivery`."""

    delivery: Delivery
    body: bytes
    ticket: Ticket


@dataclass(slots=True, frozen=True)
class Burial:
    """One event (or undecodable delivery) for the dead letters, with its reason."""

    delivery: Delivery
    body: bytes
    reason: str  # names the field or the API's answer
    kind: str  # closed set: poison | rejected | exhausted | expired | stuck | too_late | conflict
    event_id: str | None = None
    name: str | None = None
    attempts: int = 0
    first_seen: int | None = None
    shape: Shape = Shape.ORIGINAL
    route: str = ""
    buried_at: int | None = None  # known of those that are read back, and kept when they are buried again
    truncated: int | None = None  # bytes that the whole body had, where only its beginning could be kept


@dataclass(slots=True)
class Request:
    """What to send. `url` is complete, header names are checked; requests with equal headers may share the mapping."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Response:
    """What came back. Header names are lower case; `body` is cut at the target's read limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
