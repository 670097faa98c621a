from __future__ import annotations

from bridge.apis import MemorySettings
from bridge.model import Accepted, Misconfigured, Outcome, Rejected, Retryable
from bridge.targets import MemoryTarget, build_target
from tests.unit.apis.samples import NOW, event


async def send(target: MemoryTarget, *ids: str) -> list[Outcome]:
    events = [event(id_) for id_ in ids]
    pairs = [pair async for group in target.send(events, [1] * len(events)) for pair in group]
    return [outcome for _, outcome in sorted(pairs, key=lambda pair: pair[0])]


async def test_it_accepts_and_knows_ids_again() -> None:
    target = MemoryTarget()
    assert await send(target, "a", "b") == [Accepted("a"), Accepted("b")]
    assert await send(target, "a") == [Accepted("a", duplicate=True)]
    assert [taken.id for taken in target.accepted] == ["a", "b"]
    assert [sent.event.id for sent in target.log] == ["a", "b", "a"]


async def test_it_answers_as_told_one_event_or_any() -> None:
    target = MemoryTarget()
    target.answer(Rejected("no"), event_id="b")
    target.answer(Retryable("later"), Misconfigured("key"))
    assert await send(target, "a", "b", "c", "d") == [
        Retryable("later"),
        Rejected("no"),
        Misconfigured("key"),
        Accepted("d"),
    ]


async def test_a_failed_send_is_no_known_id() -> None:
    target = MemoryTarget()
    target.answer(Retryable("later"))
    assert await send(target, "a") == [Retryable("later")]
    assert await send(target, "a") == [Accepted("a")]


async def test_its_memory_is_bounded() -> None:
    target = MemoryTarget(MemorySettings(type="memory", keep=2))
    await send(target, "a", "b", "c")
    assert [sent.event.id for sent in target.log] == ["b", "c"]
    assert await send(target, "a") == [Accepted("a")]


async def test_it_can_hold_delays_and_forget_ids() -> None:
    settings = MemorySettings(type="memory", native_delay=60, dedups_by_id=False)
    target = build_target(settings)
    assert isinstance(target, MemoryTarget)
    assert target.native_delay(event(due_at=NOW + 60_000), NOW)
    assert not target.native_delay(event(due_at=NOW + 60_001), NOW)
    assert await send(target, "a", "a") == [Accepted("a"), Accepted("a")]
    assert not target.dedups_by_id


async def test_refreshes_are_counted() -> None:
    target = MemoryTarget()
    target.refresh()
    assert target.refreshed == 1
