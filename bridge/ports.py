"""
The roles an adapter can play, as Protocols.

Every list that a port returns has the length and order of its argument; callers zip with `strict=True`. A method that
says "durable" returns only when the thing is, and raises `Unavailable` when it cannot say so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Mapping, Sequence
from typing import Protocol, TypeAlias

from bridge.errors import PoisonError
from bridge.model import (
    Ask,
    Burial,
    Claim,
    Delivery,
    Envelope,
    Hold,
    Move,
    Outcome,
    Request,
    Response,
    Schedule,
    Standing,
    StoreStats,
    Verdict,
)

Groups: TypeAlias = AsyncGenerator[Sequence[tuple[int, Outcome]], None]
"""What has finished of a send since the last look: pairs of index and outcome."""

Secrets = Mapping[str, tuple[str, ...]]
"""The live values of each named secret, newest first. Never logged, never part of a repr."""


class Resource(Protocol):
    """Something with a lifetime."""

    async def open(self) -> None:
        """Connect and check. Raises Unavailable, or ConfigError where waiting cannot help."""

    async def close(self) -> None:
        """Let go of everything, within a few seconds, without raising. May be called twice."""


class Source(Resource, Protocol):
    """Where deliveries come from."""

    async def receive(self, limit: int, linger: float) -> list[Delivery]:
        """
        Wait for at least one delivery, then take what is there, at most `limit`.

        With `linger` > 0, wait up to that many seconds for more. Raises EndOfSource after `stop()` once nothing is
        buffered, Disconnected when the session is gone.
        """

    async def settle(self, batch: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        """Tell the broker. A delivery of an older session is skipped: the broker has it back already."""

    def owns(self, delivery: Delivery) -> bool:
        """Whether settling it would still count. False once its session or its partition is gone: it comes again."""

    def pause(self) -> None:
        """Take in no more for now. What is buffered may still be handed out by `receive`."""

    def resume(self) -> None:
        """Take in again. Idempotent, like `pause`."""

    def stop(self) -> None:
        """Ask for no more; what is buffered but was not handed out goes back to the broker."""


class KeyStore(Resource, Protocol):
    """Which events are claimed, scheduled or done. Keys are 16 bytes; durations are seconds."""

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
        """Claim each key that is free for this stage. Two equal keys in one call: the second is BUSY."""

    async def renew(self, keys: Sequence[bytes], *, owner: str, lease: float) -> list[bool]:
        """Prolong own claims; False where the claim was lost."""

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        """
        Mark as done for `ttl` seconds, durably. Needs no owner: done is a fact.

        A scheduled record that would have lived longer is outlived: a copy that was replaced may ring until then.
        """

    async def release(self, keys: Sequence[bytes], *, owner: str) -> None:
        """Give own claims back: to SCHEDULED where the claim came from a scheduled copy, else to nothing."""

    async def schedule(self, items: Sequence[Schedule], *, owner: str, ttl: float) -> None:
        """Turn own claims into SCHEDULED(gen) until `due_at` + ttl. A claim that was lost is left alone."""

    async def cancel(self, keys: Sequence[bytes], *, ttl: float) -> list[Standing]:
        """
        Cancel, durably, what is scheduled, and leave alone what is not; return how it stood with each key before.

        Of two equal keys in one call the second is CANCELLED already. The same holds for `move`, mutatis mutandis.
        """

    async def move(self, items: Sequence[Move], *, ttl: float) -> list[Standing]:
        """
        Put off, durably, what is scheduled for earlier; return how it stood with each key before.

        What is not scheduled, or for no earlier time, is left alone: nothing but a new copy can ring sooner.
        """

    async def look(self, keys: Sequence[bytes]) -> list[Standing]:
        """How it stands with each key. Changes nothing."""

    def stats(self) -> StoreStats:
        """The numbers of the metrics. Never waits."""


class DelayLine(Resource, Protocol):
    """Puts events aside until they are due."""

    async def hold(self, items: Sequence[Hold]) -> list[Exception | None]:
        """
        Hold each until its `ticket.due_at`; None where it is durable, else what went wrong with that one.

        Raises Unavailable when nothing of the call can be vouched for.
        """

    @property
    def due(self) -> Source:
        """What has come due: deliveries of Stage.DUE with their ticket, at the earliest at `due_at`."""


class DeadLetters(Resource, Protocol):
    """Where events end that can never pass, with the reason, for a person to look at."""

    async def bury(self, items: Sequence[Burial]) -> None:
        """Return when all are durable. Raises Unavailable."""


class Target(Resource, Protocol):
    """An event HTTP API, reached."""

    dedups_by_id: bool

    def native_delay(self, event: Envelope, now: int) -> bool:
        """Whether the target itself would hold this event until its `due_at`."""

    def send(self, events: Sequence[Envelope], attempts: Sequence[int]) -> Groups:
        """
        Send all; yield groups of (index, outcome) as they finish, each index exactly once.

        Never raises for anything the network or the API does: that is an Outcome. `attempts` are for the headers.
        """

    def refresh(self) -> None:
        """Read the secrets again from where they live."""


class Format(Protocol):
    """One shape of envelope: bytes and headers in, events out. Pure."""

    def decode(self, delivery: Delivery, now: int) -> list[Envelope | PoisonError]:
        """
        All events of the delivery, in order, at least one. `now` is the epoch in ms.

        A bad element of an array stands in the list as the PoisonError that it is, with its own bytes in `element`.
        Raises PoisonError where the delivery as a whole is no envelope.
        """


class Api(Protocol):
    """The dialect of one event API: events in, bytes out; bytes in, outcomes out. Pure."""

    origin: str  # scheme, host and port of every request, "https://api.example.com:443"; never holds a secret
    batch_limit: int  # events a request may carry
    batch_bytes: int  # bytes the body of a request with several events may have
    event_bytes: int  # bytes the body of a request with one event may have
    max_delay_ms: int  # how far ahead the API itself holds an event; 0 when it cannot
    dedups_by_id: bool

    def refuse(self, event: Envelope) -> str | None:
        """Why this event can never be sent to this API, or None. Asked before any request is made."""

    def group(self, event: Envelope) -> Hashable:
        """What events must have in common to share a request; None when any may."""

    def encode(self, events: Sequence[Envelope], secrets: Secrets, now: int) -> Request:
        """One request for these events. `due_at` is passed on, absolute, where the API holds events itself."""

    def decode(self, response: Response, events: Sequence[Envelope], now: int) -> list[Outcome | None]:
        """One outcome an event, in order. None: unknown, send it again in a smaller request."""
