"""
Two instances that were given the same `group_instance_id`: the one that is thrown out of its place stands back.

The client takes its place again at once, so that the two would throw each other out for ever, once a second, and say
nothing of it (aiokafka 0.14.0; it sends no request that is answered with FENCED_INSTANCE_ID, but when joining).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from aiokafka import errors
from aiokafka.protocol.admin import DescribeGroupsRequest

from bridge.kafka.pace import Topics

UUID: Final = 36  # characters; brokers call a member `<instance>-<uuid>`
AGAIN: Final = 0.5  # seconds until a coordinator that did not answer is asked once more


class Displaced(errors.KafkaError):  # type: ignore[misc]  # the client has no types
    """Somebody else is in our place."""


def stand_back(coordinator: Any, topics: Topics) -> None:
    """Let a member with a `group_instance_id` that has lost its place not take it from another one that has it now."""
    if topics.group_instance_id is not None:
        coordinator._do_rejoin_group = partial(_join, coordinator, topics, coordinator._do_rejoin_group)  # noqa: SLF001


async def _join(coordinator: Any, topics: Topics, join: Callable[[Any], Awaitable[bool]], subscription: Any) -> bool:
    """Join, unless somebody is there who is not we; True once done, False for a next try. Raises KafkaError."""
    try:
        if topics.member_ids and not coordinator.member_id:
            await _look(coordinator, topics)
        return await join(subscription)
    except Displaced:
        raise
    except errors.KafkaError as error:
        if error.retriable:
            await asyncio.sleep(AGAIN)
            return False
        await _look(coordinator, topics)  # thrown out while it waited for the others
        raise
    finally:
        if coordinator.member_id:
            topics.member_ids[:] = [coordinator.member_id]


async def _look(coordinator: Any, topics: Topics) -> None:
    """Raises Displaced, or another KafkaError where the coordinator does not say."""
    answer = await coordinator._send_req(DescribeGroupsRequest([topics.group_id]))  # noqa: SLF001  as the client asks
    [(code, _, _, _, _, members, *_)] = answer.groups
    if code in (errors.NotCoordinatorForGroupError.errno, errors.GroupCoordinatorNotAvailableError.errno):
        coordinator.coordinator_dead()  # another one is looked for
        raise errors.for_code(code)
    name = topics.group_instance_id
    for member_id, *_ in members:
        if member_id[: -UUID - 1] == name and member_id not in topics.member_ids:
            problem = (
                f"another instance has the group_instance_id {name} in group {topics.group_id}, and took our place"
            )
            raise Displaced(f"{problem}; give each instance one of its own")
