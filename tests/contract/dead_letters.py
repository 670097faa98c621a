"""
What every place for dead letters has to do.

A binding subclasses `DeadLettersContract` and provides the fixture `graves`, open.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

import pytest

from bridge.model import Burial, Delivery, Shape
from bridge.ports import DeadLetters

DELIVERY = Delivery(
    body=b'{"broken": ',
    headers={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "n": 1, "raw": b"\xff"},
    properties={"correlation_id": "c-1", "expiration": "60000", "reply_to": "answers", "user_id": "somebody"},
    origin="rabbitmq:orders",
    timestamp=1_763_690_000.0,
    message_id="their own",
    content_type="application/json",
    routing_key="orders.eu",
)


class Graves(DeadLetters, Protocol):
    """Dead letters, and what tools do with them."""

    async def browse(self, limit: int) -> list[Burial]: ...

    def take(self, limit: int) -> AbstractAsyncContextManager[list[Burial]]: ...

    async def purge(self) -> int: ...


def burial(number: int) -> Burial:
    return Burial(
        DELIVERY,
        b"body %d" % number,
        reason=f"event.delay.seconds must be a number; case {number}",
        kind="poison",
        event_id=f"id-{number}",
        name="user.created",
        attempts=number,
        first_seen=1_763_690_000_000,
        shape=Shape.ENVELOPE if number % 2 else Shape.ORIGINAL,
        route="orders",
    )


def bodies(burials: Sequence[Burial]) -> list[bytes]:
    return [each.body for each in burials]


class DeadLettersContract:
    async def test_a_burial_can_be_read_back_whole(self, graves: Graves) -> None:
        before = time.time_ns() // 1_000_000
        await graves.bury([burial(1)])
        [found] = await graves.browse(10)
        assert found.buried_at is not None
        assert before <= found.buried_at <= time.time_ns() // 1_000_000
        assert replace(found, delivery=DELIVERY, buried_at=None) == burial(1)
        for name in ("headers", "properties", "origin", "timestamp", "message_id", "content_type", "routing_key"):
            assert getattr(found.delivery, name) == getattr(DELIVERY, name), name

    async def test_what_is_buried_again_keeps_its_time_and_how_much_of_it_is_missing(self, graves: Graves) -> None:
        again = replace(burial(1), buried_at=1_763_690_000_123, truncated=70_000)
        await graves.bury([again])
        [found] = await graves.browse(1)
        assert replace(found, delivery=DELIVERY) == again

    async def test_little_has_to_be_known_about_it(self, graves: Graves) -> None:
        await graves.bury([Burial(Delivery(body=b"?"), b"?", reason="no JSON", kind="poison")])
        [found] = await graves.browse(1)
        assert (found.event_id, found.name, found.first_seen, found.attempts) == (None, None, None, 0)

    async def test_browsing_leaves_everything_where_it_is(self, graves: Graves) -> None:
        await graves.bury([burial(number) for number in range(5)])
        for _ in range(25):
            assert len(await graves.browse(3)) == 3
        assert sorted(bodies(await graves.browse(10))) == [b"body %d" % number for number in range(5)]

    async def test_what_is_taken_is_gone(self, graves: Graves) -> None:
        await graves.bury([burial(number) for number in range(5)])
        async with graves.take(3) as taken:
            assert bodies(taken) == [b"body 0", b"body 1", b"body 2"]
        assert bodies(await graves.browse(10)) == [b"body 3", b"body 4"]

    async def test_what_could_not_be_dealt_with_stays(self, graves: Graves) -> None:
        await graves.bury([burial(number) for number in range(3)])
        with pytest.raises(OSError, match="no room"):
            async with graves.take(2):
                raise OSError("no room")
        assert len(await graves.browse(10)) == 3

    async def test_nothing_can_be_taken_from_nothing(self, graves: Graves) -> None:
        await graves.bury([])
        async with graves.take(3) as taken:
            assert taken == []
        assert await graves.browse(3) == []

    async def test_a_purge_says_how_many_there_were(self, graves: Graves) -> None:
        await graves.bury([burial(number) for number in range(4)])
        assert await graves.purge() == 4
        assert await graves.browse(1) == []

    async def test_a_reason_of_any_length_and_content_is_kept_in_part_at_least(self, graves: Graves) -> None:
        await graves.bury([replace(burial(0), reason="wörd \ud83d " * 5_000)])
        [found] = await graves.browse(1)
        assert found.reason.startswith("wörd ")
