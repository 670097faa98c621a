from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Accepted, Envelope, Outcome, Rejected, Retryable
from bridge.targets.exchanges import Exchanges, Slots, halves, refusals, slices
from tests.unit.apis.samples import api, event

OK = Accepted()


async def collect(exchanges: Exchanges, parts: Sequence[Slots], known: dict[int, Outcome]) -> dict[int, Outcome]:
    found: dict[int, Outcome] = {}
    async for group in exchanges.groups(parts, known):
        for slot, outcome in group:
            assert slot not in found
            found[slot] = outcome
    return found


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


@given(st.sets(st.integers(0, 99)), st.integers(1, 100))
def test_any_set_of_poison_ends_alone(poison: set[int], limit: int) -> None:
    requests = 0

    async def exchange(slots: Slots) -> Sequence[Outcome | None]:
        nonlocal requests
        requests += 1
        await asyncio.sleep(0)
        if not poison & set(slots):
            return [OK] * len(slots)
        return [Rejected("poison")] if len(slots) == 1 else [None] * len(slots)

    parts = [range(start, min(start + limit, 100)) for start in range(0, 100, limit)]
    found = asyncio.run(collect(Exchanges(exchange), parts, {}))
    assert found == {slot: Rejected("poison") if slot in poison else OK for slot in range(100)}
    assert requests <= len(parts) + 2 * 7 * len(poison)


async def test_one_poison_in_a_hundred_costs_few_requests() -> None:
    requests: list[int] = []

    async def like_inngest(slots: Slots) -> Sequence[Outcome | None]:
        requests.append(len(slots))
        if 50 not in slots:
            return [OK] * len(slots)
        if len(slots) == 1:
            return [Rejected("poison")]
        taken = list(slots).index(50)
        return [OK] * taken + [None] * (len(slots) - taken)

    found = await collect(Exchanges(like_inngest), [range(100)], {})
    assert [slot for slot, outcome in found.items() if outcome != OK] == [50]
    assert len(requests) <= 13
    assert sum(requests) <= 300


async def test_a_slow_request_holds_up_nobody() -> None:
    release = asyncio.Event()

    async def exchange(slots: Slots) -> Sequence[Outcome | None]:
        if 0 in slots:
            await release.wait()
        return [OK] * len(slots)

    groups = Exchanges(exchange).groups([[0], [1], [2]], {3: Rejected("no")})
    early: dict[int, Outcome] = {}
    while len(early) < 3:
        early |= dict(await anext(groups))
    assert early.keys() == {1, 2, 3}
    release.set()
    assert list(await anext(groups)) == [(0, OK)]
    with pytest.raises(StopAsyncIteration):
        await anext(groups)


async def test_what_finishes_in_one_tick_comes_as_one_group() -> None:
    gate = asyncio.Event()

    async def exchange(slots: Slots) -> Sequence[Outcome | None]:
        await gate.wait()
        return [OK] * len(slots)

    groups = Exchanges(exchange).groups([[slot] for slot in range(50)], {})
    first = asyncio.ensure_future(anext(groups))
    await asyncio.sleep(0)
    gate.set()
    assert len(await first) == 50
    assert [group async for group in groups] == []


@pytest.mark.parametrize("fault", [RuntimeError("bug"), asyncio.CancelledError()])
async def test_a_fault_of_ours_makes_its_events_retryable_and_is_logged(
    fault: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def exchange(slots: Slots) -> Sequence[Outcome | None]:
        if 1 in slots:
            raise fault
        return [OK] * len(slots)

    with caplog.at_level(logging.ERROR):
        found = await collect(Exchanges(exchange), [[0], [1, 2]], {})
    assert found[0] == OK
    assert isinstance(found[1], Retryable)
    assert found[1].reason.startswith("a fault in the bridge: ")
    assert found[2] == found[1]
    assert [record.message for record in caplog.records] == (["request_faulty"] if isinstance(fault, Exception) else [])


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_an_answer_of_the_wrong_length_is_a_fault_too(count: int) -> None:
    async def exchange(_: Slots) -> Sequence[Outcome | None]:
        return [OK] * count

    found = await collect(Exchanges(exchange), [[0, 1]], {})
    assert {type(outcome) for outcome in found.values()} == {Retryable}


async def test_one_event_about_which_nothing_is_said_is_tried_again_later() -> None:
    async def exchange(_: Slots) -> Sequence[Outcome | None]:
        return [None]

    assert await collect(Exchanges(exchange), [[0]], {}) == {0: Retryable("the answer says nothing about this event")}


async def test_an_abandoned_call_ends_its_requests() -> None:
    ended: list[int] = []

    async def exchange(slots: Slots) -> Sequence[Outcome | None]:
        if slots[0] == 0:
            return [OK]
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(slots[0])
        return [OK]

    groups = Exchanges(exchange).groups([[0], [1], [2]], {})
    await anext(groups)
    await groups.aclose()
    assert sorted(ended) == [1, 2]


def test_an_envelope_is_all_a_dialect_needs() -> None:
    assert slices(api("zopio"), [Envelope(id="1", name="n")], [0]) == [[0]]
