"""The shared key store: Redis or Valkey, for any number of bridges at the same time."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from pydantic import Field

from bridge.core import claims
from bridge.errors import StoreUnavailable
from bridge.model import Answer, Ask, Claim, Move, Schedule, Stage, Standing, State, StoreStats
from bridge.redis.options import RedisConnectionSettings, needs_client
from bridge.redis.together import Together
from bridge.stores.clock import Clock
from bridge.units import Duration

if TYPE_CHECKING:
    from bridge.redis.link import Link


_MOST: Final = 1_000  # keys to one script: some 3 ms in which the server serves nobody else
_IN_DOUBT: Final = 10_000  # owners whose last claim got no answer, to be remembered at most
_ANSWERS: Final = {-1: claims.GRANTED, -2: claims.DONE, -3: claims.SCHEDULED, -4: claims.CANCELLED}
_STATES: Final = {
    b"-": State.UNKNOWN,
    b"C": State.CLAIMED,
    b"S": State.SCHEDULED,
    b"X": State.CANCELLED,
    b"D": State.DONE,
}


class RedisSettings(RedisConnectionSettings):
    """A key store on Redis 6 or later, or Valkey, that several instances share."""

    type: Literal["redis"] = Field("redis", description="Keep keys on a Redis or Valkey that several instances share.")
    namespace: str = Field(
        "eb",
        pattern=r"^[A-Za-z0-9._:-]{1,40}$",
        description="What the names of all keys begin with. The same for all instances of a deployment, and for no "
        "other one. Up to seven letters cost no memory.",
    )
    ttl: Duration = Field(
        86_400.0, ge=1, description="How long a delivered event's id is remembered, and its duplicates suppressed."
    )
    eviction: Literal["refuse", "warn"] = Field(
        "refuse",
        description="What to do about a server that forgets keys when its memory is full: `refuse` it, or `warn`.",
    )

    def build(self) -> RedisStore:
        """Raises ConfigError where the client is not installed."""
        if find_spec("redis") is None:
            raise needs_client("store")
        return RedisStore(self)


class RedisStore:
    """
    The protocol of `bridge.core.claims`, run by the server: one round trip for any number of keys.

    Leases and ttls run by the server's clock, so those of the instances do not matter. A claim carries, beside its
    owner, the call that made it: when the answer to that call is lost, the owner's next one repeats it, and what was
    granted is granted again instead of being BUSY until the lease ends. `clock` (epoch ms) is for tests.
    """

    def __init__(self, settings: RedisSettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._link: Link | None = None
        self._in_doubt: dict[str, str] = {}  # owner -> the call that got no answer
        self._instance = secrets.token_hex(6)
        self._calls = count(1)
        self._commits: dict[float, Together] = {}  # by ttl, of which there is one

    async def open(self) -> None:
        """Look at every server. Raises StoreUnavailable, or ConfigError where waiting cannot help."""
        from bridge.redis.link import Link
        from bridge.redis.preflight import inspect

        link = Link(self._settings, self._settings.namespace)
        try:
            for server in await link.servers():
                await inspect(server, mode=self._settings.mode, eviction=self._settings.eviction)
        except BaseException:
            await link.close()
            raise
        self._link = link

    async def close(self) -> None:
        link, self._link = self._link, None
        if link:
            await link.close()
        for together in self._commits.values():
            await together.close()

    def stats(self) -> StoreStats:
        """What one instance knows: whether it reaches the server. How many keys there are is the server's to say."""
        return StoreStats(keys=0, claims=0, scheduled=0, healthy=self._link is not None and self._link.healthy)

    async def claim(self, asks: Sequence[Ask], *, owner: str, lease: float) -> list[Claim]:
        call = self._in_doubt.pop(owner, None) or f"{self._instance}-{next(self._calls)}"
        try:
            replies = await self._claim(asks, call, [_ms(lease), _word(owner)])
        except BaseException:
            self._in_doubt[owner] = call
            if len(self._in_doubt) > _IN_DOUBT:
                del self._in_doubt[next(iter(self._in_doubt))]
            raise
        return [_ANSWERS.get(reply) or _claim(reply) for reply in replies]

    async def _claim(self, asks: Sequence[Ask], call: str, common: Sequence[str | int]) -> list[Any]:
        replies: list[Any] = []
        for at in range(0, len(asks), _MOST):
            some = asks[at : at + _MOST]
            plain = all(ask.stage is Stage.INTAKE and not ask.replaces for ask in some)
            each = () if plain else [(_stage(ask), ask.gen, ask.due_at) for ask in some]
            keys = [ask.key for ask in some]
            replies += await self._running().run("claim", keys, [self._now(), *common, f"{call}.{at}"], each)
        return replies

    async def renew(self, keys: Sequence[bytes], *, owner: str, lease: float) -> list[bool]:
        replies = await self._all("renew", keys, [_ms(lease), _word(owner)])
        return [bool(reply) for reply in replies]

    async def commit(self, keys: Sequence[bytes], *, ttl: float) -> None:
        """Mark as done. Marks that come while others are on their way go together, in the next call."""
        if (together := self._commits.get(ttl)) is None:
            together = self._commits[ttl] = Together(partial(self._commit, _ms(ttl)))
        await together(keys)

    async def _commit(self, ttl: int, keys: Sequence[bytes]) -> None:
        await self._all("commit", keys, [ttl])

    async def release(self, keys: Sequence[bytes], *, owner: str) -> None:
        self._in_doubt.pop(owner, None)
        await self._all("release", keys, [_word(owner)])

    async def schedule(self, items: Sequence[Schedule], *, owner: str, ttl: float) -> None:
        each = [(item.gen, item.due_at) for item in items]
        await self._all("schedule", [item.key for item in items], [_ms(ttl), _word(owner)], each)

    async def cancel(self, keys: Sequence[bytes], *, ttl: float) -> list[Standing]:
        return [_standing(reply) for reply in await self._all("cancel", keys, [_ms(ttl)], again=False)]

    async def move(self, items: Sequence[Move], *, ttl: float) -> list[Standing]:
        each = [(item.due_at,) for item in items]
        replies = await self._all("move", [item.key for item in items], [_ms(ttl)], each, again=False)
        return [_standing(reply) for reply in replies]

    async def look(self, keys: Sequence[bytes]) -> list[Standing]:
        return [_standing(reply) for reply in await self._all("look", keys, [])]

    async def _all(
        self,
        name: str,
        keys: Sequence[bytes],
        common: Sequence[str | int],
        each: Sequence[tuple[int, ...]] = (),
        *,
        again: bool = True,
    ) -> list[Any]:
        replies: list[Any] = []
        for at in range(0, len(keys), _MOST):
            end = at + _MOST
            replies += await self._running().run(name, keys[at:end], [self._now(), *common], each[at:end], again=again)
        return replies

    def _now(self) -> str | int:
        return self._clock() if self._clock else ""

    def _running(self) -> Link:
        if self._link is None:
            raise StoreUnavailable("the key store on Redis is not open")
        return self._link


def _stage(ask: Ask) -> str:
    if ask.stage is Stage.DUE:
        return "D"
    return "R" if ask.replaces else "I"


def _claim(reply: Any) -> Claim:
    """Read what claim.lua answers beyond the plain words."""
    if isinstance(reply, int):
        return Claim(Answer.BUSY, reply / 1000)
    number = int(reply[1:])
    return Claim(Answer.GRANTED, gen=number) if reply[:1] == b"g" else Claim(Answer.GRANTED, due_at=number)


def _standing(reply: Any) -> Standing:
    state, gen, due, ends = reply
    return Standing(_STATES[state], gen, None if due is None else int(due), int(ends))


def _word(owner: str) -> str:
    """The owner without spaces, which separate the parts of a record."""
    return quote(owner, safe="")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
