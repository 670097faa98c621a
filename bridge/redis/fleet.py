"""All servers that have keys of ours: sends each call to the right one, and finds them anew when they moved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from bridge.redis.failures import translated
from bridge.redis.node import Command, Node, Reply
from bridge.redis.options import Address, RedisConnectionSettings
from bridge.redis.places import Places, find
from bridge.redis.scripts import Script

_TRIES: Final = 4  # a slot on its way (ASK) to a node without the script takes three
_ELSEWHERE: Final = (MovedError, ReadOnlyError, ClusterDownError, MasterDownError)


@dataclass(slots=True, frozen=True)
class Call:
    """One script over keys of one group."""

    script: Script
    group: int
    keys: Sequence[bytes]
    arguments: Sequence[bytes | str | int]

    def command(self, *, whole: bool) -> Command:
        """By its SHA1; as a `whole` for a server that does not have it yet, which then keeps it."""
        begin = ("EVAL", self.script.text) if whole else ("EVALSHA", self.script.sha)
        return (*begin, len(self.keys), *self.keys, *self.arguments)


@dataclass(slots=True)
class _Open:
    """A call that has no answer yet, and what its last try came to."""

    call: Call
    whole: bool = False
    asking: Address | None = None  # the slot is on its way there
    reply: Reply = None
    failure: Exception | None = None
    address: Address | None = None

    def commands(self) -> list[Command]:
        command = self.call.command(whole=self.whole)
        return [("ASKING",), command] if self.asking else [command]


class Fleet:
    """The servers, from the first call to `close()`. Knows nothing of what the scripts mean."""

    def __init__(self, settings: RedisConnectionSettings) -> None:
        self._settings = settings
        self._nodes: dict[Address, Node] = {}
        self._places: Places | None = None
        self._finding = asyncio.Lock()

    async def run(self, calls: Sequence[Call], *, again: bool) -> list[Reply]:
        """
        Carry out all calls at the same time, those for one server in one go; return their answers.

        A call that was certainly not carried out is tried again at once; with `again`, one whose connection broke too.
        Raises StoreUnavailable or ConfigError; what was carried out by then is unknown.
        """
        opened = [_Open(call) for call in calls]
        todo = opened
        for _ in range(_TRIES):
            await self._try(todo)
            todo = [each for each in todo if each.failure is not None]
            if not todo or not all(self._may_repeat(each, again=again) for each in todo):
                break
        for each in todo:
            if each.failure is not None:
                raise translated(each.failure, f"Redis at {each.address}")
        return [each.reply for each in opened]

    async def servers(self) -> list[Node]:
        """Every server that has keys now. Raises StoreUnavailable or ConfigError."""
        return [self._reach(address) for address in dict.fromkeys(await self._found())]

    async def close(self) -> None:
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            await node.close()

    async def _try(self, todo: Sequence[_Open]) -> None:
        places = await self._found()
        at: dict[Address, list[_Open]] = {}
        for each in todo:
            each.address = each.asking or places[each.call.group]
            at.setdefault(each.address, []).append(each)
        if len(at) == 1:
            [(address, there)] = at.items()
            await self._ask(self._reach(address), there)
            return
        async with asyncio.TaskGroup() as group:
            for address, there in at.items():
                group.create_task(self._ask(self._reach(address), there))

    async def _ask(self, node: Node, there: Sequence[_Open]) -> None:
        commands = [each.commands() for each in there]
        try:
            replies = iter(await node.ask([command for some in commands for command in some]))
        except (RedisError, OSError) as error:
            for each in there:
                each.failure = error
            return
        for each, some in zip(there, commands, strict=True):
            each.reply = [next(replies) for _ in some][-1]
            each.failure = each.reply if isinstance(each.reply, ResponseError) else None

    def _may_repeat(self, each: _Open, *, again: bool) -> bool:
        """Whether another try is in order, and prepare it."""
        failure = each.failure
        if isinstance(failure, NoScriptError):
            each.whole = True
            return True
        each.asking = None
        if isinstance(failure, AskError) and not isinstance(failure, MovedError):
            each.asking = Address(failure.host or (each.address.host if each.address else ""), failure.port)
            return True
        if isinstance(failure, _ELSEWHERE):
            self._places = None
            return self._settings.mode != "single"
        if isinstance(failure, ResponseError):
            return False
        self._places = None
        return again and not isinstance(failure, TimeoutError)

    def _reach(self, address: Address) -> Node:
        if (node := self._nodes.get(address)) is None:
            node = self._nodes[address] = Node(self._settings, address, self._settings.login)
        return node

    async def _found(self) -> Places:
        if self._places is not None:
            return self._places
        async with self._finding:
            if self._places is None:
                try:
                    found = await find(self._settings, [*self._nodes], self._reach)
                except (RedisError, OSError) as error:
                    raise translated(error, "Redis") from error
                await self._forget_all_but(found)
                self._places = found
            return self._places

    async def _forget_all_but(self, found: Places) -> None:
        for address in set(self._nodes).difference(found):
            await self._nodes.pop(address).close()
