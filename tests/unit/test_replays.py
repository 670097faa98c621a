"""Dead letters that go back: through the whole line, past the mark that counts them as done, and only once."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bridge.core.replays import hindrance, identity_of, replay
from bridge.core.slots import Result
from bridge.formats import envelope, naming
from bridge.model import Burial, Delivery, Envelope, Rejected, Retryable, Shape
from tests.fakes.route import NAME, MemoryRoute


def now() -> int:
    return time.time_ns() // 1_000_000


async def go_back(route: MemoryRoute, burials: Sequence[Burial], name: str = NAME) -> None:
    assert await route.delay.hold([replay(burial, name, now()) for burial in burials]) == [None] * len(burials)
    await route.until_quiet()


async def test_a_rejected_event_is_sent_again_under_its_id_although_it_counts_as_done() -> None:
    route = MemoryRoute()
    route.target.answer(Rejected("HTTP 422: no"), event_id="e1")
    async with route.running():
        route.publish("e1")
        await route.until_quiet()
        await go_back(route, route.dead_letters.buried)
        route.publish("e1")  # a late copy from the publisher is a duplicate as before
        await route.until_quiet()

    assert route.accepted() == ["e1"]
    assert [sent.attempt for sent in route.target.log] == [1, 1]
    assert route.tally.events[Result.DUPLICATE] == 1


async def test_one_dead_letter_that_goes_back_twice_arrives_once() -> None:
    route = MemoryRoute()
    route.target.answer(Rejected("HTTP 422: no"), event_id="e1")
    async with route.running():
        route.publish("e1")
        await route.until_quiet()
        [burial] = route.dead_letters.buried
        await go_back(route, [burial, burial])
        await go_back(route, [burial])

    assert route.accepted() == ["e1"]


async def test_what_fails_again_is_retried_buried_again_and_may_go_back_again() -> None:
    route = MemoryRoute(hold_window=0)  # so that retries go through the delay line
    route.target.answer(Rejected("no"), Retryable("500"), Retryable("500"), Rejected("still no"), event_id="e1")
    async with route.running():
        route.publish("e1")
        await route.until_quiet()
        await go_back(route, list(route.dead_letters.buried))
        first, second = route.dead_letters.buried
        assert identity_of(first) != identity_of(second)
        await go_back(route, [second])

    assert [sent.attempt for sent in route.target.log] == [1, 1, 2, 3, 1]
    assert route.accepted() == ["e1"]


async def test_poison_is_read_anew_with_its_own_ids_delays_and_rules() -> None:
    due = now() + 400
    body = json.dumps([{"id": "a", "name": "a.b"}, {"id": "b", "name": "a.b", "ts": due}, {"id": "c", "name": "BAD"}])
    burial = Burial(Delivery(body=b""), body.encode(), "the decoder failed", "poison", buried_at=1, route=NAME)
    route = MemoryRoute(complaint=naming.complaint, reject_names=True)
    async with route.running():
        await go_back(route, [burial])
        assert now() >= due

    assert route.accepted() == ["a", "b"]
    [again] = route.dead_letters.buried
    assert (again.kind, again.reason) == ("poison", "name must be in lower case")


async def test_the_filter_holds_for_what_never_passed_it() -> None:
    route = MemoryRoute(wanted=lambda name: name == "a.b", bury_unwanted=True)
    async with route.running():
        route.publish("e1", name="c.d")
        await route.until_quiet()
        await go_back(route, list(route.dead_letters.buried))

    assert route.accepted() == []
    assert [burial.kind for burial in route.dead_letters.buried] == ["poison", "poison"]


async def test_a_relative_delay_counts_again_and_only_once() -> None:
    body = json.dumps({"id": "e1", "name": "a.b", "payload": {}, "delay": 0.3}).encode()
    burial = Burial(Delivery(body=body), body, "cannot be held", "rejected", event_id="e1", buried_at=1, route=NAME)
    route = MemoryRoute(hold_window=0)
    route.target.answer(Retryable("500"))
    async with route.running():
        start = now()
        await go_back(route, [burial])

    first, again = route.target.log
    assert first.event.due_at == again.event.due_at
    assert (again.event.due_at or 0) >= start + 300


async def test_one_event_of_an_array_goes_back_alone() -> None:
    event = Envelope(id="e1", name="a.b", data={"n": 1}, due_at=now() - 5)
    burial = Burial(
        Delivery(body=b"[...]"),
        envelope.encode(event),
        "no",
        "rejected",
        event_id="e1",
        shape=Shape.ENVELOPE,
        route=NAME,
        buried_at=1,
    )
    async with MemoryRoute().running() as route:
        await go_back(route, [burial])

    [sent] = route.target.accepted
    assert (sent.id, sent.data) == ("e1", {"n": 1})


async def test_an_id_that_was_derived_stays_what_it_was() -> None:
    body = b'{"name":"a.b","data":{}}'
    burial = Burial(Delivery(body=body), body, "no", "exhausted", event_id="orders/3/42@7", route=NAME, buried_at=1)
    async with MemoryRoute().running() as route:
        await go_back(route, [burial])

    assert route.accepted() == ["orders/3/42@7"]


async def test_an_event_in_conflict_goes_through_when_somebody_says_so() -> None:
    route = MemoryRoute(bury_conflicts=True)
    async with route.running():
        route.publish("e1", data={"n": 1})
        await route.until_quiet()
        route.publish("e1", data={"n": 2})
        await route.until_quiet()
        await go_back(route, list(route.dead_letters.buried))

    assert [sent.event.data for sent in route.target.log] == [{"n": 1}, {"n": 2}]


GRAVE = Burial(Delivery(body=b"{}"), b"{}", "no", "rejected", event_id="e1", buried_at=5, route=NAME)


def test_a_dead_letter_is_known_again_and_told_from_others() -> None:
    headers = {"x": b"1", "y": None}
    same = replace(GRAVE, delivery=replace(GRAVE.delivery, token=7, redelivered=True))
    assert identity_of(same) == identity_of(GRAVE)
    others = [
        replace(GRAVE, body=b"[]"),
        replace(GRAVE, buried_at=6),
        replace(GRAVE, event_id="e2"),
        replace(GRAVE, kind="expired"),
        replace(GRAVE, delivery=replace(GRAVE.delivery, headers=headers)),
        replace(GRAVE, delivery=replace(GRAVE.delivery, position="t/0/1")),
    ]
    assert len({identity_of(each) for each in [GRAVE, *others]}) == 7


def test_what_the_broker_brought_is_a_return_each_time() -> None:
    brought = replace(GRAVE, buried_at=None, kind="returned")
    assert replay(brought, NAME, 1).ticket.replay != replay(brought, NAME, 2).ticket.replay
    assert replay(GRAVE, NAME, 1).ticket.replay == replay(GRAVE, NAME, 2).ticket.replay
    assert replay(brought, NAME, 1).ticket.id == ""


@pytest.mark.parametrize(
    ("burial", "reason"),
    [
        (GRAVE, None),
        (replace(GRAVE, route=""), None),
        (replace(GRAVE, route="orders"), "it belongs to the route orders"),
        (replace(GRAVE, truncated=9), "only the beginning of its 9 bytes was kept; look for the whole of it at the"),
    ],
)
def test_some_cannot_go_back(burial: Burial, reason: str | None) -> None:
    found = hindrance(burial, NAME)
    assert found is None if reason is None else (found or "").startswith(reason)
