"""Which server has which keys: always the same one, the one that Sentinels name, or the nodes of a cluster."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from redis.exceptions import RedisError, ResponseError

from bridge.errors import BridgeError, StoreUnavailable
from bridge.redis.failures import translated
from bridge.redis.node import Node, Reply
from bridge.redis.options import Address, RedisConnectionSettings
from bridge.redis.scripts import TAGS, slot_of, tags

log = logging.getLogger(__name__)

Places: TypeAlias = tuple[Address, ...]
"""The server of each group of keys (see `scripts.TAGS`)."""

Reach: TypeAlias = Callable[[Address], Node]


async def find(settings: RedisConnectionSettings, known: Sequence[Address], reach: Reach) -> Places:
    """
    Find out where the keys are. `known` are servers that were of use before, `reach` connects to one that has keys.

    Raises StoreUnavailable, or ConfigError where waiting cannot help.
    """
    if settings.mode == "single":
        return settings.seeds * TAGS
    if settings.mode == "sentinel":
        return (await _named_by_sentinels(settings),) * TAGS
    return await _told_by_nodes([*dict.fromkeys((*known, *settings.seeds))], reach)


async def _named_by_sentinels(settings: RedisConnectionSettings) -> Address:
    last: BridgeError = StoreUnavailable("no Sentinel was asked")
    for address in settings.seeds:
        sentinel = Node(settings, address, settings.sentinel_login)
        what = f"the Sentinel {address}"
        try:
            [reply] = await sentinel.ask([("SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.master_name or "")])
        except (RedisError, OSError) as error:
            last = translated(error, what)
            continue
        finally:
            await sentinel.close()
        if isinstance(reply, list):
            return Address(reply[0].decode(), int(reply[1]))
        if isinstance(reply, ResponseError):
            last = translated(reply, what)
        else:
            last = StoreUnavailable(f"{what} knows no master {settings.master_name}: check store.master_name")
    raise last


async def _told_by_nodes(addresses: Sequence[Address], reach: Reach) -> Places:
    last: BridgeError = StoreUnavailable("no node of the cluster was asked")
    for address in addresses:
        what = f"the cluster's node {address}"
        try:
            [reply] = await reach(address).ask([("CLUSTER", "SLOTS")])
        except (RedisError, OSError) as error:
            last = translated(error, what)
            continue
        if isinstance(reply, ResponseError):
            last = translated(reply, what)
        elif (places := _read(reply, address)) is not None:
            return places
        else:
            last = StoreUnavailable(f"{what}: some slots have no node: look at CLUSTER INFO")
    raise last


def _read(reply: Reply, asked: Address) -> Places | None:
    """Read CLUSTER SLOTS: ranges of slots, each with its master and then its replicas; None where slots are missing."""
    owners: dict[int, Address] = {}
    for first, last, (host, port, *_), *_ in reply:
        # No host means: the one that you asked.
        address = Address((host or b"").decode() or asked.host, int(port))
        for slot in _slots_within(first, last):
            owners[slot] = address
    wanted = [slot_of(tag) for tag in tags()]
    return tuple(owners[slot] for slot in wanted) if all(slot in owners for slot in wanted) else None


def _slots_within(first: int, last: int) -> Iterator[int]:
    return (slot for tag in tags() if first <= (slot := slot_of(tag)) <= last)
