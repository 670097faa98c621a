"""
What every delay line has to do, whatever holds its events.

A binding subclasses `DelayLineContract` and provides the fixture `line`, open. Those that promise to survive a restart
show that elsewhere: here nothing ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from bridge.model import Delivery, Hold, Shape, Stage, Ticket, Verdict
from bridge.ports import DelayLine

LIMIT = 90.0  # seconds until a test gives up waiting
EARLY = 5_000  # ms that a copy may come before it is due: whoever receives it waits for the rest
LATE = 20_000  # ms; generous, for loaded machines


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def hold(number: int, wait: float, **delivery: Any) -> Hold:
    """An event to hold for `wait` seconds from now."""
    body = b"body %d" % number
    ticket = Ticket(
        route="orders",
        id=f"id-{number}",
        due_at=now_ms() + int(wait * 1000),
        attempt=number + 1,
        first_seen=1_763_690_000_000 + number,
        gen=number,
        shape=Shape.ENVELOPE if number % 2 else Shape.ORIGINAL,
        reason="delay",
        origin="rabbitmq:orders",
        event_due=None if number % 3 else 2**50,
        replay=f"return-{number}" if number % 4 == 0 else "",
    )
    given: dict[str, Any] = {"origin": "rabbitmq:orders", "routing_key": "orders.eu", **delivery}
    return Hold(Delivery(body=body, **given), body, ticket)


async def take(line: DelayLine, count: int) -> list[tuple[int, Delivery]]:
    """So many copies, each with the ms when it came; settled."""
    got: list[tuple[int, Delivery]] = []
    async with asyncio.timeout(LIMIT):
        while len(got) < count:
            batch = await line.due.receive(1_000, 0.0)
            got += [(now_ms(), delivery) for delivery in batch]
            await line.due.settle(batch, [Verdict.SETTLE] * len(batch))
    return got


def tickets(got: Sequence[tuple[int, Delivery]]) -> dict[str, Ticket | None]:
    return {delivery.body.decode(): delivery.ticket for _, delivery in got}


class DelayLineContract:
    async def test_nothing_held_is_nothing_answered(self, line: DelayLine) -> None:
        assert await line.hold([]) == []

    async def test_what_is_held_comes_about_when_it_is_due(self, line: DelayLine) -> None:
        items = [hold(number, wait) for number, wait in enumerate([0.1, 0.9, 1.4, 2.6, 4.2, 6.3])]
        assert await line.hold(items) == [None] * len(items)
        for came, delivery in await take(line, len(items)):
            assert delivery.ticket is not None
            assert -EARLY <= came - delivery.ticket.due_at <= LATE

    async def test_a_copy_brings_its_ticket_and_says_what_it_is(self, line: DelayLine) -> None:
        items = [hold(number, 0.0) for number in range(4)]
        await line.hold(items)
        got = await take(line, 4)
        assert tickets(got) == {item.body.decode(): item.ticket for item in items}
        assert {delivery.stage for _, delivery in got} == {Stage.DUE}
        assert {delivery.origin for _, delivery in got} == {"rabbitmq:orders"}

    async def test_a_copy_from_the_dead_letters_may_have_no_id_yet(self, line: DelayLine) -> None:
        item = hold(0, 0.0)
        ticket = replace(item.ticket, id="", replay="return-1")
        await line.hold([replace(item, ticket=ticket)])
        [(_, copy)] = await take(line, 1)
        assert copy.ticket == ticket

    async def test_a_copy_is_as_the_publisher_sent_it(self, line: DelayLine) -> None:
        headers = {
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "CCNumber": "4111",
            "bytes": b"\xff\xfe",
            "double": 1e300,
            "nothing": None,
            "nested": {"list": [1, True, "x", {"deep": 2**40}], "decimal": Decimal("12.50")},
        }
        properties = {"correlation_id": "c-1", "priority": 3, "expiration": "60000", "user_id": "guest", "app_id": "x"}
        facts = {
            "message_id": "their own",
            "content_type": "application/json",
            "timestamp": 1_763_690_000.0,
            "routing_key": "orders.eu",
        }
        await line.hold([hold(0, 1.3, headers=headers, properties=properties, **facts)])
        [(_, copy)] = await take(line, 1)
        assert copy.headers == headers
        assert copy.properties == properties
        assert {name: getattr(copy, name) for name in facts} == facts

    async def test_what_the_publisher_did_not_say_is_not_said(self, line: DelayLine) -> None:
        await line.hold([hold(0, 0.0, routing_key="")])
        [(_, copy)] = await take(line, 1)
        assert (copy.message_id, copy.content_type, copy.timestamp) == (None, None, None)
        assert (dict(copy.headers), dict(copy.properties), copy.routing_key) == ({}, {}, "")

    async def test_what_came_due_can_be_held_again(self, line: DelayLine) -> None:
        await line.hold([hold(0, 0.0, message_id="first", headers={"a": 1})])
        [(_, copy)] = await take(line, 1)
        assert copy.ticket is not None
        for attempt in range(2, 5):
            ticket = Ticket(route="r", id="i", due_at=now_ms() + 1_300, attempt=attempt, first_seen=1)
            assert await line.hold([Hold(copy, copy.body, ticket)]) == [None]
            [(_, copy)] = await take(line, 1)
            assert copy.ticket is not None
            assert copy.ticket.attempt == attempt
        assert (copy.message_id, copy.headers) == ("first", {"a": 1})

    async def test_what_came_due_and_is_held_again_does_not_go_round_and_round(self, line: DelayLine) -> None:
        await line.hold([hold(0, 0.0)])
        [(_, copy)] = await take(line, 1)
        for wait in (100, 400, 900):
            due = now_ms() + wait
            ticket = Ticket(route="r", id="i", due_at=due, attempt=1, first_seen=1)
            await line.hold([Hold(copy, copy.body, ticket)])
            [(came, copy)] = await take(line, 1)
            assert came >= due - 50

    async def test_another_body_may_be_held_under_a_deliverys_headers(self, line: DelayLine) -> None:
        item = hold(1, 0.0, headers={"a": 1})
        await line.hold([Hold(item.delivery, b"one of an array", item.ticket)])
        [(_, copy)] = await take(line, 1)
        assert (copy.body, copy.headers) == (b"one of an array", {"a": 1})

    async def test_an_unsettled_copy_comes_again(self, line: DelayLine) -> None:
        await line.hold([hold(0, 0.0)])
        async with asyncio.timeout(LIMIT):
            [copy] = await line.due.receive(1, 0.0)
        await line.due.settle([copy], [Verdict.RETURN])
        [(_, again)] = await take(line, 1)
        assert again.redelivered
        assert again.ticket == copy.ticket

    async def test_many_are_held_at_once(self, line: DelayLine) -> None:
        items = [hold(number, number % 3) for number in range(600)]
        assert await line.hold(items) == [None] * 600
        assert tickets(await take(line, 600)) == {item.body.decode(): item.ticket for item in items}
