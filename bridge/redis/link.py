"""What the key store says to Redis: scripts over many keys, with a breaker in front."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Final, TypeAlias

from bridge.core.breaker import Breaker, BreakerPolicy, Permit, State
from bridge.errors import BridgeError, StoreUnavailable
from bridge.redis.fleet import Call, Fleet
from bridge.redis.node import Node, Reply
from bridge.redis.options import RedisConnectionSettings
from bridge.redis.scripts import Names, script

Arguments: TypeAlias = Sequence[bytes | str | int]

# Whoever waits for the store asks again within seconds, so a probe a second is soon enough and costs nobody anything.
_POLICY: Final = BreakerPolicy(
    failure_rate=1.0, min_calls=1_000_000, consecutive=3, probe_base=1.0, probe_cap=1.0, probe_timeout=5.0
)


class Link:
    """A namespace on the servers, until `close()`."""

    def __init__(self, settings: RedisConnectionSettings, namespace: str) -> None:
        self._fleet = Fleet(settings)
        self._names = Names(namespace)
        self._in_groups = settings.mode == "cluster"
        self._breaker = Breaker(_POLICY)

    @property
    def healthy(self) -> bool:
        """Whether the last calls came through."""
        return self._breaker.state is State.CLOSED

    async def run(
        self, name: str, keys: Sequence[bytes], common: Arguments, each: Sequence[Arguments] = (), *, again: bool = True
    ) -> list[Reply]:
        """
        Run a script over keys and return what it answers for each; `each` are arguments that belong to one key.

        `again` says that it does no harm if it is carried out twice. Raises StoreUnavailable, at once while the breaker
        is open.
        """
        if self._breaker.permit(time.monotonic()) is Permit.NONE:
            raise StoreUnavailable(f"{self._breaker.reason} (not asked again within the second)")
        groups = self._names.grouped(keys) if self._in_groups else {0: range(len(keys))}
        calls = [self._call(name, group, places, keys, common, each) for group, places in groups.items()]
        try:
            replies = await self._fleet.run(calls, again=again)
        except BridgeError as error:
            self._breaker.failed(time.monotonic(), str(error), random.random())  # noqa: S311  spreads probes
            raise StoreUnavailable(str(error)) from error
        self._breaker.passed(time.monotonic())
        return _in_order(len(keys), list(groups.values()), replies)

    async def servers(self) -> list[Node]:
        """Every server that has keys now. Raises StoreUnavailable or ConfigError."""
        return await self._fleet.servers()

    async def close(self) -> None:
        await self._fleet.close()

    def _call(
        self,
        name: str,
        group: int,
        places: Sequence[int],
        keys: Sequence[bytes],
        common: Arguments,
        each: Sequence[Arguments],
    ) -> Call:
        arguments = [*common]
        if each:
            for place in places:
                arguments += each[place]
        return Call(script(name), group, [self._names.name_of(keys[place]) for place in places], arguments)


def _in_order(count: int, groups: Sequence[Sequence[int]], replies: Sequence[Reply]) -> list[Reply]:
    """Put the answers for the keys of each group where the keys stand; scripts that only say OK have none."""
    answers: list[Reply] = [None] * count
    for places, reply in zip(groups, replies, strict=True):
        if isinstance(reply, list):
            for place, answer in zip(places, reply, strict=True):
                answers[place] = answer
    return answers
