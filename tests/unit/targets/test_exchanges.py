from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.aimd import Aimd
from bridge.model import Accepted, Envelope, Misconfigured, Outcome, Rejected, Response, Retryable, Unsent
from bridge.targets.exchanges import Slots, halves, refusals, slices
from bridge.targets.failures import HUNG_UP
from tests.unit.apis.samples import api, event
from tests.unit.targets.shell import MemoryShell, outcomes_of, sending_of

OK = Accepted()


def accept(slots: Slots) -> Sequence[Outcome | None]:
    return [OK] * len(slots)


@given(st.lists(st.sampled_from([None, 5, 7]), max_size=40), st.integers(1, 9))
def test_slices_keep_to_the_limit_the_group_and_the_order(dues: list[int | None], limit: int) -> None:
    events = [event(str(slot), due_at=due) for slot, due in enumerate(dues)]
    parts = slices(api("trigger", version="v2", max_batch=limit), events, range(len(events)))
    assert sorted(slot for part in parts for slot in part) == list(range(len(events)))
    for part in parts:
        assert 1 <= len(part) <= limit
        assert len({dues[slot] for slot in part}) == 1
        assert list(part) == sorted(part)


@given(st.lists(st.integers(), unique=True, max_size=50))
def test_halves_lose_nothing_and_come_down_to_one(slots: list[int]) -> None:
    parts = halves(slots)
    assert [slot for part in parts for slot in part] == slots
    assert all(len(part) <= (len(slots) + 1) // 2 for part in parts)


def test_only_what_the_api_can_never_take_is_refused() -> None:
    events = [event("a"), event("b", name="inngest/x"), event("c", data=[1])]
    assert refusals(api("inngest"), events) == {
        1: Rejected("event names that begin with inngest/ are reserved by Inngest"),
        2: Rejected("data must be an object for Inngest (or set wrap_data)"),
    }


@given(st.sets(st.integers(0, 99)), st.integers(1, 100), st.integers(1, 20))
def test_any_set_of_poison_ends_alone(poison: set[int], limit: int, places: int) -> None:
    def exchange(slots: Slots) -> Sequence[Outcome | None]:
        if not poison & set(slots):
            return [OK] * len(slots)
        return [Rejected("poison")] if len(slots) == 1 else [None] * len(slots)

    parts = [range(start, min(start + limit, 100)) for start in range(0, 100, limit)]
    shell = MemoryShell(exchange, places=places)
    found = asyncio.run(outcomes_of(shell, parts))
    assert found == {slot: Rejected("poison") if slot in poison else OK for slot in range(100)}
    assert len(shell.client.started) <= len(parts) + 2 * 7 * len(poison)
    assert shell.room.under_way == 0


async def test_one_poison_in_a_hundred_costs_few_requests() -> None:
    def like_inngest(slots: Slots) -> Sequence[Outcome | None]:
        if 50 not in slots:
            return [OK] * len(slots)
        if len(slots) == 1:
            return [Rejected("poison")]
        taken = list(slots).index(50)
        return [OK] * taken + [None] * (len(slots) - taken)

    shell = MemoryShell(like_inngest)
    found = await outcomes_of(shell, [range(100)])
    assert [slot for slot, outcome in found.items() if outcome != OK] == [50]
    assert len(shell.client.started) <= 13
    assert sum(map(len, shell.client.started)) <= 300


async def test_a_slow_request_holds_up_nobody() -> None:
    shell = MemoryShell(accept)
    shell.client.silent_about = {0}
    sending = sending_of(shell, 4)
    sending.finish([(3, Rejected("no"))])
    for slot in range(3):
        sending.start([slot])
    early: dict[int, Outcome] = {}
    while len(early) < 3:
        early |= dict(await sending.group())
    assert early == {1: OK, 2: OK, 3: Rejected("no")}
    shell.client.speak()
    assert list(await sending.group()) == [(0, OK)]
    assert sending.left == 0


async def test_what_finishes_in_one_tick_comes_as_one_group() -> None:
    shell = MemoryShell(accept)
    shell.client.silent_about = set(range(50))
    sending = sending_of(shell, 50)
    for slot in range(50):
        sending.start([slot])
    first = asyncio.ensure_future(sending.group())
    await asyncio.sleep(0)
    shell.client.speak()
    assert len(await first) == 50
    assert sending.left == 0


def boom(*_: object) -> Any:
    raise RuntimeError("bug")


FAULTY = ["may_send", "encode", "added", "observe", "decode"]


@pytest.mark.parametrize("callback", FAULTY)
async def test_a_fault_of_ours_makes_its_events_retryable_and_is_logged(
    callback: str, caplog: pytest.LogCaptureFixture
) -> None:
    shell = MemoryShell(accept)
    right: Callable[..., Any] = getattr(shell, callback)
    left = iter([boom])

    def stumble_once(*given: object) -> Any:
        return next(left, right)(*given)

    setattr(shell, callback, stumble_once)
    with caplog.at_level(logging.ERROR):
        found = await outcomes_of(shell, [[0, 1], [2]])
    assert found == {0: Retryable("a fault in the bridge: RuntimeError"), 1: found[0], 2: OK}
    assert [record.message for record in caplog.records] == ["request_faulty"]
    assert shell.room.under_way == 0


@pytest.mark.parametrize("callback", ["heard", "quick_tries"])
async def test_a_fault_after_a_bad_answer_loses_nothing_either(callback: str, caplog: pytest.LogCaptureFixture) -> None:
    shell = MemoryShell(lambda slots: [Misconfigured("key")] * len(slots))
    shell.client.answer = lambda: Response(502, {}, b"")
    setattr(shell, callback, boom)
    with caplog.at_level(logging.ERROR):
        found = await outcomes_of(shell, [[0]])
    assert found == {0: Retryable("a fault in the bridge: RuntimeError")}
    assert shell.room.under_way == 0


async def test_a_fault_between_two_tries_loses_nothing_either(caplog: pytest.LogCaptureFixture) -> None:
    shell = MemoryShell(accept)
    shell.client.answer = lambda: HUNG_UP
    shell.quick_tries = lambda: True
    allowed = iter([True])
    shell.may_send = lambda: next(allowed)
    with caplog.at_level(logging.ERROR):
        assert await outcomes_of(shell, [[0]]) == {0: Retryable("a fault in the bridge: StopIteration")}
    assert shell.client.started == [[0]]
    assert shell.room.under_way == 0


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_an_answer_of_the_wrong_length_is_a_fault_too(count: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = await outcomes_of(MemoryShell(lambda _: [OK] * count), [[0, 1]])
    assert {type(outcome) for outcome in found.values()} == {Retryable}


async def test_one_event_about_which_nothing_is_said_is_tried_again_later() -> None:
    found = await outcomes_of(MemoryShell(lambda _: [None]), [[0]])
    assert found == {0: Retryable("the answer says nothing about this event")}


async def test_an_abandoned_call_ends_its_requests_and_begins_no_more() -> None:
    shell = MemoryShell(accept, places=2)
    shell.client.silent_about = {1, 2}
    sending = sending_of(shell, 9)
    for slot in range(9):
        sending.start([slot])
    assert list(await sending.group()) == [(0, OK)]
    sending.cancel()
    assert shell.client.started == [[0], [1], [2]]
    assert shell.client.cancelled == [[1], [2]]
    assert shell.room.under_way == 0


async def test_ten_thousand_that_may_not_be_sent_need_no_deep_stack() -> None:
    shell = MemoryShell(accept, places=1)
    answers = iter([True])
    shell.may_send = lambda: next(answers, False)
    found = await outcomes_of(shell, [[slot] for slot in range(10_000)])
    assert found == {0: OK, **{slot: Unsent() for slot in range(1, 10_000)}}


async def test_the_limit_follows_what_the_target_takes() -> None:
    shell = MemoryShell(accept)
    shell.pace = Aimd(64)
    shell.room.limit = shell.pace.limit
    await outcomes_of(shell, [[slot] for slot in range(500)])
    assert shell.room.limit == shell.pace.limit == 64
    shell.client.answer = lambda: Response(429, {}, b"")
    await outcomes_of(shell, [[slot] for slot in range(500)])
    assert shell.room.limit == shell.pace.limit == shell.pace.floor
    assert shell.room.under_way == 0


async def test_connections_that_break_say_nothing_about_the_limit() -> None:
    shell = MemoryShell(accept)
    shell.pace = Aimd(64)
    shell.client.answer = lambda: HUNG_UP
    await outcomes_of(shell, [[slot] for slot in range(500)])
    assert shell.pace.limit == 8
    assert shell.pace.baseline is None


def test_an_envelope_is_all_a_dialect_needs() -> None:
    assert list(slices(api("zopio"), [Envelope(id="1", name="n")], [0])) == [(0,)]
