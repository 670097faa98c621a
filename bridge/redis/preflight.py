"""What is looked at before the first key is claimed: version, role, cluster or not, and whether keys may be evicted."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Final, Literal

from redis.exceptions import NoPermissionError, RedisError, ResponseError

from bridge.errors import ConfigError, StoreUnavailable
from bridge.redis.failures import translated
from bridge.redis.node import Node
from bridge.redis.options import Mode

log = logging.getLogger(__name__)

Eviction = Literal["refuse", "warn"]

_OLDEST: Final = 6
_NOTHING: Final = "noeviction"


async def inspect(node: Node, *, mode: Mode, eviction: Eviction) -> None:
    """
    Look at one server that has keys. Raises ConfigError where a person must change something, else StoreUnavailable.

    One INFO says all of it. Where that is forbidden to the user, a warning says what was not looked at.
    """
    what = f"Redis at {node.address}"
    try:
        [reply] = await node.ask([("INFO",)])
    except (RedisError, OSError) as error:
        raise translated(error, what) from error
    if isinstance(reply, NoPermissionError):
        log.warning("key_store_not_inspected", extra={"server": str(node.address), "cure": "give the right +info"})
        return
    if isinstance(reply, ResponseError):
        raise translated(reply, what)
    told = _read(reply.decode())
    _check_version(what, told)
    _check_role(what, told, mode)
    _check_eviction(node, told, eviction)


def _read(text: str) -> Mapping[str, str]:
    return dict(re.findall(r"^([a-z_]+):(.*?)\r?$", text, flags=re.MULTILINE))


def _check_version(what: str, told: Mapping[str, str]) -> None:
    version = told.get("redis_version", "")  # Valkey says one too, for clients that look at nothing else
    if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) < _OLDEST:
        raise ConfigError("store.url", f"{what} is version {version}", f"Use Redis {_OLDEST} or later, or Valkey")


def _check_role(what: str, told: Mapping[str, str], mode: Mode) -> None:
    if told.get("role") == "slave":
        raise StoreUnavailable(
            f"{what} is a read-only replica: name its master, or let Sentinels find that (store.mode: sentinel)"
        )
    if told.get("cluster_enabled") == "1" and mode != "cluster":
        raise ConfigError("store.mode", f"{what} is a node of a cluster", "Write `mode: cluster`")


def _check_eviction(node: Node, told: Mapping[str, str], eviction: Eviction) -> None:
    policy = told.get("maxmemory_policy", _NOTHING)
    if policy == _NOTHING:
        return
    if told.get("maxmemory", "0") != "0" and eviction == "refuse":
        raise ConfigError(
            "store.eviction",
            f"Redis at {node.address} forgets keys when its memory is full (maxmemory-policy {policy}): their events "
            "would be sent again",
            "Set maxmemory-policy to noeviction there, or take that with `eviction: warn`",
        )
    cure = "set maxmemory-policy to noeviction"
    log.warning("key_store_may_evict", extra={"server": str(node.address), "policy": policy, "cure": cure})
